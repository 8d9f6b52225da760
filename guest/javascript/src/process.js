// `process` in shape: what a program that starts others uses of it.

import { exit, now } from './border.js';
import { kill } from './children.js';
import { EventEmitter } from './events.js';
import { argv, env, ownInput, ownOutput, writeOwn } from './own.js';
import { PipeReadable } from './pipe-streams.js';
import { toBuffer } from './buffer.js';
import { Writable } from './writable.js';
import { invalidType, unsupported } from './errors.js';

/** Standard output or standard error of the component. A write blocks until it is done. */
class OwnOutput extends Writable {
  constructor(fd) {
    super();
    this.fd = fd;
    this.isTTY = false;
  }

  /** The host's stream, for `PipeReadable`. */
  get hostWriter() {
    return ownOutput(this.fd);
  }

  _write(chunk, encoding, callback) {
    writeOwn(this.fd, chunk);
    callback();
  }

  end(chunk) {
    // As in Node, they cannot be closed.
    if (chunk !== undefined && chunk !== null && typeof chunk !== 'function') this.write(chunk);
    return this;
  }
}

let stdin;
let stdout;
let stderr;

function exitCodeOf(value) {
  const code = Number(value ?? 0);
  return Number.isInteger(code) ? code : 1;
}

class Process extends EventEmitter {
  argv = argv;
  env = env;
  exitCode = undefined;
  pid = 1;
  ppid = 0;
  platform = 'linux';
  arch = 'wasm32';
  title = 'node';
  execPath = argv[0];
  execArgv = [];
  version = 'v20.0.0';
  versions = { node: '20.0.0', wasi: '0.2' };
  #exiting = false;

  get stdin() {
    if (stdin === undefined) {
      stdin = new PipeReadable(ownInput);
      stdin.fd = 0;
      stdin.isTTY = false;
    }
    return stdin;
  }

  get stdout() {
    stdout ??= new OwnOutput(1);
    return stdout;
  }

  get stderr() {
    stderr ??= new OwnOutput(2);
    return stderr;
  }

  cwd() {
    return '/';
  }

  chdir() {
    throw unsupported('process.chdir', 'a component has no working directory; use the option cwd of the child');
  }

  nextTick(callback, ...rest) {
    if (typeof callback !== 'function') throw invalidType('callback', 'of type function', callback);
    Promise.resolve().then(() => callback(...rest)).catch((error) => this.fail(error));
  }

  hrtime(earlier) {
    const time = now() - (Array.isArray(earlier) ? earlier[0] * 1e3 + earlier[1] / 1e6 : 0);
    const seconds = Math.floor(time / 1e3);
    return [seconds, Math.round((time - seconds * 1e3) * 1e6)];
  }

  uptime() {
    return now() / 1e3;
  }

  emitWarning(warning) {
    const text = warning instanceof Error ? String(warning) : `Warning: ${warning}`;
    writeOwn(2, toBuffer(`(node) ${text}\n`));
  }

  kill(pid, signal = 'SIGTERM') {
    return kill(pid, signal);
  }

  /** Emits `exit` and ends the component. */
  exit(code) {
    if (code !== undefined) this.exitCode = code;
    if (!this.#exiting) {
      this.#exiting = true;
      this.emit('exit', exitCodeOf(this.exitCode));
    }
    exit(exitCodeOf(this.exitCode));
  }

  /** Emits `exit` for a program that has nothing left to do, and ends the component if a code is set. */
  finish() {
    this.#exiting = true;
    this.emit('exit', exitCodeOf(this.exitCode));
    if (this.exitCode) exit(exitCodeOf(this.exitCode));
  }

  abort() {
    exit(134);
  }

  /** Ends the component because of an error that nothing caught, as Node does. */
  fail(error) {
    if (this.listenerCount('uncaughtException') > 0) {
      this.emit('uncaughtException', error, 'uncaughtException');
      return;
    }
    const text = error instanceof Error ? describe(error) : `Uncaught ${String(error)}`;
    writeOwn(2, toBuffer(`${text}\n`));
    this.exit(1);
  }
}

Process.prototype.hrtime.bigint = () => BigInt(Math.round(now() * 1e6));

/** Returns the text of an error and where it was thrown. */
export function describe(error) {
  const head = `${error.name}: ${error.message}`;
  const stack = typeof error.stack === 'string' ? error.stack.trimEnd() : '';
  const reason = typeof error.reason === 'string' ? `\n  reason: ${error.reason}` : '';
  return (stack.startsWith(head) ? stack : `${head}\n${stack}`).trimEnd() + reason;
}

export const process = new Process();
Object.defineProperty(process, Symbol.toStringTag, { value: 'process' });

export default process;
