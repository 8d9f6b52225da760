// `spawn`, `exec`, `execFile` and `fork`: children that run beside the program.

import { Buffer, normalEncoding } from './buffer.js';
import { ChildProcess } from './child-process.js';
import { aborted, invalidType, maxBufferExceeded, unsupported } from './errors.js';
import { checked, parameters } from './options.js';
import { promisifyCustom } from './promisify.js';

const MAX_BUFFER = 1024 * 1024;

/** Starts a program and returns the child. */
export function spawn(file, ...args) {
  const { list, rest } = parameters([file, ...args]);
  return new ChildProcess().begin(checked(file, list, rest[0]));
}

function callbackOf(values) {
  const callback = values.find((value) => typeof value === 'function');
  const wrong = values.find((value) => value !== undefined && value !== null && !['function', 'object'].includes(typeof value));
  if (wrong !== undefined) throw invalidType('callback', 'of type function', wrong);
  return callback;
}

/** What a child wrote to one stream, up to a number of bytes or characters. */
class Collected {
  constructor(stream, encoding, most, exceeded) {
    this.parts = [];
    this.text = encoding !== null;
    if (stream === null) return;
    if (this.text) stream.setEncoding(encoding);
    let size = 0;
    stream.on('data', (chunk) => {
      const room = most - size;
      size += chunk.length;
      if (room <= 0) return;
      this.parts.push(chunk.length > room ? chunk.slice(0, room) : chunk);
      if (chunk.length > room) exceeded();
    });
    stream.on('error', () => {});
  }

  get value() {
    return this.text ? this.parts.join('') : Buffer.concat(this.parts);
  }
}

/** Runs a file and calls back with an error or null, and with all output. */
export function execFile(file, ...args) {
  const { list, rest } = parameters([file, ...args]);
  const callback = callbackOf(rest);
  const options = rest.find((value) => typeof value === 'object' && value !== null) ?? {};
  const request = checked(file, list, options);
  const encoding = 'encoding' in options && (options.encoding === null || options.encoding === 'buffer' || normalEncoding(options.encoding) === undefined)
    ? null : normalEncoding(options.encoding);
  const most = request.maxBuffer ?? MAX_BUFFER;
  const { timeout, abort } = request;
  const child = new ChildProcess().begin({ ...request, stdio: 'pipe', timeout: 0, abort: undefined });
  let failure = null;
  let finished = false;
  const stop = (error) => {
    failure ??= error;
    try {
      child.kill(request.killSignal);
    } catch (thrown) {
      failure = thrown;
    }
    child.stdout?.destroy();
    child.stderr?.destroy();
  };
  const stdout = new Collected(child.stdout, encoding, most, () => stop(maxBufferExceeded('stdout')));
  const stderr = new Collected(child.stderr, encoding, most, () => stop(maxBufferExceeded('stderr')));
  const timer = timeout > 0 ? globalThis.setTimeout(() => stop(null), timeout) : null;
  const onAbort = () => stop(aborted(abort.reason));
  if (abort?.aborted) globalThis.queueMicrotask(onAbort);
  else abort?.addEventListener('abort', onAbort, { once: true });
  const done = (code, signal, thrown) => {
    if (finished) return;
    finished = true;
    if (timer !== null) globalThis.clearTimeout(timer);
    abort?.removeEventListener('abort', onAbort);
    if (callback === undefined) return;
    const cmd = [file, ...list].join(' ');
    let error = thrown ?? failure;
    if (error === null && code === 0 && signal === null) {
      callback(null, stdout.value, stderr.value);
      return;
    }
    if (error === null) {
      error = new Error(`Command failed: ${cmd}\n${stderr.value}`);
      error.code = code;
    }
    error.killed ??= child.killed || undefined;
    if (thrown === undefined || thrown === null) {
      error.killed = child.killed;
      error.signal = signal;
    }
    error.cmd = cmd;
    if (child.killReason !== null) error.killReason = child.killReason;
    callback(error, stdout.value, stderr.value);
  };
  child.on('close', (code, signal) => done(code, signal, null));
  child.on('error', (error) => {
    child.stdout?.destroy();
    child.stderr?.destroy();
    done(null, null, error);
  });
  return child;
}

/** Runs a command in a shell and calls back with an error or null, and with all output. */
export function exec(command, ...rest) {
  const callback = callbackOf(rest);
  const options = rest.find((value) => typeof value === 'object' && value !== null) ?? {};
  const shell = typeof options.shell === 'string' ? options.shell : true;
  return execFile(command, [], { ...options, shell }, callback);
}

/** Fails: a component cannot start another one. */
export function fork() {
  throw unsupported(
    'fork',
    'it starts another program of this engine with a channel to this one, and a component has neither. ' +
      'Use spawn with a command of the grant, and its standard streams',
  );
}

/** The promise has the child as `child`. */
function promised(start) {
  return (...args) => {
    let child;
    const promise = new Promise((resolve, reject) => {
      child = start(...args, (error, stdout, stderr) => {
        if (error === null) resolve({ stdout, stderr });
        else reject(Object.assign(error, { stdout, stderr }));
      });
    });
    promise.child = child;
    return promise;
  };
}

export const promises = { exec: promised(exec), execFile: promised(execFile) };

Object.defineProperty(exec, promisifyCustom, { value: promises.exec });
Object.defineProperty(execFile, promisifyCustom, { value: promises.execFile });
