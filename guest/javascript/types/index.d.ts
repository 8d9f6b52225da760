// The declarations of `capspawn-process`. A program that imports `node:child_process` may use those of
// `@types/node` instead.

export type Encoding = 'utf8' | 'utf-8' | 'ascii' | 'latin1' | 'binary' | 'hex' | 'base64' | 'base64url' | 'utf16le' | 'ucs2';

export type Signal =
  | 'SIGHUP' | 'SIGINT' | 'SIGQUIT' | 'SIGTERM' | 'SIGKILL' | 'SIGUSR1' | 'SIGUSR2' | 'SIGSTOP' | 'SIGCONT'
  | 'SIGWINCH' | 'SIGALRM' | 'SIGPIPE';

/** Bytes, as `Buffer` of Node. */
export interface Bytes extends Uint8Array {
  toString(encoding?: Encoding, start?: number, end?: number): string;
  equals(other: Uint8Array): boolean;
}

export interface Emitter {
  on(event: string, listener: (...args: any[]) => void): this;
  once(event: string, listener: (...args: any[]) => void): this;
  off(event: string, listener: (...args: any[]) => void): this;
  emit(event: string, ...args: unknown[]): boolean;
  removeAllListeners(event?: string): this;
  listenerCount(event: string): number;
}

export interface ReadableStream extends Emitter, AsyncIterable<Bytes & string> {
  readonly readable: boolean;
  readonly destroyed: boolean;
  setEncoding(encoding: Encoding): this;
  read(size?: number): Bytes | string | null;
  pause(): this;
  resume(): this;
  pipe<Destination extends WritableStream>(destination: Destination, options?: { end?: boolean }): Destination;
  unpipe(destination?: WritableStream): this;
  destroy(error?: Error): this;
}

export interface WritableStream extends Emitter {
  readonly writable: boolean;
  readonly destroyed: boolean;
  write(chunk: string | ArrayBufferView, callback?: (error?: Error | null) => void): boolean;
  write(chunk: string | ArrayBufferView, encoding: Encoding, callback?: (error?: Error | null) => void): boolean;
  end(callback?: () => void): this;
  end(chunk: string | ArrayBufferView, callback?: () => void): this;
  end(chunk: string | ArrayBufferView, encoding: Encoding, callback?: () => void): this;
  destroy(error?: Error): this;
}

/** A file of the host, below a root of the grant, for a command with `redirect = true`. */
export interface HostFile {
  file: string;
  /** Adds to the end of an output file, instead of replacing it. */
  append?: boolean;
}

export type Stdio = 'pipe' | 'ignore' | 'inherit' | 'overlapped' | 0 | 1 | 2 | ReadableStream | WritableStream | HostFile | null | undefined;

/** What an `AbortSignal` of any library of declarations is. */
export interface Abort {
  readonly aborted: boolean;
  readonly reason?: any;
  addEventListener(type: 'abort', listener: (event: any) => void, options?: any): void;
  removeEventListener(type: 'abort', listener: (event: any) => void, options?: any): void;
}

export interface CommonOptions {
  /** A directory that the child sees. */
  cwd?: string | { protocol: string; pathname: string };
  /** The variables of the child. Default: those that the program has set. */
  env?: Record<string, string | number | undefined>;
  argv0?: string;
  /** True for `/bin/sh`. */
  shell?: boolean | string;
  /** Milliseconds after which `killSignal` is sent. */
  timeout?: number;
  killSignal?: Signal | number;
  windowsHide?: boolean;
}

export interface SpawnOptions extends CommonOptions {
  stdio?: 'pipe' | 'ignore' | 'inherit' | 'overlapped' | Stdio[];
  /** Accepted: every child has a group of its own. */
  detached?: boolean;
  signal?: Abort;
}

export interface ExecOptions extends CommonOptions {
  /** The most that is kept of an output, in bytes. Default: 1 MiB. A child that writes more is ended. */
  maxBuffer?: number;
  signal?: Abort;
}

export interface SyncOptions extends CommonOptions {
  stdio?: SpawnOptions['stdio'];
  input?: string | ArrayBufferView;
  /** The most that is kept of an output, in bytes. Default: 1 MiB. A child that writes more is ended. */
  maxBuffer?: number;
}

