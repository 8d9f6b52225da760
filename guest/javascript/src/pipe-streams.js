// The streams of a child, and of the component itself: pipes of the host as streams of JavaScript.

import { poll } from './border.js';
import { view } from './buffer.js';
import { systemError } from './errors.js';
import { watch } from './loop.js';
import { Readable } from './readable.js';
import { Writable } from './writable.js';

/**
 * Reads a pipe of the host. Nothing is read ahead of what the program takes, but for one chunk.
 *
 * `take` returns the host's stream at the first read, so that the pipe can be passed to another child
 * before.
 */
export class PipeReadable extends Readable {
  #take;
  #reader = undefined;
  #unwatch = null;
  #ref = true;
  // Where `pipe` leads, and whether that stream is full.
  #destination = null;
  #full = false;

  constructor(take) {
    super();
    this.#take = take;
    this.fd = -1;
  }

  get taken() {
    return this.#reader !== undefined;
  }

  #open() {
    if (this.#reader === undefined) this.#reader = this.#take();
    return this.#reader;
  }

  _read() {
    const reader = this.#open();
    if (reader === null) {
      this.push(null);
      return;
    }
    const self = this;
    this.#unwatch ??= watch({
      subscribe: () => (this.#full ? this.#destination.hostWriter.subscribe() : reader.subscribe()),
      ready: () => this.#ready(reader),
      get ref() {
        return self.#ref;
      },
    });
  }

  pipe(destination, options) {
    if (destination.hostWriter) this.#destination = destination;
    return super.pipe(destination, options);
  }

  /** Moves bytes in the host, if they go from one of its streams to another. Returns whether it did. */
  #splice(reader) {
    const destination = this.#destination;
    const full = this.#full;
    this.#full = false;
    if (destination === null || destination.writableLength > 0 || !destination.writable) return false;
    const writer = destination.hostWriter;
    if (writer === null || writer.closed || !this.pipesOnlyTo(destination)) return false;
    const count = writer.splice(reader);
    if (count === null && !reader.closed) {
      destination.destroy(systemError('EPIPE', 'write'));
    } else if (count === 0) {
      // Nothing moved: either there is no room, or what was there is gone already.
      this.#full = !full;
    } else if (count > 0) {
      writer.flush();
    }
    return !reader.closed;
  }

  #ready(reader) {
    let more = true;
    try {
      if (this.#splice(reader)) return;
      const bytes = reader.read();
      if (bytes === null) {
        this.#stop();
        this.push(null);
        return;
      }
      if (bytes.length > 0) more = this.push(view(bytes));
    } catch (failure) {
      this.destroy(systemError(failure.code, 'read', failure.message));
      return;
    }
    if (!more) this.#stop();
  }

  #stop() {
    this.#unwatch?.();
    this.#unwatch = null;
    this.#full = false;
  }

  _destroy(error, callback) {
    this.#stop();
    // Taken and dropped, the pipe is closed: the child's next write fails.
    this.#open()?.close();
    callback(error);
  }

  /** Ends this stream because another child receives the pipe. */
  passOn() {
    this.#reader = null;
    this.destroy();
  }

  ref() {
    this.#ref = true;
    return this;
  }

  unref() {
    this.#ref = false;
    return this;
  }
}

/** Writes into a pipe of the host. */
export class PipeWritable extends Writable {
  #writer;
  #unwatch = null;

  constructor(writer) {
    super();
    this.#writer = writer;
    this.fd = -1;
  }

  /** The host's stream, for `PipeReadable`. */
  get hostWriter() {
    return this.#writer;
  }

  _write(chunk, encoding, callback) {
    let offset = 0;
    const step = () => {
      try {
        for (;;) {
          if (offset >= chunk.length) break;
          const count = this.#writer === null ? null : this.#writer.write(chunk, offset);
          if (count === null) {
            this.#stop();
            callback(systemError('EPIPE', 'write'));
            return;
          }
          if (count === 0) {
            this.#unwatch ??= watch({ subscribe: this.#writer.subscribe, ready: step, ref: true });
            return;
          }
          offset += count;
        }
      } catch (failure) {
        this.#stop();
        callback(systemError(failure.code, 'write', failure.message));
        return;
      }
      this.#stop();
      callback();
    };
    step();
  }

  #stop() {
    this.#unwatch?.();
    this.#unwatch = null;
  }

  _destroy(error, callback) {
    this.#stop();
    this.#writer?.close();
    callback(error);
  }
}

/** Writes all bytes to a stream of the component itself, and blocks until they are there. */
export function writeAll(writer, bytes) {
  let offset = 0;
  while (offset < bytes.length) {
    const count = writer.write(bytes, offset);
    if (count === null) return false;
    if (count === 0) poll([writer.subscribe]);
    else offset += count;
  }
  writer.flush();
  return true;
}
