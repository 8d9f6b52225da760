// Connects children without a shell: the output of one is the input of the next.
//
// Usage: pipeline PROGRAM [ARGS]... [: PROGRAM [ARGS]...]...

import { spawn } from 'node:child_process';

const commands = [[]];
for (const word of process.argv.slice(2)) {
  if (word === ':') commands.push([]);
  else commands.at(-1).push(word);
}
if (!commands.every((command) => command.length > 0)) {
  console.error('usage: pipeline PROGRAM [ARGS]... [: PROGRAM [ARGS]...]...');
  process.exit(2);
}

let source = 'ignore';
commands.forEach(([program, ...args], index) => {
  const last = index === commands.length - 1;
  // The host connects both children, and this program copies nothing.
  const child = spawn(program, args, { stdio: [source, last ? 'inherit' : 'pipe', 'inherit'] });
  source = child.stdout;
  child.on('error', (error) => {
    console.error(`pipeline: ${program}: ${error.code}`);
    process.exitCode = 1;
  });
  child.on('exit', (code, signal) => {
    if (code === 0) return;
    // As with `pipefail` in a shell, one failed program fails the pipeline.
    console.error(`pipeline: ${program} ${signal === null ? `returned ${code}` : `was ended by ${signal}`}`);
    process.exitCode = 1;
  });
});
