// The options of a child, checked: what may be passed on is a string, a number or a list of those.

import { invalidType, invalidValue, outOfRange, unsupported } from './errors.js';
import { changedVariables } from './own.js';
import { checkSignal } from './children.js';

const SHELL = '/bin/sh';

function string(name, value) {
  if (typeof value !== 'string') throw invalidType(name, 'of type string', value);
  if (value.includes('\0')) throw invalidValue(name, value, 'must be a string without null bytes');
  return value;
}

/** Returns a list of arguments as strings. */
function list(args) {
  // A copy through the length: an iterator or a getter of the program's could return anything.
  return Array.from({ length: args.length }, (_, index) => string(`args[${index}]`, `${args[index]}`));
}

function directory(cwd) {
  if (cwd === undefined || cwd === null) return undefined;
  if (typeof cwd === 'object' && cwd.protocol === 'file:' && typeof cwd.pathname === 'string') {
    return string('options.cwd', decodeURIComponent(cwd.pathname));
  }
  return string('options.cwd', cwd);
}

function variables(env) {
  if (env === undefined || env === null) return changedVariables();
  if (typeof env !== 'object') throw invalidType('options.env', 'of type object', env);
  const pairs = [];
  // As in Node, inherited properties count.
  for (const name in env) {
    const value = env[name];
    if (value === undefined) continue;
    string(`options.env['${name}']`, name);
    pairs.push([name, string(`options.env['${name}']`, `${value}`)]);
  }
  return pairs;
}

function bool(name, value) {
  if (value !== undefined && value !== null && typeof value !== 'boolean') {
    throw invalidType(name, 'of type boolean', value);
  }
}

const ABSENT = {
  uid: 'the host decides which user a child runs as',
  gid: 'the host decides which group a child runs as',
};

function timeoutOf(value) {
  if (value === undefined || value === null) return 0;
  if (typeof value !== 'number') throw invalidType('timeout', 'of type number', value);
  if (!Number.isInteger(value) || value < 0) throw outOfRange('timeout', 'an unsigned integer', value);
  return value;
}

function maxBufferOf(value) {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'number') throw invalidType('options.maxBuffer', 'of type number', value);
  if (!(value >= 0)) throw outOfRange('options.maxBuffer', 'a positive number', value);
  return value;
}

function signalOf(value) {
  if (value === undefined || value === null) return 'SIGTERM';
  if (typeof value !== 'string' && typeof value !== 'number') {
    throw invalidType('options.killSignal', 'of type string or number', value);
  }
  return checkSignal(value);
}

function abortSignalOf(value) {
  if (value === undefined) return undefined;
  if (typeof value !== 'object' || value === null || !('aborted' in value)) {
    throw invalidType('options.signal', 'an instance of AbortSignal', value);
  }
  return value;
}

/** Separates `file, [args], [options]`; what follows is `rest`. */
export function parameters(args) {
  let [, second, ...rest] = args;
  let list_ = [];
  if (Array.isArray(second)) {
    list_ = second;
  } else if (second === undefined || second === null) {
    // `spawn(file, undefined, options)`
  } else if (typeof second === 'object') {
    rest = [second, ...rest];
  } else if (typeof second === 'function') {
    rest = [undefined, second];
  } else {
    throw invalidType('args', 'of type object', second);
  }
  return { list: list_, rest };
}

/** Returns the checked request of one child. Throws a TypeError or a RangeError. */
export function checked(file, args, options) {
  if (options !== undefined && options !== null && typeof options !== 'object') {
    throw invalidType('options', 'of type object', options);
  }
  const given = { ...options };
  string('file', file);
  if (file === '') throw invalidValue('file', file, 'cannot be empty');
  for (const name of ['detached', 'windowsHide', 'windowsVerbatimArguments']) {
    bool(`options.${name}`, given[name]);
  }
  for (const [name, reason] of Object.entries(ABSENT)) {
    if (given[name] !== undefined && given[name] !== null) throw unsupported(`options.${name}`, reason);
  }
  const { shell, argv0 } = given;
  if (shell !== undefined && shell !== null && typeof shell !== 'boolean' && typeof shell !== 'string') {
    throw invalidType('options.shell', 'one of type boolean or string', shell);
  }
  if (argv0 !== undefined && argv0 !== null) string('options.argv0', argv0);
  let program = file;
  let words = list(args);
  if (shell) {
    const command = [file, ...words].join(' ');
    program = typeof shell === 'string' ? string('options.shell', shell) : SHELL;
    words = ['-c', command];
  }
  return {
    file: program,
    args: words,
    arg0: argv0 ?? undefined,
    spawnargs: [argv0 ?? program, ...words],
    env: variables(given.env),
    cwd: directory(given.cwd),
    timeout: timeoutOf(given.timeout),
    maxBuffer: maxBufferOf(given.maxBuffer),
    killSignal: signalOf(given.killSignal),
    abort: abortSignalOf(given.signal),
    detached: Boolean(given.detached),
    stdio: given.stdio,
    encoding: given.encoding,
    input: given.input,
  };
}
