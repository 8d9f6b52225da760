// Sets a time limit, and distinguishes a timeout from a crash.
//
// Usage: with-timeout MILLISECONDS PROGRAM [ARGS]...

import { spawnSync } from 'node:child_process';

const [milliseconds, program, ...args] = process.argv.slice(2);

// The grant's limit still applies: a component can request less time, but not more.
const { error, status, signal } = spawnSync(program, args, { timeout: Number(milliseconds) });
if (error?.code === 'ETIMEDOUT') {
  console.log('too slow');
} else if (error) {
  console.log(`${program} did not run: ${error.code}`);
} else if (status === 0) {
  console.log('in time');
} else {
  console.log('failed in time:', signal === null ? `exited with ${status}` : `was ended by ${signal}`);
}
