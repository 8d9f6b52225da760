// `spawnSync`, `execFileSync` and `execSync`: the program waits until the child has ended.

import { now, poll } from './border.js';
import { Buffer, normalEncoding, toBuffer } from './buffer.js';
import { invalidType, Refused, spawnError } from './errors.js';
import * as children from './children.js';
import { checked, parameters } from './options.js';
import { ownInput, writeOwn } from './own.js';
import { startProgram } from './programs.js';
import { ending } from './signals.js';
import { plans } from './stdio.js';

const MAX_BUFFER = 1024 * 1024;

/** One output of the child: kept up to `most` bytes, or copied to the component's own. */
class Output {
  constructor(reader, plan, most) {
    this.reader = reader;
    this.plan = plan;
    this.most = most;
    this.parts = [];
    this.size = 0;
    this.exceeded = false;
  }

  get open() {
    return this.reader !== null && !this.reader.closed;
  }

  step() {
    const bytes = readOrEnd(this.reader);
    if (bytes === null) {
      this.reader.close();
      return;
    }
    if (this.plan.use === 'inherit') {
      writeOwn(this.plan.fd, bytes);
      return;
    }
    const room = this.most - this.size;
    this.exceeded ||= bytes.length > room;
    this.size += Math.min(bytes.length, room);
    this.parts.push(bytes.length > room ? bytes.subarray(0, room) : bytes);
  }

  get value() {
    return this.plan.use === 'pipe' ? Buffer.concat(this.parts) : null;
  }
}

function readOrEnd(reader) {
  try {
    return reader.read();
  } catch {
    return null;
  }
}

/** The input of the child: bytes, or the component's own standard input. */
class Input {
  constructor(writer, plan, bytes) {
    this.writer = writer;
    this.rest = bytes;
    this.source = plan.use === 'inherit' ? ownInput() : null;
    if (writer !== null && this.done) writer.close();
  }

  get done() {
    return this.rest.length === 0 && this.source === null;
  }

  get open() {
    return this.writer !== null && !this.writer.closed;
  }

  get subscribe() {
    return this.rest.length > 0 ? this.writer.subscribe : this.source.subscribe;
  }

  step() {
    try {
      if (this.rest.length === 0) {
        const bytes = this.source.read();
        if (bytes === null) this.source = null;
        else this.rest = bytes;
      }
      if (this.rest.length > 0) {
        const count = this.writer.write(this.rest);
        if (count === null) return;
        this.rest = this.rest.subarray(count);
      }
      if (this.done) this.writer.close();
    } catch {
      this.writer.close();
    }
  }
}

function inputBytes(input) {
  if (input === undefined || input === null) return new Uint8Array(0);
  if (typeof input !== 'string' && !ArrayBuffer.isView(input)) {
    throw invalidType('options.input', 'one of type string, Buffer, TypedArray, or DataView', input);
  }
  return toBuffer(input);
}

/** Runs a started child to its end. Returns `{ status, timedOut, exceeded }`. */
function finish(spawned, input, outputs, request) {
  const deadline = request.timeout > 0 ? now() + request.timeout : Infinity;
  let killedFor = null;
  const kill = (reason) => {
    killedFor ??= reason;
    try {
      children.send(spawned, request.killSignal);
    } catch {
      children.send(spawned, 'SIGKILL');
    }
  };
  for (;;) {
    const status = spawned.status();
    const parts = [input, ...outputs].filter((part) => part.open);
    if (status !== null && !outputs.some((output) => output.open)) return { status, killedFor };
    const waits = parts.filter((part) => status === null || part !== input);
    const subscriptions = waits.map((part) => part.subscribe ?? part.reader.subscribe);
    if (status === null) subscriptions.push(spawned.subscribe);
    const left = status === null && killedFor === null ? deadline - now() : Infinity;
    if (left <= 0) {
      kill('ETIMEDOUT');
      continue;
    }
    const ready = poll(subscriptions, left === Infinity ? undefined : left);
    for (const index of ready) waits[index]?.step();
    if (killedFor === null && outputs.some((output) => output.exceeded)) kill('ENOBUFS');
    if (killedFor !== null) for (const output of outputs) if (output.exceeded) output.reader.close();
  }
}

