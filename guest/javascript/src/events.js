// EventEmitter in the shape of `node:events`.

import { aborted, invalidType } from './errors.js';

function checkListener(listener) {
  if (typeof listener !== 'function') throw invalidType('listener', 'of type function', listener);
}

export class EventEmitter {
  #listeners = new Map();
  #limit = 10;

  static defaultMaxListeners = 10;

  #add(event, listener, first) {
    checkListener(listener);
    if (this.#listeners.has('newListener')) this.emit('newListener', event, listener.listener ?? listener);
    const list = this.#listeners.get(event) ?? [];
    // A new array: `emit` may be running through the old one.
    this.#listeners.set(event, first ? [listener, ...list] : [...list, listener]);
    return this;
  }

  on(event, listener) {
    return this.#add(event, listener, false);
  }

  addListener(event, listener) {
    return this.on(event, listener);
  }

  prependListener(event, listener) {
    return this.#add(event, listener, true);
  }

  #wrapped(event, listener) {
    checkListener(listener);
    const once = (...args) => {
      this.removeListener(event, once);
      return Reflect.apply(listener, this, args);
    };
    once.listener = listener;
    return once;
  }

  once(event, listener) {
    return this.on(event, this.#wrapped(event, listener));
  }

  prependOnceListener(event, listener) {
    return this.prependListener(event, this.#wrapped(event, listener));
  }

  removeListener(event, listener) {
    checkListener(listener);
    const list = this.#listeners.get(event) ?? [];
    const index = list.findLastIndex((each) => each === listener || each.listener === listener);
    if (index < 0) return this;
    if (list.length === 1) this.#listeners.delete(event);
    else this.#listeners.set(event, list.toSpliced(index, 1));
    if (this.#listeners.has('removeListener')) this.emit('removeListener', event, listener);
    return this;
  }

  off(event, listener) {
    return this.removeListener(event, listener);
  }

  removeAllListeners(event) {
    if (event === undefined) this.#listeners.clear();
    else this.#listeners.delete(event);
    return this;
  }

  emit(event, ...args) {
    const list = this.#listeners.get(event);
    if (list === undefined) {
      if (event !== 'error') return false;
      if (args[0] instanceof Error) throw args[0];
      const error = new Error(`Unhandled error. (${String(args[0])})`);
      error.code = 'ERR_UNHANDLED_ERROR';
      error.context = args[0];
      throw error;
    }
    for (const listener of list) Reflect.apply(listener, this, args);
    return true;
  }

  listenerCount(event) {
    return this.#listeners.get(event)?.length ?? 0;
  }

  listeners(event) {
    return (this.#listeners.get(event) ?? []).map((each) => each.listener ?? each);
  }

  rawListeners(event) {
    return [...(this.#listeners.get(event) ?? [])];
  }

  eventNames() {
    return [...this.#listeners.keys()];
  }

  setMaxListeners(limit) {
    this.#limit = limit;
    return this;
  }

  getMaxListeners() {
    return this.#limit;
  }
}

/** Resolves with the arguments of the next event; rejects with the next `error`, or if it is aborted. */
export function once(emitter, event, { signal } = {}) {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(aborted(signal.reason));
      return;
    }
    const end = (settle, value) => {
      emitter.removeListener(event, done);
      emitter.removeListener('error', failed);
      signal?.removeEventListener('abort', stopped);
      settle(value);
    };
    const done = (...args) => end(resolve, args);
    const failed = (error) => end(reject, error);
    const stopped = () => end(reject, aborted(signal.reason));
    emitter.once(event, done);
    if (event !== 'error') emitter.once('error', failed);
    signal?.addEventListener('abort', stopped);
  });
}

/** Iterates over the arguments of each event. Ends with an `error`, an abort, or one of `close`. */
export function on(emitter, event, { signal, close = [] } = {}) {
  const values = [];
  let wake = null;
  let failure;
  let ended = false;
  const push = (...args) => {
    values.push(args);
    wake?.();
  };
  const fail = (error) => {
    failure = { error };
    wake?.();
  };
  const end = () => {
    ended = true;
    wake?.();
  };
  const abort = () => fail(aborted(signal.reason));
  emitter.on(event, push);
  emitter.on('error', fail);
  for (const name of close) emitter.on(name, end);
  if (signal?.aborted) abort();
  signal?.addEventListener('abort', abort);
  return (async function* events() {
    try {
      for (;;) {
        if (values.length > 0) yield values.shift();
        else if (failure) throw failure.error;
        else if (ended) return;
        else await new Promise((resolve) => { wake = resolve; });
      }
    } finally {
      emitter.removeListener(event, push);
      emitter.removeListener('error', fail);
      for (const name of close) emitter.removeListener(name, end);
      signal?.removeEventListener('abort', abort);
    }
  })();
}

EventEmitter.EventEmitter = EventEmitter;
EventEmitter.once = once;
EventEmitter.on = on;

export default EventEmitter;
