// Timers in the shape of Node's, on the loop of this library.

import { now } from './border.js';
import { invalidType } from './errors.js';
import * as loop from './loop.js';

const LONGEST_MS = 2 ** 31 - 1;

function delay(milliseconds) {
  const number = Number(milliseconds);
  return number >= 1 && number <= LONGEST_MS ? number : 1;
}

let lastId = 0;
const byId = new Map();

/** What `setTimeout` and `setInterval` return. */
export class Timeout {
  constructor(callback, milliseconds, args, repeat) {
    if (typeof callback !== 'function') throw invalidType('callback', 'of type function', callback);
    this.id = ++lastId;
    this.callback = callback;
    this.milliseconds = delay(milliseconds);
    this.args = args;
    this.repeat = repeat;
    this.ref_ = true;
    this.refresh();
  }

  fire() {
    if (this.repeat) this.when = now() + this.milliseconds;
    else this.close();
    this.callback(...this.args);
  }

  refresh() {
    this.when = now() + this.milliseconds;
    byId.set(this.id, this);
    loop.addTimer(this.entry ??= new Entry(this));
    return this;
  }

  close() {
    byId.delete(this.id);
    if (this.entry) loop.removeTimer(this.entry);
    return this;
  }

  ref() {
    this.ref_ = true;
    return this;
  }

  unref() {
    this.ref_ = false;
    return this;
  }

  hasRef() {
    return this.ref_;
  }

  [Symbol.toPrimitive]() {
    return this.id;
  }

  [Symbol.dispose ?? Symbol.for('Symbol.dispose')]() {
    this.close();
  }
}

/** The loop's view of a timeout, whose own `ref` is a method. */
class Entry {
  constructor(timeout) {
    this.timeout = timeout;
  }

  get when() {
    return this.timeout.when;
  }

  get ref() {
    return this.timeout.ref_;
  }

  fire() {
    this.timeout.fire();
  }
}

export function setTimeout(callback, milliseconds, ...args) {
  return new Timeout(callback, milliseconds, args, false);
}

export function setInterval(callback, milliseconds, ...args) {
  return new Timeout(callback, milliseconds, args, true);
}

export function clearTimeout(timeout) {
  if (timeout instanceof Timeout) timeout.close();
  else if (typeof timeout === 'number' || typeof timeout === 'string') byId.get(Number(timeout))?.close();
}

export { clearTimeout as clearInterval };

class Immediate {
  constructor(callback, args) {
    if (typeof callback !== 'function') throw invalidType('callback', 'of type function', callback);
    this.cleared = false;
    loop.later(() => {
      if (!this.cleared) callback(...args);
    });
  }

  ref() {
    return this;
  }

  unref() {
    return this;
  }

  hasRef() {
    return true;
  }
}

export function setImmediate(callback, ...args) {
  return new Immediate(callback, args);
}

export function clearImmediate(immediate) {
  if (immediate instanceof Immediate) immediate.cleared = true;
}
