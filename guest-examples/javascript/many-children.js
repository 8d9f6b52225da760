// Runs several children at once. The first one to end wins, and the others are killed.
//
// Usage: many-children PROGRAM ARG... starts PROGRAM once for each ARG.

import { spawn } from 'node:child_process';
import { once } from 'node:events';

const [program, ...args] = process.argv.slice(2);
const others = new AbortController();

const children = args.map(async (arg) => {
  const child = spawn(program, [arg], { stdio: 'ignore', signal: others.signal, killSignal: 'SIGKILL' });
  const [code, signal] = await once(child, 'exit');
  return { arg, ending: signal === null ? `exited with ${code}` : `was ended by ${signal}` };
});

try {
  const { arg, ending } = await Promise.race(children);
  console.log(`${program} ${arg}: ${ending}`);
} catch (error) {
  console.error(`${program}: ${error.code}`);
  process.exitCode = 1;
}
others.abort();
// Each child that was killed reports so.
await Promise.allSettled(children);
