// The ways in which a program ends. Usage: ends WAY. Runs inside a component.

import { spawn } from 'node:child_process';

const WAYS = {
  returns: () => {},
  code: () => { process.exitCode = 3; },
  exit: () => { setTimeout(() => process.exit(4), 1); },
  throws: () => { throw new Error('in words'); },
  listener: () => { spawn('echo').on('exit', () => { throw new Error('of a listener'); }); },
  unheard: () => { spawn('no-such'); },
  waits: () => new Promise(() => {}),
};

process.on('beforeExit', () => console.log('beforeExit'));
process.on('exit', (code) => console.log('exit', code));
await WAYS[process.argv[2]]();
