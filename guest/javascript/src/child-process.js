// ChildProcess: a child that runs beside the program, with its events and streams.

import * as children from './children.js';
import { aborted, Refused, spawnError, streamError } from './errors.js';
import { EventEmitter } from './events.js';
import { copyInput, copyOutput } from './inherit.js';
import * as loop from './loop.js';
import { PipeReadable, PipeWritable } from './pipe-streams.js';
import { startProgram } from './programs.js';
import { ending } from './signals.js';
import { plans } from './stdio.js';
import { setTimeout } from './timers.js';

// Errors that Node reports with an event; others it throws.
const REPORTED = new Set(['EACCES', 'EAGAIN', 'ENOENT']);

/** What the host receives for a plan of `stdio`. */
function forHost(plan) {
  if (plan.use !== 'join') return plan;
  const passed = plan.from.pass?.() ?? null;
  if (passed === null) {
    throw streamError('ERR_INVALID_STATE', 'The stream was read or passed on before');
  }
  return { passed };
}

export class ChildProcess extends EventEmitter {
  #spawned = null;
  #unwatch = null;
  #ref = true;
  #open = 1;
  #stopInput = null;

  pid = undefined;
  exitCode = null;
  signalCode = null;
  killed = false;
  connected = false;
  stdin = null;
  stdout = null;
  stderr = null;
  stdio = [null, null, null];
  channel = undefined;
  spawnfile = null;
  spawnargs = [];
  /** Why the host ended the child: `"timeout"`, `"memory"`, ... or null. */
  killReason = null;

  /** Starts the program of a checked request. */
  begin(request) {
    this.spawnfile = request.file;
    this.spawnargs = request.spawnargs;
    const planned = plans(request.stdio);
    let failure = null;
    try {
      const spawned = startProgram(request, planned.map(forHost));
      this.#spawned = spawned;
    } catch (thrown) {
      if (!(thrown instanceof Refused)) throw thrown;
      failure = spawnError(thrown, request.file, request.args);
      if (!REPORTED.has(thrown.code)) throw failure;
    }
    this.#connect(planned);
    if (failure !== null) {
      this.#fail(failure);
      return this;
    }
    this.pid = this.#spawned.number;
    children.add(this.pid, this.#spawned);
    const self = this;
    this.#unwatch = loop.watch({
      subscribe: this.#spawned.subscribe,
      ready: () => this.#ended(),
      get ref() {
        return self.#ref;
      },
    });
    this.#limit(request);
    loop.later(() => this.emit('spawn'));
    return this;
  }

  #connect(planned) {
    const spawned = this.#spawned;
    planned.forEach((plan, index) => {
      if (plan.use === 'join') plan.from.passOn();
      if (plan.use === 'inherit' && spawned !== null) this.#inherit(plan, index);
      if (plan.use === 'pipe') {
        const stream = index === 0
          ? new PipeWritable(spawned?.take(0) ?? null)
          : Object.assign(new PipeReadable(() => spawned?.take(index) ?? null), {
            pass: () => spawned?.pass(index) ?? null,
          });
        this.stdio[index] = stream;
        this.#count(stream);
      }
    });
    [this.stdin, this.stdout, this.stderr] = this.stdio;
  }

  #inherit(plan, index) {
    const stream = this.#spawned.take(index);
    if (stream === null) return;
    if (index === 0) {
      this.#stopInput = copyInput(stream);
      return;
    }
    this.#open++;
    copyOutput(stream, plan.fd, () => this.#closed());
  }

  /** `close` is emitted after the end of the child and of all its streams. */
  #count(stream) {
    this.#open++;
    stream.once('close', () => this.#closed());
  }

  #closed() {
    this.#open--;
    if (this.#open > 0) return;
    this.#spawned?.close();
    this.emit('close', this.exitCode, this.signalCode);
  }

  #fail(failure) {
    this.exitCode = failure.errno;
    this.stdin?.destroy();
    this.stdout?.resume();
    this.stderr?.resume();
    loop.later(() => {
      try {
        this.emit('error', failure);
      } finally {
        loop.later(() => this.#closed());
      }
    });
  }

  #ended() {
    const status = this.#spawned.status();
    if (status === null) return;
    this.#unwatch();
    children.remove(this.pid);
    const { code, signal, reason } = ending(status);
    this.exitCode = code;
    this.signalCode = signal;
    this.killReason = reason;
    this.#stopInput?.();
    this.stdin?.destroy();
    // What nobody reads would keep `close` from being emitted.
    for (const stream of [this.stdout, this.stderr]) {
      if (stream?.readable && stream.readableFlowing === null && stream.listenerCount('readable') === 0) stream.resume();
    }
    loop.later(() => this.#closed());
    this.emit('exit', code, signal);
  }

  /** Ends the child after its time or when it is aborted. */
  #limit(request) {
    if (request.timeout > 0) {
      const timer = setTimeout(() => {
        try {
          this.kill(request.killSignal);
        } catch (error) {
          this.emit('error', error);
        }
      }, request.timeout);
      this.once('exit', () => timer.close());
    }
    const { abort } = request;
    if (abort === undefined) return;
    const stop = () => {
      try {
        if (this.kill(request.killSignal)) this.emit('error', aborted(abort.reason));
      } catch (error) {
        this.emit('error', error);
      }
    };
    if (abort.aborted) {
      loop.later(stop);
      return;
    }
    abort.addEventListener('abort', stop, { once: true });
    this.once('exit', () => abort.removeEventListener('abort', stop));
  }

  /** Sends a signal. Returns whether it was sent: false if the child has ended. */
  kill(signal) {
    if (signal === 0) return this.#spawned !== null && this.#spawned.status() === null;
    const name = children.checkSignal(signal ?? 'SIGTERM');
    if (this.#spawned === null || this.exitCode !== null || this.signalCode !== null) return false;
    const sent = children.send(this.#spawned, name);
    if (sent) this.killed = true;
    return sent;
  }

  ref() {
    this.#ref = true;
  }

  unref() {
    this.#ref = false;
  }

  /** Fails: a child of a component has no channel. */
  send(message, ...rest) {
    const error = streamError('ERR_IPC_CHANNEL_CLOSED', 'Channel closed: a child of a component has no channel');
    const callback = rest.find((each) => typeof each === 'function');
    loop.later(() => (callback ? callback(error) : this.emit('error', error)));
    return false;
  }

  disconnect() {
    const error = streamError('ERR_IPC_DISCONNECTED', 'IPC channel is already disconnected');
    loop.later(() => this.emit('error', error));
  }

  [Symbol.dispose ?? Symbol.for('Symbol.dispose')]() {
    if (!this.killed) this.kill();
  }
}
