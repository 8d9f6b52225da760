// The names that a program of Node finds without an import. This module has an effect and no exports.

import { AbortController, AbortSignal } from './abort.js';
import { Buffer, StringDecoder } from './buffer.js';
import { console } from './console.js';
import { process } from './process.js';
import { encode } from './text.js';
import * as timers from './timers.js';

class TextEncoder {
  encoding = 'utf-8';

  encode(string = '') {
    return encode(`${string}`);
  }
}

class TextDecoder {
  #decoder;

  constructor(label = 'utf-8') {
    this.encoding = label;
    this.#decoder = new StringDecoder(label);
  }

  decode(bytes, options) {
    const view = bytes === undefined ? Buffer.alloc(0) : ArrayBuffer.isView(bytes) ? bytes : new Uint8Array(bytes);
    const text = options?.stream ? this.#decoder.write(view) : this.#decoder.end(view);
    return text.replace(/^\ufeff/, '');
  }
}

const ALWAYS = {
  Buffer, console, process, setTimeout: timers.setTimeout, setInterval: timers.setInterval,
  setImmediate: timers.setImmediate, clearTimeout: timers.clearTimeout, clearInterval: timers.clearInterval,
  clearImmediate: timers.clearImmediate, global: globalThis,
};
const IF_ABSENT = { AbortController, AbortSignal, TextEncoder, TextDecoder };

for (const [name, value] of Object.entries(ALWAYS)) {
  Object.defineProperty(globalThis, name, { value, writable: true, configurable: true, enumerable: false });
}
for (const [name, value] of Object.entries(IF_ABSENT)) {
  if (globalThis[name] === undefined) {
    Object.defineProperty(globalThis, name, { value, writable: true, configurable: true, enumerable: false });
  }
}
