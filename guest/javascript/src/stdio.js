// The option `stdio`: where the three standard streams of a child come from and go to.

import { invalidValue, unsupported } from './errors.js';
import { PipeReadable } from './pipe-streams.js';

const NAMES = ['stdin', 'stdout', 'stderr'];

function string(stdio, fallback) {
  const kind = stdio === 'overlapped' ? 'pipe' : (stdio ?? fallback);
  if (kind !== 'pipe' && kind !== 'ignore' && kind !== 'inherit') throw invalidValue('stdio', stdio);
  return [kind, kind, kind];
}

/** Returns the plan of one stream: `{ kind }` for the host, and what the library does with it. */
function one(value, index, fallback) {
  const name = `options.stdio[${index}]`;
  if (value === undefined || value === null) return one(fallback, index);
  if (value === 'pipe' || value === 'overlapped') return { kind: 'piped', use: 'pipe' };
  if (value === 'ignore') return { kind: 'null' };
  if (value === 'inherit') return inherited(index, index);
  if (value === 'ipc') throw unsupported("stdio 'ipc'", 'a child shares no channel with it but its standard streams');
  if (typeof value === 'number') {
    const valid = index === 0 ? value === 0 : value === 1 || value === 2;
    if (!valid) {
      throw unsupported(`the descriptor ${value} as ${NAMES[index]}`, 'its descriptors are not those of the host');
    }
    return inherited(index, value);
  }
  if (typeof value !== 'object') throw invalidValue(name, value);
  const { file } = value;
  if (typeof file === 'string') {
    if (file.includes('\0')) throw invalidValue(name, file, 'must be a string without null bytes');
    return { kind: 'file', file, append: Boolean(value.append) };
  }
  if (value instanceof PipeReadable && index === 0) {
    return value.fd === 0 ? inherited(0, 0) : { kind: 'piped', use: 'join', from: value };
  }
  if (index > 0 && (value.fd === 1 || value.fd === 2)) return inherited(index, value.fd);
  if (typeof value.on === 'function') {
    throw unsupported('this stream as stdio', "it is not the output of a child; use 'pipe' and its method pipe");
  }
  throw invalidValue(name, value);
}

function inherited(index, fd) {
  return { kind: 'piped', use: 'inherit', fd };
}

/**
 * Returns the plans of the three streams. `fallback` is for those that the program does not name.
 *
 * Two outputs that go to one place share a pipe, which keeps the order of what is written.
 */
export function plans(stdio, fallback = 'pipe') {
  const values = Array.isArray(stdio) ? [...stdio] : string(stdio, fallback);
  values.slice(3).forEach((value, index) => {
    if (value === 'ipc') one(value, index + 3);
    if (value !== undefined && value !== null && value !== 'ignore') {
      throw unsupported(`stdio[${index + 3}]`, 'a child receives its three standard streams and nothing else');
    }
  });
  const [stdin, stdout, stderr] = [0, 1, 2].map((index) => one(values[index], index, fallback));
  if (stdout.use === 'inherit' && stderr.use === 'inherit' && stdout.fd === stderr.fd) {
    return [stdin, stdout, { kind: 'merged' }];
  }
  return [stdin, stdout, stderr];
}
