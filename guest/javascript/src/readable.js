// Readable in the shape of `node:stream`: paused and flowing, with `data`, `readable`, `end` and `close`.

import { Buffer, StringDecoder, toBuffer } from './buffer.js';
import { aborted, invalidType, streamError } from './errors.js';
import { EventEmitter } from './events.js';
import { later } from './loop.js';

export class Readable extends EventEmitter {
  #chunks = [];
  #size = 0;
  #decoder = null;
  #flowing = null;
  #reading = false;
  #sourceEnded = false;
  #ended = false;
  #scheduled = false;
  #piped = new Map();

  destroyed = false;
  closed = false;
  errored = null;

  constructor({ highWaterMark = 65536, read, destroy, objectMode = false, encoding, signal } = {}) {
    super();
    this.readableHighWaterMark = Number(highWaterMark) || 65536;
    this.readableObjectMode = Boolean(objectMode);
    if (read) this._read = read;
    if (destroy) this._destroy = destroy;
    if (encoding) this.setEncoding(encoding);
    signal?.addEventListener('abort', () => this.destroy(aborted(signal.reason)));
  }

  /** Returns a stream of what an iterable yields. */
  static from(iterable, options) {
    if (typeof iterable === 'string' || ArrayBuffer.isView(iterable)) iterable = [iterable];
    const make = iterable?.[Symbol.asyncIterator] ?? iterable?.[Symbol.iterator];
    if (typeof make !== 'function') throw invalidType('iterable', 'an instance of Iterable', iterable);
    const iterator = Reflect.apply(make, iterable, []);
    return new Readable({
      objectMode: true,
      ...options,
      read() {
        Promise.resolve(iterator.next()).then(
          ({ done, value }) => this.push(done ? null : value),
          (error) => this.destroy(error),
        );
      },
    });
  }

  _read() {}

  _destroy(error, callback) {
    callback(error);
  }

  get readable() {
    return !this.destroyed && !this.#ended && !this.errored;
  }

  get readableEnded() {
    return this.#ended;
  }

  get readableFlowing() {
    return this.#flowing;
  }

  get readableLength() {
    return this.#size;
  }

  get readableEncoding() {
    return this.#decoder?.encoding ?? null;
  }

  /** Adds a chunk, or the end with null. Returns whether the stream takes more now. */
  push(chunk, encoding) {
    this.#reading = false;
    if (this.destroyed || this.#sourceEnded) return false;
    if (chunk === null) {
      this.#sourceEnded = true;
      const last = this.#decoder?.end();
      if (last) this.#store(last);
    } else if (this.readableObjectMode) {
      this.#store(chunk);
    } else {
      const bytes = toBuffer(chunk, encoding);
      const value = this.#decoder ? this.#decoder.write(bytes) : bytes;
      if (value.length > 0) this.#store(value);
    }
    this.#schedule();
    return this.#size < this.readableHighWaterMark;
  }

  #store(chunk) {
    this.#chunks.push(chunk);
    this.#size += this.readableObjectMode ? 1 : chunk.length;
  }

  setEncoding(encoding) {
    this.#decoder = new StringDecoder(encoding);
    this.#chunks = this.#chunks.map((chunk) => this.#decoder.write(chunk)).filter((text) => text.length > 0);
    this.#size = this.#chunks.reduce((sum, text) => sum + text.length, 0);
    return this;
  }

