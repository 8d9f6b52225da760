// Errors as Node reports them: errno values of Linux, their names and their texts.

const ERRNO = {
  EPERM: 1, ENOENT: 2, ESRCH: 3, EIO: 5, E2BIG: 7, ENOEXEC: 8, EBADF: 9, EAGAIN: 11, ENOMEM: 12,
  EACCES: 13, EINVAL: 22, EPIPE: 32, EDEADLK: 35, ENOSYS: 38, ENOTSUP: 95, ENOBUFS: 105, ETIMEDOUT: 110,
};

const TEXTS = {
  EBADF: 'bad file descriptor',
  EINVAL: 'invalid argument',
  EPIPE: 'broken pipe',
  ENOSYS: 'function not implemented',
  ESRCH: 'no such process',
};

/** The errno values that `node:os` has as `constants.errno`. */
export const errnoValues = Object.freeze({ ...ERRNO });

// One row for each case of `error-code` without a value of its own.
const CODES = {
  'no-entry': ['ENOENT', 'the granted program or its loader does not exist'],
  'not-executable': ['ENOEXEC', 'the program changed after the grant, or cannot run here'],
  'working-directory-not-found': ['ENOENT', 'the child sees no directory at this path'],
  'invalid-argument': ['EINVAL', 'the host does not accept a name, a value or a stream'],
  'too-big': ['E2BIG', 'the arguments or variables are larger than the host accepts'],
  'insufficient-memory': ['ENOMEM', 'the host has no memory for the child'],
  'sandbox-unavailable': ['EPERM', 'the host cannot confine the program as the grant requires'],
  'invalid-state': ['EBADF', 'the stream was taken before'],
  'broken-pipe': ['EPIPE', 'the child closed its end of the stream'],
  unsupported: ['ENOTSUP', 'the host does not support this'],
  other: ['EIO', 'the host could not start the program'],
};

/**
 * The host refused a request. `code` is the POSIX analogue, `item` the part of the request that the
 * grant refuses, and `reason` a line for people.
 *
 * A command that the grant does not list is ENOENT and not EACCES: for the component it does not
 * exist, and programs that look for an optional tool expect ENOENT.
 */
export class Refused extends Error {
  constructor(code, reason, item) {
    super(reason);
    this.code = code;
    this.item = item;
  }
}

/** Returns the error for an `error-code` of the interface. */
export function refused(value) {
  const { tag, val } = value ?? {};
  if (tag === 'access-denied') {
    const code = val === 'program' ? 'ENOENT' : 'EACCES';
    return new Refused(code, `the grant does not allow the ${String(val).replace('-', ' ')}`, val);
  }
  if (tag === 'quota-exceeded') {
    return new Refused('EAGAIN', `the quota ${val} is used up`);
  }
  const [code, reason] = CODES[tag] ?? CODES.other;
  return new Refused(code, tag === 'other' && val ? String(val) : reason);
}

/** Returns an error of a system call: `spawn git ENOENT`, with `code`, `errno` and `syscall`. */
export function systemError(code, syscall, reason) {
  const error = new Error(`${syscall} ${code}`);
  error.errno = -(ERRNO[code] ?? ERRNO.EIO);
  error.code = code;
  error.syscall = syscall;
  if (reason !== undefined || TEXTS[code]) {
    error.reason = reason ?? TEXTS[code];
  }
  return error;
}

/** Returns the error of a program that was not started. */
export function spawnError(refusal, file, spawnargs, syscall = 'spawn') {
  const error = systemError(refusal.code, `${syscall} ${file}`, refusal.message);
  error.path = file;
  error.spawnargs = spawnargs;
  return error;
}

function withCode(Kind, code, text) {
  const error = new Kind(text);
  error.code = code;
  return error;
}

/** Returns a short text of any value, also of one that throws when it is converted. */
export function shown(value) {
  try {
    if (typeof value === 'string') return `'${value.length > 28 ? `${value.slice(0, 25)}...` : value}'`;
    if (typeof value === 'function') return `function ${value.name}`;
    if (typeof value === 'bigint') return `${value}n`;
    if (typeof value === 'object' && value !== null) return `an instance of ${value.constructor?.name ?? 'Object'}`;
    return String(value);
  } catch {
    return 'a value without a text';
  }
}

export function invalidType(name, expected, value) {
  return withCode(
    TypeError,
    'ERR_INVALID_ARG_TYPE',
    `The "${name}" argument must be ${expected}. Received ${shown(value)} (${typeof value})`,
  );
}

export function invalidValue(name, value, reason = 'is invalid') {
  return withCode(TypeError, 'ERR_INVALID_ARG_VALUE', `The argument '${name}' ${reason}. Received ${shown(value)}`);
}

export function outOfRange(name, range, value) {
  return withCode(RangeError, 'ERR_OUT_OF_RANGE', `The value of "${name}" must be ${range}. Received ${shown(value)}`);
}

export function unknownSignal(value) {
  return withCode(TypeError, 'ERR_UNKNOWN_SIGNAL', `Unknown signal: ${shown(value)}`);
}

/** Returns the error for what a component cannot have, with its reason. */
export function unsupported(what, reason) {
  return withCode(Error, 'ERR_FEATURE_UNAVAILABLE_ON_PLATFORM', `${what} is not available in a component: ${reason}`);
}

export function maxBufferExceeded(stream) {
  return withCode(RangeError, 'ERR_CHILD_PROCESS_STDIO_MAXBUFFER', `${stream} maxBuffer length exceeded`);
}

export function aborted(cause) {
  const error = new Error('The operation was aborted');
  error.name = 'AbortError';
  error.code = 'ABORT_ERR';
  if (cause !== undefined) error.cause = cause;
  return error;
}

export function streamError(code, text) {
  return withCode(Error, code, text);
}
