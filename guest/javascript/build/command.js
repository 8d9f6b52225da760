#!/usr/bin/env node
// The command `capspawn-javascript`.

import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';

import { build, engines, wit } from './build.js';

const USAGE = `usage: capspawn-javascript build PROGRAM [-o FILE] [--engine ENGINE] [--minify]
       capspawn-javascript wit

build  makes a component of a program and of all modules that it imports.
       -o FILE          the component [default: PROGRAM with .wasm]
       --engine ENGINE  ${engines.join(' or ')} [default: ${engines[0]}]
       --minify         shortens the program's text
wit    prints the folder of the interfaces.
`;

const OPTIONS = {
  output: { type: 'string', short: 'o' },
  engine: { type: 'string', default: engines[0] },
  minify: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
};

async function main() {
  const { values, positionals } = parseArgs({ options: OPTIONS, allowPositionals: true });
  const [action, program, ...more] = positionals;
  if (values.help) {
    process.stdout.write(USAGE);
  } else if (action === 'wit' && program === undefined) {
    console.log(wit);
  } else if (action === 'build' && program !== undefined && more.length === 0) {
    const output = values.output ?? `${program.replace(/\.[cm]?[jt]sx?$/, '')}.wasm`;
    await writeFile(output, await build(program, values));
  } else {
    process.stderr.write(USAGE);
    process.exitCode = 2;
  }
}

try {
  await main();
} catch (error) {
  // esbuild's errors have the place of each one.
  const lines = error.errors?.map(({ text, location }) => (location ? `${location.file}:${location.line}: ${text}` : text));
  process.stderr.write(`capspawn-javascript: ${lines?.length ? lines.join('\n') : error.message}\n`);
  process.exitCode = 1;
}
