// Streams that a child inherits: the library copies them, since a component and its children share no
// descriptors.

import { watch } from './loop.js';
import { ownInput, writeOwn } from './own.js';

/** Copies a child's output to the component's own while the loop runs; calls `done` at its end. */
export function copyOutput(reader, fd, done) {
  const unwatch = watch({
    subscribe: reader.subscribe,
    ref: true,
    ready() {
      const bytes = readOrEnd(reader);
      if (bytes !== null) {
        writeOwn(fd, bytes);
        return;
      }
      unwatch();
      reader.close();
      done();
    },
  });
}

function readOrEnd(reader) {
  try {
    return reader.read();
  } catch {
    return null;
  }
}

/**
 * Copies the component's input to a child while the loop runs. Returns a function that ends the copy.
 *
 * What was read and the child does not take is lost to the component.
 */
export function copyInput(writer) {
  const input = ownInput();
  let rest = null;
  let unwatch = () => {};
  const end = () => {
    unwatch();
    writer.close();
  };
  const step = () => {
    try {
      if (rest === null) {
        const bytes = input.read();
        if (bytes === null) return end();
        rest = bytes.length > 0 ? bytes : null;
      }
      if (rest !== null) {
        const count = writer.write(rest);
        if (count === null) return end();
        rest = count < rest.length ? rest.subarray(count) : null;
      }
    } catch {
      end();
    }
    return undefined;
  };
  unwatch = watch({
    // A child that ends needs no more of it, so this keeps nothing running.
    ref: false,
    subscribe: () => (rest === null ? input.subscribe() : writer.subscribe()),
    ready: step,
  });
  return end;
}
