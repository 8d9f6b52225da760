import { aborted } from '../errors.js';
import * as timers from '../timers.js';

/** Resolves with the value after the time; rejects if it is aborted. */
export function setTimeout(milliseconds, value, { signal, ref = true } = {}) {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(aborted(signal.reason));
      return;
    }
    const stop = () => {
      timer.close();
      reject(aborted(signal.reason));
    };
    const timer = timers.setTimeout(() => {
      signal?.removeEventListener('abort', stop);
      resolve(value);
    }, milliseconds);
    if (!ref) timer.unref();
    signal?.addEventListener('abort', stop, { once: true });
  });
}

export function setImmediate(value) {
  return new Promise((resolve) => { timers.setImmediate(resolve, value); });
}

export async function* setInterval(milliseconds, value, options) {
  for (;;) yield await setTimeout(milliseconds, value, options);
}

export default { setImmediate, setInterval, setTimeout };