  /** Returns everything that is there, or so many bytes, or null. */
  read(size) {
    if (size === 0 || this.destroyed) return null;
    const chunk = this.#take(size === undefined ? undefined : Number(size));
    if (chunk !== null && this.listenerCount('data') > 0) super.emit('data', chunk);
    this.#more();
    if (this.#chunks.length === 0) this.#schedule();
    return chunk;
  }

  #take(size) {
    if (this.#chunks.length === 0) return null;
    if (this.readableObjectMode) {
      this.#size--;
      return this.#chunks.shift();
    }
    if (size > this.#size && !this.#sourceEnded) return null;
    const all = this.#chunks.length === 1 ? this.#chunks[0]
      : this.#decoder ? this.#chunks.join('') : Buffer.concat(this.#chunks);
    const end = size >= 0 && size < all.length ? size : all.length;
    this.#chunks = end < all.length ? [all.slice(end)] : [];
    this.#size = all.length - end;
    return all.slice(0, end);
  }

  /** Requests more of the source if there is room. */
  #more() {
    if (this.#reading || this.#sourceEnded || this.destroyed) return;
    if (this.#size >= this.readableHighWaterMark) return;
    this.#reading = true;
    this._read(this.readableHighWaterMark);
  }

  #schedule() {
    if (this.#scheduled) return;
    this.#scheduled = true;
    later(() => {
      this.#scheduled = false;
      this.#deliver();
    });
  }

  #deliver() {
    while (this.#flowing && this.#chunks.length > 0 && !this.destroyed) {
      const chunk = this.readableObjectMode ? this.#take() : this.#chunks.shift();
      if (!this.readableObjectMode) this.#size -= chunk.length;
      super.emit('data', chunk);
    }
    if (this.destroyed) return;
    if (this.listenerCount('readable') > 0 && (this.#chunks.length > 0 || this.#sourceEnded) && !this.#ended) {
      super.emit('readable');
    }
    if (this.#sourceEnded && this.#chunks.length === 0) this.#end();
    else if (this.#flowing || this.listenerCount('readable') > 0) this.#more();
  }

  #end() {
    if (this.#ended || this.destroyed) return;
    this.#ended = true;
    super.emit('end');
    this.destroy();
  }

  on(event, listener) {
    super.on(event, listener);
    if (event === 'data' && this.#flowing !== false) this.resume();
    if (event === 'readable') {
      this.#flowing = false;
      this.#schedule();
    }
    return this;
  }

  resume() {
    if (this.listenerCount('readable') === 0) this.#flowing = true;
    this.#schedule();
    return this;
  }

  pause() {
    this.#flowing = false;
    return this;
  }

  isPaused() {
    return this.#flowing === false;
  }

  pipe(destination, { end = true } = {}) {
    const data = (chunk) => {
      if (destination.write(chunk) === false) this.pause();
    };
    const drain = () => this.resume();
    const finish = () => {
      if (end && destination !== globalThis.process?.stdout && destination !== globalThis.process?.stderr) {
        destination.end();
      }
    };
    const gone = () => this.unpipe(destination);
    this.#piped.set(destination, () => {
      this.removeListener('data', data);
      this.removeListener('end', finish);
      destination.removeListener('drain', drain);
      destination.removeListener('close', gone);
      destination.removeListener('error', gone);
    });
    destination.on('drain', drain);
    destination.on('close', gone);
    // The error is the destination's, and still an uncaught one unless the program listens too.
    destination.prependListener('error', (error) => {
      gone();
      if (destination.listenerCount('error') <= 1) throw error;
    });
    this.on('end', finish);
    this.on('data', data);
    destination.emit('pipe', this);
    this.resume();
    return destination;
  }

  /** Whether all that the source has goes to this destination, and nobody else sees it on its way. */
  pipesOnlyTo(destination) {
    return this.#flowing && this.#piped.size === 1 && this.#piped.has(destination) && this.#size === 0
      && this.#decoder === null && this.listenerCount('data') === 1 && this.listenerCount('readable') === 0;
  }

  unpipe(destination) {
    const targets = destination === undefined ? [...this.#piped.keys()] : [destination];
    for (const target of targets) {
      this.#piped.get(target)?.();
      if (this.#piped.delete(target)) target.emit('unpipe', this);
    }
    if (this.#piped.size === 0 && targets.length > 0) this.pause();
    return this;
  }

  destroy(error) {
    if (this.destroyed) return this;
    this.destroyed = true;
    this.errored = error ?? null;
    this._destroy(error ?? null, (failure) => {
      later(() => {
        this.closed = true;
        try {
          if (failure) super.emit('error', failure);
        } finally {
          super.emit('close');
        }
      });
    });
    return this;
  }

  async *[Symbol.asyncIterator]() {
    let wake = () => {};
    const notice = () => wake();
    this.on('readable', notice);
    super.on('end', notice);
    super.on('close', notice);
    super.on('error', notice);
    try {
      for (;;) {
        const chunk = this.read();
        if (chunk !== null) {
          yield chunk;
        } else if (this.errored) {
          throw this.errored;
        } else if (this.#ended) {
          return;
        } else if (this.destroyed) {
          throw streamError('ERR_STREAM_PREMATURE_CLOSE', 'Premature close');
        } else {
          await new Promise((resolve) => { wake = resolve; });
        }
      }
    } finally {
      for (const event of ['readable', 'end', 'close', 'error']) this.removeListener(event, notice);
      this.destroy();
    }
  }
}
