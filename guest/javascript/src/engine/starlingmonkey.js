// What differs in StarlingMonkey (componentize-js).

// The engine's own timer: `globals.js` puts another function under the global name.
const engineTimeout = globalThis.setTimeout;

/** Returns a value of the type `u64` of the interface. */
export function u64(number) {
  return BigInt(number);
}

/** Resolves when no job of a promise is left to run. */
export function turn() {
  return new Promise((resolve) => engineTimeout(resolve, 0));
}

/** Returns the error value of the interface that a failed call has thrown. */
export function payload(thrown) {
  return thrown?.payload;
}
