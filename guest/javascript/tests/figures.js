// What the library costs: 8 MB both ways against the Rust guest, sizes, and starts.
//
// Each figure is a median, and what is compared is measured in turns. Nothing fails because of a figure.

import { randomBytes } from 'node:crypto';
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';

import { call, check, component, EXAMPLES, HERE, report, ROOT, run } from './workshop.js';

const TURNS = 9;

function seconds(wasm, args, options) {
  const start = process.hrtime.bigint();
  const result = run(wasm, args, options);
  check(result.status === 0, report(result));
  return Number(process.hrtime.bigint() - start) / 1e6;
}

/** Measures in turns, so that a busy machine slows all alike. */
function medians(measures) {
  const times = measures.map(() => []);
  for (const measure of measures) measure();
  for (let turn = 0; turn < TURNS; turn++) measures.forEach((measure, index) => times[index].push(measure()));
  return times.map((list) => list.sort((a, b) => a - b)[TURNS >> 1]);
}

function row(name, ...cells) {
  return `| ${[name, ...cells].join(' | ')} |`;
}

export function figures() {
  const rust = join(ROOT, 'target/guests/pipe-through.wasm');
  if (!existsSync(rust)) call('cargo', ['build', '--quiet', '-p', 'e2e'], { cwd: ROOT });
  const options = { grants: join(HERE, 'examples.toml'), component: 'pipe-through' };
  const data = randomBytes(8_000_000);
  const cases = [['Rust, `pipe-through`', rust, ['cat'], ['cat']]];
  for (const engine of ['quickjs', 'starlingmonkey']) {
    const stream = component(join(EXAMPLES, 'pipe-through.js'), engine);
    cases.push([`${engine}, \`pipe-through\``, stream, ['cat'], ['cat']]);
    cases.push([`${engine}, \`spawnSync\` with \`input\``, component(join(HERE, 'both-ways.js'), engine), ['8'], ['0']]);
  }
  const measured = medians(cases.flatMap(([, wasm, full, none], index) => {
    const streams = index === 0 || wasm.includes('pipe-through');
    return [
      () => seconds(wasm, full, { ...options, input: streams ? data : '' }),
      () => seconds(wasm, none, options),
    ];
  }));
  const transfers = cases.map((_, index) => measured[2 * index] - measured[2 * index + 1]);
  const empty = ['quickjs', 'starlingmonkey'].map((engine) => component(join(HERE, 'empty.js'), engine));
  const starts = medians(empty.map((wasm) => () => seconds(wasm, [], {})));
  return [
    'Medians of whole runs of the command (a debug build), in turns. The transfer is the run with 8 MB less that with nothing.',
    '',
    row('8 MB both ways', 'Transfer', 'Ratio to Rust'), row('---', '---', '---'),
    ...cases.map(([name], index) => row(name, `${transfers[index].toFixed(0)} ms`, (transfers[index] / transfers[0]).toFixed(1))),
    '',
    row('An empty program', 'Component', 'Run'), row('---', '---', '---'),
    ...['quickjs', 'starlingmonkey'].map((engine, index) => row(engine, `${(statSync(empty[index]).size / 1e6).toFixed(1)} MB`, `${starts[index].toFixed(0)} ms`)),
  ];
}
