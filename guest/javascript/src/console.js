// `console`, on the component's standard output and standard error.

import { now } from './border.js';
import { format } from './inspect.js';
import { writeOwn } from './own.js';
import { encode } from './text.js';

let indent = '';
const counts = new Map();
const times = new Map();

function print(stream, values) {
  const text = format(...values);
  writeOwn(stream, encode(`${indent}${text.replaceAll('\n', `\n${indent}`)}\n`));
}

const out = (...values) => print(1, values);
const error = (...values) => print(2, values);

export const console = {
  log: out,
  info: out,
  debug: out,
  dir: (value) => out(value),
  error,
  warn: error,
  trace: (...values) => error(`Trace: ${format(...values)}\n${new Error().stack}`),
  assert(condition, ...values) {
    if (!condition) error(values.length > 0 ? `Assertion failed: ${format(...values)}` : 'Assertion failed');
  },
  table: (value) => out(value),
  group(...values) {
    if (values.length > 0) out(...values);
    indent += '  ';
  },
  groupEnd() {
    indent = indent.slice(2);
  },
  count(label = 'default') {
    counts.set(label, (counts.get(label) ?? 0) + 1);
    out(`${label}: ${counts.get(label)}`);
  },
  countReset: (label = 'default') => counts.delete(label),
  time: (label = 'default') => times.set(label, now()),
  timeLog(label = 'default', ...values) {
    out(`${label}: ${(now() - (times.get(label) ?? now())).toFixed(3)}ms`, ...values);
  },
  timeEnd(label = 'default') {
    console.timeLog(label);
    times.delete(label);
  },
};
