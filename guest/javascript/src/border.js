// Every call of the bindings, and nothing else.
//
// An engine ends the component when a value does not have the type that the interface declares, and the
// host ends it when a stream is dropped before a pollable of it, or a handle is used after it was
// dropped. Therefore this module makes and checks each value before it crosses, a pollable exists only
// during one call of `poll`, and each handle is in a class that forgets it when it drops it.
//
// The rejected way: checks at each place that uses the bindings. One forgotten check is a trap.

import * as clock from 'wasi:clocks/monotonic-clock@0.2.0';
import * as polling from 'wasi:io/poll@0.2.0';
import * as exits from 'wasi:cli/exit@0.2.12';
import * as own from 'wasi:cli/environment@0.2.12';
import { getStdin } from 'wasi:cli/stdin@0.2.12';
import { getStdout } from 'wasi:cli/stdout@0.2.12';
import { getStderr } from 'wasi:cli/stderr@0.2.12';
import { Child, processErrorCode } from 'capspawn:process/spawn@0.2.0';
import { SpawnOptions } from 'capspawn:process/types@0.2.0';

import { payload, u64 } from '#engine';
import { Refused, refused } from './errors.js';

/** The most that one read or write moves, in bytes: the size of a pipe. */
export const CHUNK = 65536;

// About 292 years in milliseconds; a longer time is as good as for ever.
const LONGEST_MS = 9e12;

// The longest argument vector and environment that are worth sending, in UTF-16 units. The host's own
// limit is lower; this one keeps the copy within the component's memory.
const MOST_TEXT = 64 * 1024 * 1024;

/** Drops a handle. */
function drop(handle) {
  handle[Symbol.dispose]();
}

/** Returns a number of nanoseconds that may cross, for any number of milliseconds. */
function nanoseconds(milliseconds) {
  const bounded = Math.min(Math.max(Number(milliseconds), 0), LONGEST_MS);
  // NaN, as for a timer of Node, is the shortest time.
  return u64(Number.isNaN(bounded) ? 0 : Math.ceil(bounded * 1e6));
}

/** Returns a string without a lone surrogate, each of which becomes U+FFFD as in UTF-8. */
function text(value) {
  const string = `${value}`;
  return string.isWellFormed?.() ? string : wellFormed(string);
}

function wellFormed(string) {
  let result = '';
  // A string iterates by code points, and a lone surrogate is one.
  for (const point of string) {
    const unit = point.charCodeAt(0);
    result += point.length === 1 && unit >= 0xd800 && unit <= 0xdfff ? '\ufffd' : point;
  }
  return result;
}

/** Makes a call that may fail with an `error-code`. Throws `Refused`. */
function attempt(call) {
  try {
    return call();
  } catch (thrown) {
    const value = payload(thrown);
    if (typeof value?.tag !== 'string') throw thrown;
    throw refused(value);
  }
}

/** Returns the time since some point in the past, in milliseconds. */
export function now() {
  return Number(clock.now()) / 1e6;
}

/**
 * Blocks until one of the subscriptions is ready or the time has passed.
 *
 * `subscriptions` are functions that return a pollable, or null for one that is ready now. Returns the
 * indices of those that are ready. Without a subscription and a time it returns at once: `poll` of an
 * empty list ends the component.
 */
export function poll(subscriptions, milliseconds) {
  const pollables = [];
  const indices = [];
  const ready = [];
  try {
    subscriptions.forEach((subscribe, index) => {
      const pollable = subscribe();
      if (pollable === null) {
        ready.push(index);
      } else {
        pollables.push(pollable);
        indices.push(index);
      }
    });
    const wait = ready.length > 0 ? 0 : milliseconds;
    if (wait !== undefined) pollables.push(clock.subscribeDuration(nanoseconds(wait)));
    if (pollables.length === 0) return ready;
    for (const index of polling.poll(pollables)) {
      if (index < indices.length) ready.push(indices[index]);
    }
    return ready;
  } finally {
    pollables.forEach(drop);
  }
}

