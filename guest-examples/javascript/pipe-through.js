// A filter: copies standard input to a program, and its output to standard output.
//
// Usage: pipe-through PROGRAM [ARGS]...
//
// Both directions run at once and may have any length; the pipes are the only buffers.

import { spawn } from 'node:child_process';

const [program, ...args] = process.argv.slice(2);
const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });

child.on('error', (error) => {
  console.error(`pipe-through: ${program}: ${error.code}`);
  process.exitCode = 1;
});
child.on('close', (code, signal) => {
  if (signal !== null) console.error(`pipe-through: ${program} was ended by ${signal}`);
  // The input may have more, which nobody reads.
  process.exit(process.exitCode ?? code ?? 1);
});

// A program may end before it has read all, which is no error of a filter.
child.stdin.on('error', () => {});
process.stdin.pipe(child.stdin);
child.stdout.pipe(process.stdout);