function run(request, fallback) {
  const planned = plans(request.stdio, fallback);
  const bytes = inputBytes(request.input);
  const most = request.maxBuffer ?? MAX_BUFFER;
  // Input that is there makes a pipe of it, as in Node.
  if (bytes.length > 0) planned[0] = { kind: 'piped', use: 'pipe' };
  const joined = planned[0].use === 'join' ? planned[0].from : null;
  const passed = joined?.pass?.() ?? null;
  let spawned;
  try {
    spawned = startProgram(request, [passed === null ? planned[0] : { passed }, planned[1], planned[2]]);
  } catch (thrown) {
    if (!(thrown instanceof Refused)) throw thrown;
    const error = spawnError(thrown, request.file, request.args, 'spawnSync');
    return { pid: 0, output: null, stdout: null, stderr: null, status: null, signal: null, error };
  }
  joined?.passOn();
  const outputs = [1, 2].map((index) => {
    const piped = planned[index].kind === 'piped';
    return new Output(piped ? spawned.take(index) : null, planned[index], most);
  });
  const input = new Input(passed === null && planned[0].kind === 'piped' ? spawned.take(0) : null, planned[0], bytes);
  try {
    const { status, killedFor } = finish(spawned, input, outputs, request);
    const { code, signal, reason } = ending(status);
    const output = [null, outputs[0].value, outputs[1].value];
    const result = { pid: spawned.number, output, stdout: output[1], stderr: output[2], status: code, signal };
    if (reason !== null) result.killReason = reason;
    if (killedFor !== null) {
      const why = killedFor === 'ETIMEDOUT' ? 'its time has passed' : 'its output is longer than maxBuffer';
      result.error = spawnError(new Refused(killedFor, why), request.file, request.args, 'spawnSync');
    }
    return result;
  } finally {
    input.writer?.close();
    for (const output of outputs) output.reader?.close();
    spawned.close();
  }
}

function converted(result, encoding) {
  const name = encoding === undefined || encoding === 'buffer' || encoding === null ? undefined : normalEncoding(encoding);
  if (name === undefined || result.output === null) return result;
  const output = result.output.map((value) => (value === null ? null : value.toString(name)));
  return { ...result, output, stdout: output[1], stderr: output[2] };
}

function runParsed(file, args, fallback) {
  const { list, rest } = parameters([file, ...args]);
  const request = checked(file, list, rest[0]);
  return { request, words: [file, ...list], result: converted(run(request, fallback), request.encoding) };
}

/** Runs a file to its end and returns its status and output. A failure to start is in `error`. */
export function spawnSync(file, ...args) {
  return runParsed(file, args, 'pipe').result;
}

/** Throws if the program did not run, or did not end with 0. */
function checkResult(result, cmd, inheritsError) {
  const { error, status, signal, stderr } = result;
  // As in Node, standard error goes to the component's own unless the program names `stdio`.
  if (inheritsError && stderr !== null && stderr.length > 0) writeOwn(2, toBuffer(stderr));
  if (!error && status === 0) return result.stdout;
  const text = stderr !== null && stderr.length > 0 ? `\n${stderr.toString()}` : '';
  throw Object.assign(error ?? new Error(`Command failed: ${cmd}${text}`), result, error ? {} : { error: undefined });
}

/** Runs a file to its end and returns its standard output. Throws if it fails. */
export function execFileSync(file, ...args) {
  const { request, words, result } = runParsed(file, args, 'pipe');
  return checkResult(result, words.join(' '), request.stdio === undefined);
}

/** Runs a command in a shell and returns its standard output. Throws if it fails. */
export function execSync(command, options) {
  if (options !== undefined && options !== null && typeof options !== 'object') {
    throw invalidType('options', 'of type object', options);
  }
  const shell = typeof options?.shell === 'string' ? options.shell : true;
  const { request, result } = runParsed(command, [[], { ...options, shell }], 'pipe');
  return checkResult(result, command, request.stdio === undefined);
}
