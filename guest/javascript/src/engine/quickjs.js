// What differs in QuickJS (componentize-qjs).

/** Returns a value of the type `u64` of the interface. */
export function u64(number) {
  return number;
}

let ends;
const BYTE = new Uint8Array(1);

/**
 * Resolves when no job of a promise is left to run.
 *
 * The engine waits for the host only when its queue is empty, and learns from the host that a byte
 * has passed through a stream. So one byte through a stream of our own is one turn. A timer of the
 * host would do, but takes a millisecond or more.
 */
export function turn() {
  const { wit } = globalThis;
  ends ??= wit.Stream(wit.Stream.U8);
  const read = ends.readable.read(1);
  ends.writable.write(BYTE);
  return read;
}

/** Returns the error value of the interface that a failed call has thrown. */
export function payload(thrown) {
  return thrown?.payload ?? thrown;
}