/** Why the host ended a child. */
export type KillReason =
  | 'requested' | 'released' | 'timeout' | 'cpu-time' | 'memory' | 'processes' | 'file-size' | 'output' | 'lifetime' | 'host';

/** A child that runs beside the program. Emits `spawn`, `exit`, `close` and `error`. */
export class ChildProcess implements Emitter {
  on(event: 'exit' | 'close', listener: (code: number | null, signal: string | null) => void): this;
  on(event: 'error', listener: (error: SpawnError) => void): this;
  on(event: string, listener: (...args: any[]) => void): this;
  once(event: string, listener: (...args: any[]) => void): this;
  off(event: string, listener: (...args: any[]) => void): this;
  emit(event: string, ...args: unknown[]): boolean;
  removeAllListeners(event?: string): this;
  listenerCount(event: string): number;
  /** A number that is unique in this component, and no process id; undefined if nothing was started. */
  readonly pid: number | undefined;
  readonly exitCode: number | null;
  readonly signalCode: string | null;
  readonly killed: boolean;
  readonly killReason: KillReason | null;
  readonly connected: false;
  readonly spawnfile: string;
  readonly spawnargs: string[];
  readonly stdin: WritableStream | null;
  readonly stdout: ReadableStream | null;
  readonly stderr: ReadableStream | null;
  readonly stdio: [WritableStream | null, ReadableStream | null, ReadableStream | null];
  kill(signal?: Signal | number): boolean;
  ref(): void;
  unref(): void;
}

/** An error of a program that was not started, or did not end well. */
export interface SpawnError extends Error {
  code?: string | number | null;
  errno?: number;
  syscall?: string;
  path?: string;
  spawnargs?: string[];
  /** What the host reports, in words. */
  reason?: string;
  killed?: boolean;
  signal?: string | null;
  cmd?: string;
  killReason?: KillReason;
}

export interface Result<Output> {
  pid: number;
  output: [null, Output | null, Output | null] | null;
  stdout: Output;
  stderr: Output;
  status: number | null;
  signal: string | null;
  error?: SpawnError;
  killReason?: KillReason;
}

type Text = { encoding: Encoding };
type Raw = { encoding?: 'buffer' | null };
type Callback<Output> = (error: SpawnError | null, stdout: Output, stderr: Output) => void;
type Child<Output> = Promise<{ stdout: Output; stderr: Output }> & { child: ChildProcess };

export function spawn(file: string, options?: SpawnOptions): ChildProcess;
export function spawn(file: string, args?: readonly string[] | null, options?: SpawnOptions): ChildProcess;

export const exec: {
  (command: string, callback?: Callback<string>): ChildProcess;
  (command: string, options: ExecOptions & { encoding: 'buffer' | null }, callback?: Callback<Bytes>): ChildProcess;
  (command: string, options: ExecOptions & { encoding?: Encoding }, callback?: Callback<string>): ChildProcess;
};

export const execFile: {
  (file: string, callback?: Callback<string>): ChildProcess;
  (file: string, args: readonly string[], callback?: Callback<string>): ChildProcess;
  (file: string, args: readonly string[], options: ExecOptions & { encoding: 'buffer' | null }, callback?: Callback<Bytes>): ChildProcess;
  (file: string, args: readonly string[], options: ExecOptions & { encoding?: Encoding }, callback?: Callback<string>): ChildProcess;
};

/** Throws: a component cannot start another one. */
export function fork(...args: unknown[]): never;

export function spawnSync(file: string, args: readonly string[], options: SyncOptions & Text): Result<string>;
export function spawnSync(file: string, args?: readonly string[], options?: SyncOptions & Raw): Result<Bytes>;
export function execFileSync(file: string, args: readonly string[], options: SyncOptions & Text): string;
export function execFileSync(file: string, args?: readonly string[], options?: SyncOptions & Raw): Bytes;
export function execSync(command: string, options: SyncOptions & Text): string;
export function execSync(command: string, options?: SyncOptions & Raw): Bytes;

/** `exec` and `execFile` that return promises, in `capspawn-process/promises`. */
export interface Promises {
  exec(command: string, options?: ExecOptions & { encoding?: Encoding }): Child<string>;
  execFile(file: string, args?: readonly string[], options?: ExecOptions & { encoding?: Encoding }): Child<string>;
}