/** Returns what a failed operation of a stream means: null for its end, or a `Refused`. */
function streamFailure(thrown) {
  const value = payload(thrown);
  if (value?.tag === 'closed') return null;
  if (value?.tag !== 'last-operation-failed') throw thrown;
  const reason = value.val;
  try {
    const code = processErrorCode(reason);
    if (code === null || code === undefined) return new Refused('EIO', reason.toDebugString());
    return code.tag === 'broken-pipe' ? null : refused(code);
  } finally {
    drop(reason);
  }
}

/** A stream of the host, which is dropped once. */
class Stream {
  constructor(stream) {
    this.stream = stream;
  }

  get closed() {
    return this.stream === null;
  }

  /** Returns a pollable, or null if the stream is closed. For `poll` alone, which drops it. */
  subscribe = () => (this.stream === null ? null : this.stream.subscribe());

  close() {
    const { stream } = this;
    this.stream = null;
    if (stream !== null) drop(stream);
  }

  /** Closes the stream after a failed operation. Throws unless the failure is the stream's end. */
  fail(thrown) {
    const failure = streamFailure(thrown);
    this.close();
    if (failure !== null) throw failure;
  }
}

/** The reading end of a pipe. */
export class Reader extends Stream {
  /** Returns what is there, at most `CHUNK` bytes; empty if nothing is; null at the end. */
  read() {
    if (this.stream === null) return null;
    try {
      return this.stream.read(u64(CHUNK));
    } catch (thrown) {
      this.fail(thrown);
      return null;
    }
  }
}

/** The writing end of a pipe. */
export class Writer extends Stream {
  /** Writes what fits of the bytes from an offset on. Returns how many, or null if the reader is gone. */
  write(bytes, offset = 0) {
    if (this.stream === null) return null;
    try {
      const room = Math.min(Number(this.stream.checkWrite()), CHUNK, bytes.length - offset);
      if (room <= 0) return 0;
      // The engines take a plain array of bytes; the program's may be of a class of its own.
      this.stream.write(new Uint8Array(bytes.buffer, bytes.byteOffset + offset, room));
      return room;
    } catch (thrown) {
      this.fail(thrown);
      return null;
    }
  }

  /**
   * Moves what is there from a reader into this stream, without a copy by the component. Returns how many
   * bytes, or null if one of the streams has ended: that one is closed.
   */
  splice(reader) {
    if (this.stream === null || reader.stream === null) return null;
    let room;
    try {
      room = Number(this.stream.checkWrite());
    } catch (thrown) {
      this.fail(thrown);
      return null;
    }
    if (room === 0) return 0;
    try {
      return Number(this.stream.splice(reader.stream, u64(Math.min(room, CHUNK))));
    } catch (thrown) {
      // The writer takes bytes, so it is the reader that has ended, or a writer that ended since.
      const failure = streamFailure(thrown);
      try {
        this.stream.checkWrite();
      } catch (gone) {
        this.fail(gone);
        return null;
      }
      reader.close();
      if (failure !== null) throw failure;
      return null;
    }
  }

  /** Requests that what was written reaches its destination. */
  flush() {
    if (this.stream === null) return;
    try {
      this.stream.flush();
    } catch (thrown) {
      this.fail(thrown);
    }
  }
}

/** A handle of a child. */
export class Spawned {
  constructor(child) {
    this.child = child;
    this.number = Number(child.id());
  }

  /** Returns the interface's `exit-status` once the child has ended, or null. */
  status() {
    return this.child?.poll() ?? null;
  }

  /** Returns a pollable of the child's end, or null. For `poll` alone. */
  subscribe = () => (this.child === null ? null : this.child.subscribe());

  /** Sends a signal by the interface's name, to the child or to all that it started. Throws `Refused`. */
  signal(name, tree) {
    const { child } = this;
    if (child !== null) attempt(() => (tree ? child.signalTree(name) : child.signal(name)));
  }

