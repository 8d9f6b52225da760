// AbortController for QuickJS, which has none.

import { aborted } from './errors.js';
import { setTimeout } from './timers.js';

export class AbortSignal {
  #listeners = new Map();
  aborted = false;
  reason = undefined;
  onabort = null;

  addEventListener(type, listener, options) {
    if (type !== 'abort' || this.#listeners.has(listener)) return;
    this.#listeners.set(listener, options === true ? false : Boolean(options?.once));
  }

  removeEventListener(type, listener) {
    if (type === 'abort') this.#listeners.delete(listener);
  }

  dispatchEvent(event) {
    this.onabort?.(event);
    for (const [listener, once] of [...this.#listeners]) {
      if (once) this.#listeners.delete(listener);
      if (typeof listener === 'function') Reflect.apply(listener, this, [event]);
      else listener.handleEvent(event);
    }
    return true;
  }

  throwIfAborted() {
    if (this.aborted) throw this.reason;
  }

  static abort(reason) {
    const controller = new AbortController();
    controller.abort(reason);
    return controller.signal;
  }

  static timeout(milliseconds) {
    const controller = new AbortController();
    const error = new Error('The operation was aborted due to timeout');
    error.name = 'TimeoutError';
    setTimeout(() => controller.abort(error), milliseconds).unref();
    return controller.signal;
  }

  static any(signals) {
    const controller = new AbortController();
    for (const signal of signals) {
      if (signal.aborted) controller.abort(signal.reason);
      else signal.addEventListener('abort', () => controller.abort(signal.reason), { once: true });
    }
    return controller.signal;
  }
}

export class AbortController {
  signal = new AbortSignal();

  abort(reason) {
    const { signal } = this;
    if (signal.aborted) return;
    signal.aborted = true;
    signal.reason = reason === undefined ? Object.assign(aborted(), { message: 'This operation was aborted' }) : reason;
    signal.dispatchEvent({ type: 'abort', target: signal });
  }
}
