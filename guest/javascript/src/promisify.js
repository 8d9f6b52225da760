// `promisify` of `node:util`.

import { invalidType } from './errors.js';

/** The property under which a function has its own form that returns a promise. */
export const promisifyCustom = Symbol.for('nodejs.util.promisify.custom');

export function promisify(original) {
  if (typeof original !== 'function') throw invalidType('original', 'of type function', original);
  const custom = original[promisifyCustom];
  if (custom !== undefined) {
    if (typeof custom !== 'function') throw invalidType('util.promisify.custom', 'of type function', custom);
    return custom;
  }
  return function promisified(...args) {
    return new Promise((resolve, reject) => {
      Reflect.apply(original, this, [...args, (error, value) => (error ? reject(error) : resolve(value))]);
    });
  };
}

promisify.custom = promisifyCustom;
