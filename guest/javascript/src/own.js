// The component itself: its streams, arguments and variables, and its end.

import * as border from './border.js';
import { writeAll } from './pipe-streams.js';

const outputs = [null, null, null];

/** Returns the writer of standard output (1) or standard error (2), which exists once. */
export function ownOutput(stream) {
  outputs[stream] ??= border.ownOutput(stream);
  return outputs[stream];
}

/** Writes bytes to standard output (1) or standard error (2), and blocks until they are written. */
export function writeOwn(stream, bytes) {
  return writeAll(ownOutput(stream), bytes);
}

let input = null;

/** Returns the reader of the component's standard input, which exists once. */
export function ownInput() {
  input ??= border.ownInput();
  return input;
}

// The environment that the operator gave to the component (`--env`). It is the component's own: a child
// receives of it what the program changed, and what the grant sets.
const given = new Map();

/** The variables of the program: `process.env`. */
export const env = {};

/** `process.argv`: an engine, a program, and the arguments. */
export const argv = ['/usr/bin/node', '/program.js'];

/** Reads what the operator gave. Called once, when the component starts. */
export function begin() {
  for (const [name, value] of border.ownEnvironment()) {
    given.set(name, value);
    env[name] = value;
  }
  argv.push(...border.ownArguments().slice(1));
}

/** Returns the variables that the program has set or changed, pairs of strings. */
export function changedVariables() {
  return Object.entries(env).filter(([name, value]) => value !== undefined && given.get(name) !== `${value}`);
}