  /** Returns a stream that can be taken once, or null. */
  take(stream) {
    const { child } = this;
    if (child === null) return null;
    try {
      if (stream === 0) return new Writer(child.takeStdin());
      return new Reader(stream === 1 ? child.takeStdout() : child.takeStderr());
    } catch {
      return null;
    }
  }

  /** Returns the reading end of an output for another child, or null if it was taken. */
  pass(stream) {
    const { child } = this;
    if (child === null) return null;
    try {
      return stream === 1 ? child.passStdout() : child.passStderr();
    } catch {
      return null;
    }
  }

  /** Drops the handle, which kills what still runs. */
  close() {
    const { child } = this;
    this.child = null;
    if (child !== null) drop(child);
  }
}

const INPUTS = new Set(['null', 'piped']);
const OUTPUTS = new Set(['null', 'piped', 'merged']);

function setOutput(options, stream, kind) {
  const out = stream === 1;
  if (kind.file !== undefined) {
    const mode = kind.append ? 'append' : 'truncate';
    return out ? options.setStdoutFile(text(kind.file), mode) : options.setStderrFile(text(kind.file), mode);
  }
  const known = OUTPUTS.has(kind.kind) ? kind.kind : 'null';
  return out ? options.setStdout(known) : options.setStderr(known);
}

function setInput(options, kind) {
  if (kind.file !== undefined) options.setStdinFile(text(kind.file));
  else options.setStdin({ tag: INPUTS.has(kind.kind) ? kind.kind : 'null' });
}

/**
 * Starts the first of these programs that is a command of the grant. Returns the child and the name.
 * Throws `Refused`, for the first of them if none is a command.
 *
 * All attempts use the same options: a pipe of another child is theirs until a child receives it.
 * `request` has `args`, `streams` and perhaps `env`, `cwd`, `arg0`. `streams` are three objects with a
 * `kind` (`"null"`, `"piped"`, `"merged"`), a `file` of the host with `append`, or `passed`: the end of
 * another child's pipe, which this call consumes.
 */
export function start(programs, request) {
  const args = Array.from(request.args, text);
  const variables = Array.from(request.env ?? [], ([name, value]) => [text(name), text(value)]);
  const sizes = [...args, ...variables.flat()].reduce((sum, each) => sum + each.length, 0);
  if (sizes > MOST_TEXT) throw new Refused('E2BIG', 'the arguments or variables are too large');
  const options = new SpawnOptions();
  try {
    const [stdin, stdout, stderr] = request.streams;
    if (stdin.passed) options.setStdinPipe(stdin.passed);
    else setInput(options, stdin);
    setOutput(options, 1, stdout);
    setOutput(options, 2, stderr);
    options.setEnv(variables);
    if (request.cwd !== undefined) options.setCwd(text(request.cwd));
    if (request.arg0 !== undefined) options.setArg0(text(request.arg0));
    let refusal = null;
    for (const program of programs) {
      try {
        return { spawned: new Spawned(attempt(() => Child.spawn(text(program), args, options))), program };
      } catch (failure) {
        if (failure.item !== 'program') throw failure;
        refusal ??= failure;
      }
    }
    throw refusal;
  } finally {
    drop(options);
  }
}

/** Returns the component's own standard input. */
export function ownInput() {
  return new Reader(getStdin());
}

/** Returns the component's own standard output (1) or standard error (2). */
export function ownOutput(stream) {
  return new Writer(stream === 1 ? getStdout() : getStderr());
}

/** Returns the variables that the operator gave to the component, pairs of strings. */
export function ownEnvironment() {
  return own.getEnvironment();
}

/** Returns the arguments of the component; the first is its name. */
export function ownArguments() {
  return own.getArguments();
}

/** Ends the component with a code from 0 to 255. Does not return. */
export function exit(code) {
  exits.exitWithCode(Number(code) & 0xff);
}
