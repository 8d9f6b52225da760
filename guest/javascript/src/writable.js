// Writable in the shape of `node:stream`: `write`, `end`, `drain`, `finish`, `close`.

import { toBuffer } from './buffer.js';
import { aborted, invalidType, streamError } from './errors.js';
import { EventEmitter } from './events.js';
import { later } from './loop.js';

export class Writable extends EventEmitter {
  #queue = [];
  #size = 0;
  #writing = false;
  #needDrain = false;
  #ending = false;
  #finished = false;
  #corked = 0;
  #encoding = 'utf8';

  destroyed = false;
  closed = false;
  errored = null;

  constructor({ highWaterMark = 16384, write, final, destroy, objectMode = false, signal } = {}) {
    super();
    this.writableHighWaterMark = Number(highWaterMark) || 16384;
    this.writableObjectMode = Boolean(objectMode);
    if (write) this._write = write;
    if (final) this._final = final;
    if (destroy) this._destroy = destroy;
    signal?.addEventListener('abort', () => this.destroy(aborted(signal.reason)));
  }

  _write(chunk, encoding, callback) {
    callback();
  }

  _final(callback) {
    callback();
  }

  _destroy(error, callback) {
    callback(error);
  }

  get writable() {
    return !this.destroyed && !this.#ending && !this.errored;
  }

  get writableEnded() {
    return this.#ending;
  }

  get writableFinished() {
    return this.#finished;
  }

  get writableLength() {
    return this.#size;
  }

  get writableNeedDrain() {
    return this.#needDrain;
  }

  setDefaultEncoding(encoding) {
    this.#encoding = encoding;
    return this;
  }

  cork() {
    this.#corked++;
  }

  uncork() {
    this.#corked = Math.max(0, this.#corked - 1);
    this.#next();
  }

  #refuse(error, callback) {
    later(() => callback?.(error));
    this.destroy(error);
    return false;
  }

  /** Returns false if the program should wait for `drain` before it writes more. */
  write(chunk, encoding, callback) {
    if (typeof encoding === 'function') [callback, encoding] = [encoding, undefined];
    if (chunk === null) throw streamError('ERR_STREAM_NULL_VALUES', 'May not write null values to stream');
    const value = this.writableObjectMode ? chunk : toBuffer(chunk, encoding ?? this.#encoding);
    if (typeof callback !== 'function') callback = undefined;
    if (this.#ending) return this.#refuse(streamError('ERR_STREAM_WRITE_AFTER_END', 'write after end'), callback);
    if (this.destroyed) {
      const error = streamError('ERR_STREAM_DESTROYED', 'Cannot call write after a stream was destroyed');
      later(() => callback?.(error));
      return false;
    }
    const size = this.writableObjectMode ? 1 : value.length;
    this.#queue.push({ value, size, encoding, callback });
    this.#size += size;
    this.#next();
    if (this.#size >= this.writableHighWaterMark) this.#needDrain = true;
    return !this.#needDrain;
  }

  #next() {
    if (this.#writing || this.#corked > 0 || this.destroyed) return;
    const item = this.#queue.shift();
    if (item === undefined) {
      this.#finish();
      return;
    }
    this.#writing = true;
    let called = false;
    this._write(item.value, item.encoding ?? 'buffer', (error) => {
      if (called) return;
      called = true;
      this.#writing = false;
      this.#size -= item.size;
      if (error) {
        this.#refuse(error, item.callback);
        return;
      }
      if (item.callback) later(() => item.callback(null));
      if (this.#queue.length === 0 && this.#needDrain) {
        later(() => {
          if (this.#size >= this.writableHighWaterMark || !this.#needDrain || this.destroyed) return;
          this.#needDrain = false;
          if (!this.#ending) this.emit('drain');
        });
      }
      this.#next();
    });
  }

  #finish() {
    if (!this.#ending || this.#finished || this.destroyed) return;
    this.#finished = true;
    this._final((error) => {
      later(() => {
        if (!error) this.emit('finish');
        this.destroy(error);
      });
    });
  }

  end(chunk, encoding, callback) {
    if (typeof chunk === 'function') [callback, chunk, encoding] = [chunk, undefined, undefined];
    else if (typeof encoding === 'function') [callback, encoding] = [encoding, undefined];
    if (chunk !== undefined && chunk !== null) this.write(chunk, encoding);
    if (typeof callback === 'function') this.once(this.destroyed ? 'close' : 'finish', () => callback());
    this.#corked = 0;
    if (!this.#ending) {
      this.#ending = true;
      this.#next();
    }
    return this;
  }

  destroy(error) {
    if (this.destroyed) return this;
    this.destroyed = true;
    this.errored = error ?? null;
    const failure = error ?? streamError('ERR_STREAM_DESTROYED', 'The stream was destroyed');
    for (const { callback } of this.#queue.splice(0)) if (callback) later(() => callback(failure));
    this._destroy(error ?? null, (reason) => {
      later(() => {
        this.closed = true;
        try {
          if (reason) this.emit('error', reason);
        } finally {
          this.emit('close');
        }
      });
    });
    return this;
  }

  pipe() {
    throw invalidType('this', 'a readable stream', this);
  }
}
