import { invalidType, streamError } from '../errors.js';
import { EventEmitter } from '../events.js';
import { Readable } from '../readable.js';
import { Writable } from '../writable.js';

/** A writable stream whose readable side has what `transform` makes of the input. */
export class Transform extends Writable {
  constructor(options = {}) {
    super(options);
    if (options.transform) this._transform = options.transform;
    if (options.flush) this._flush = options.flush;
    this.side = new Readable({ ...options, read: () => this.resumeWriting?.(), destroy: undefined });
  }

  _transform(chunk, encoding, callback) {
    callback(null, chunk);
  }

  _flush(callback) {
    callback();
  }

  push(chunk, encoding) {
    return this.side.push(chunk, encoding);
  }

  _write(chunk, encoding, callback) {
    this._transform(chunk, encoding, (error, value) => {
      const more = error || value === undefined || value === null || this.push(value);
      if (error || more) callback(error);
      else this.resumeWriting = () => { this.resumeWriting = null; callback(); };
    });
  }

  _final(callback) {
    this._flush((error, value) => {
      if (value !== undefined && value !== null) this.push(value);
      this.push(null);
      callback(error);
    });
  }

  // Writable ends before the readable side was read, and must not take it along.
  emit(event, ...args) {
    if (event === 'close') return false;
    return super.emit(event, ...args);
  }

  on(event, listener) {
    if (['data', 'end', 'readable', 'close'].includes(event)) {
      this.side.on(event, listener);
      return this;
    }
    return super.on(event, listener);
  }

  removeListener(event, listener) {
    if (['data', 'end', 'readable', 'close'].includes(event)) {
      this.side.removeListener(event, listener);
      return this;
    }
    return super.removeListener(event, listener);
  }

  get readable() { return this.side.readable; }
  get readableEnded() { return this.side.readableEnded; }
  read(size) { return this.side.read(size); }
  setEncoding(encoding) { this.side.setEncoding(encoding); return this; }
  pause() { this.side.pause(); return this; }
  resume() { this.side.resume(); return this; }
  pipe(destination, options) { return this.side.pipe(destination, options); }
  unpipe(destination) { this.side.unpipe(destination); return this; }
  [Symbol.asyncIterator]() { return this.side[Symbol.asyncIterator](); }

  destroy(error) {
    super.destroy(error);
    if (error) this.side.destroy();
    return this;
  }
}

export class PassThrough extends Transform {}

/** Calls back when a stream has ended, failed, or was closed before its end. */
export function finished(stream, callback) {
  let called = false;
  const done = (error) => {
    if (called) return;
    called = true;
    callback(error);
  };
  stream.on('error', done);
  stream.on('end', () => done());
  stream.on('finish', () => done());
  stream.on('close', () => {
    if (!stream.readableEnded && !stream.writableFinished) {
      done(streamError('ERR_STREAM_PREMATURE_CLOSE', 'Premature close'));
    }
  });
}

/** Pipes streams one into the next and calls back at the end of the last, or with the first error. */
export function pipeline(...parts) {
  const callback = parts.pop();
  if (typeof callback !== 'function') throw invalidType('callback', 'of type function', callback);
  const streams = parts.flat();
  if (typeof streams[0]?.pipe !== 'function') streams[0] = Readable.from(streams[0]);
  let called = false;
  const done = (error) => {
    if (called) return;
    called = true;
    if (error) for (const stream of streams) stream.destroy();
    callback(error ?? undefined);
  };
  for (const stream of streams) stream.on('error', done);
  streams.at(-1).on('finish', () => done());
  streams.reduce((from, to) => from.pipe(to));
  return streams.at(-1);
}

export const promises = {
  pipeline: (...parts) => new Promise((resolve, reject) => {
    pipeline(...parts, (error) => (error ? reject(error) : resolve()));
  }),
  finished: (stream) => new Promise((resolve, reject) => {
    finished(stream, (error) => (error ? reject(error) : resolve()));
  }),
};

export { Readable, Writable };
export class Stream extends EventEmitter {}
export default { finished, PassThrough, pipeline, promises, Readable, Stream, Transform, Writable };
