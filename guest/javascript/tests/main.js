// The tests of the JavaScript library. `guest/javascript/test` calls this; its text explains the arguments.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { figures } from './figures.js';
import { behaviour, border, examples, packaged } from './groups.js';
import { Failure, PACKAGE } from './workshop.js';

const GROUPS = { package: packaged, examples, behaviour, border, figures };
const BOUNDED = ['package', 'examples', 'behaviour', 'border'];

const bounded = process.argv.includes('--bounded');
const bless = process.argv.includes('--bless');
const names = process.argv.slice(2).filter((name) => !name.startsWith('--'));
const unknown = names.filter((name) => !Object.hasOwn(GROUPS, name));
if (unknown.length > 0) {
  console.error(`no such group: ${unknown.join(', ')}`);
  process.exit(2);
}

const results = {};
let failed = 0;
for (const name of names.length > 0 ? names : bounded ? BOUNDED : Object.keys(GROUPS)) {
  const start = Date.now();
  try {
    results[name] = GROUPS[name](bounded);
    console.log(`${name}: ok in ${Math.round((Date.now() - start) / 1000)} s`);
    for (const line of results[name]) console.log(`  ${line}`);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    failed++;
    console.log(`${name}: FAILED\n${error.message}\n`);
  }
}
if (bless && failed === 0) write();
console.log(`${Object.keys(results).length} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;

/** Writes the results of these groups into RESULTS.md, and keeps those of others. */
function write() {
  const file = join(PACKAGE, 'RESULTS.md');
  let text = '';
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
  }
  const kept = Object.fromEntries(text.split('\n## ').slice(1).map((part) => {
    const end = part.indexOf('\n');
    return [part.slice(0, end), part.slice(end).trim()];
  }));
  for (const [name, lines] of Object.entries(results)) kept[name] = lines.join('\n');
  const parts = Object.keys(GROUPS).filter((name) => name in kept).map((name) => `\n## ${name}\n\n${kept[name]}\n`);
  writeFileSync(file, `# Results\n\nWritten by \`guest/javascript/test --bless\`.\n${parts.join('')}`);
}
