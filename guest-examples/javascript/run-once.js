// The shortest way: one call runs a program to its end.
//
// Usage: run-once PROGRAM [ARGS]...

import { spawnSync } from 'node:child_process';

const [program, ...args] = process.argv.slice(2);
if (program === undefined) {
  console.error('usage: run-once PROGRAM [ARGS]...');
  process.exit(1);
}

const { error, stdout, status, signal } = spawnSync(program, args);
if (error) {
  // The grant does not list the program, or refuses an argument; the operator sees which.
  console.log(`${program} did not run: ${error.code}`);
} else {
  // A program that ran and failed is a result, not an error.
  process.stdout.write(stdout);
  console.log(program, signal === null ? `exited with ${status}` : `was ended by ${signal}`);
}
