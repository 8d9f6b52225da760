// Wrong types, orders and times at every function that starts a program, waits or moves bytes. Runs
// inside a component.
//
// Usage: border SEED COUNT. Each case calls one function with values that it may not expect, on whatever
// children, streams and timers the cases before have left, so drops happen in any order. An exception is
// a fine answer, at once or as an event. What must not happen is the end of the component: the engines
// abort it where a value does not fit the interface. The grant is `grants.toml`.

import { exec, execFile, execFileSync, execSync, fork, spawn, spawnSync } from 'node:child_process';
import { promisify } from 'node:util';

const [seed, count] = process.argv.slice(2).map(Number);

// A generator of Lehmer's kind: the same numbers in every engine.
let state = (seed * 48271 + 11) % 2147483647 || 1;
function random() {
  state = (state * 48271) % 2147483647;
  return state / 2147483647;
}
const below = (limit) => Math.floor(random() * limit);
const pick = (list) => list[below(list.length)];
const chance = (part) => random() < part;

const children = [];
const streams = [];
const timers = [];
const answers = new Map();
let number = 0;

function answered(name) {
  answers.set(name, (answers.get(name) ?? 0) + 1);
}

// An error that no listener takes is an answer too.
process.on('uncaughtException', (error) => answered(`event ${error?.code ?? error?.name ?? typeof error}`));

/** Converts to anything. */
const odd = {
  valueOf: () => pick([NaN, -1, 2 ** 70, '\ud800', 1n]),
  toString: () => pick(['x', '\ud800', 'a\0b', '']),
  get length() { return pick([0, 1, 3, -1, 2.5, NaN, 'x']); },
  get aborted() { return chance(0.5); },
  get fd() { return pick([-1, 0, 1, 2, NaN, 'x', 2 ** 40]); },
  get file() { return pick([undefined, '/tmp', 'a\0', '\ud800', 5]); },
  get 0() { return pick([undefined, 'x', odd]); },
};
const thrower = {
  toString() { throw new Error('no text'); },
  valueOf() { throw new Error('no value'); },
  get aborted() { throw new Error('no property'); },
  get file() { throw new Error('no file'); },
};

const texts = ['', 'x', 'printf', '/bin/sh', './x', '/', 'a\0b', '\ud800', '\udfff\ud800', 'é'.repeat(50), 'x'.repeat(70000),
  'SIGTERM', 'SIGNOPE', 'utf8', 'hex', 'buffer', 'pipe', 'ignore', 'inherit', 'ipc', '../../..', '__proto__', 'constructor'];
const numbers = [0, 1, -1, 2, 9, 15, 255, 1000, 65536, 65537, 2 ** 31, 2 ** 32, 2 ** 53, 2 ** 64, -(2 ** 64), 1.5, -0,
  NaN, Infinity, -Infinity, 1e-320, 1e308];

function bytes() {
  const shared = new Uint8Array(new SharedArrayBuffer(64));
  const resizable = chance(0.3) ? resized() : new Uint8Array(3);
  return pick([new Uint8Array(0), new Uint8Array(70000), Buffer.from('x'), new Float64Array(3), new DataView(new ArrayBuffer(5), 1),
    new Uint16Array(2), shared, resizable, new (class extends Uint8Array {})(5)]);
}

function resized() {
  try {
    const buffer = new ArrayBuffer(100, { maxByteLength: 200 });
    const view = new Uint8Array(buffer, 50);
    buffer.resize(pick([0, 10, 60, 200]));
    return view;
  } catch {
    return new Uint8Array(1);
  }
}

function anything(depth = 0) {
  const kind = below(depth < 3 ? 12 : 8);
  if (kind < 2) return pick(texts);
  if (kind < 4) return pick(numbers);
  if (kind === 4) return bytes();
  if (kind === 5) return pick([null, undefined, true, false, Symbol('s'), 10n, -(2n ** 70n), () => {}, class {}, odd, thrower]);
  if (kind === 6) return pick([...children.slice(-3), ...streams.slice(-3), process.stdin, process.stdout, odd]);
  if (kind === 7) return pick([new Date(NaN), /x/, new Map(), new Proxy({}, {}), Object.create(null), new Error('x'), globalThis]);
  const some = Array.from({ length: below(4) }, () => anything(depth + 1));
  if (kind === 8 || kind === 9) return some;
  if (kind === 10) return Object.fromEntries(some.map((value, index) => [pick([...texts.slice(0, 9), index]), value]));
  return Object.assign([1, , 3], { length: below(5) });
}

const command = () => pick([['printf', ['x']], ['cat', []], ['sleep', ['0.01']], ['/bin/sh', ['-c', 'echo $$; exit 3']],
  ['seq', ['20000']], ['narrow', ['only']], ['narrow', ['x']], ['no-such', []], [anything(), anything()], ['printf', anything()],
  ['printf', [pick(texts), pick(numbers), anything()]], ['cat', undefined]]);

const NAMES = ['cwd', 'env', 'argv0', 'stdio', 'detached', 'uid', 'gid', 'shell', 'signal', 'timeout', 'killSignal', 'maxBuffer',
  'encoding', 'input', 'serialization', 'windowsHide'];

function options() {
  const chosen = {};
  if (chance(0.4)) chosen.stdio = pick(['pipe', 'ignore', ['pipe', 'pipe', 'ignore'], [pick(streams), 'pipe'], [anything(), anything(), anything()]]);
  for (const name of NAMES) if (chance(0.06)) chosen[name] = anything();
  if (chance(0.2)) chosen.timeout = pick([0, 1, 20, ...numbers]);
  if (chance(0.1)) chosen.env = { GREETING: anything(), [pick(texts)]: pick(texts) };
  return chance(0.05) ? anything() : chosen;
}

/** Time limits, so that a case that waits ends. */
function limited() {
  const chosen = options();
  return typeof chosen === 'object' && chosen !== null && Object.getPrototypeOf(chosen) === Object.prototype
    ? { ...chosen, timeout: pick([20, chosen.timeout ?? 20]) } : chosen;
}

function keep(child) {
  children.push(child);
  child.on('error', (error) => answered(`error ${error.code}`));
  streams.push(...[child.stdin, child.stdout, child.stderr].filter((stream) => stream !== null));
}

const quick = [['printf', ['x']], ['cat', []], ['sleep', ['0.01']], ['narrow', ['x']], ['no-such', []]];

const CASES = {
  spawn: () => keep(spawn(...command(), options())),
  spawnSync: () => spawnSync(...(chance(0.5) ? pick(quick) : [anything(), anything()]), limited()),
  execFile: () => keep(execFile(...command(), options(), () => {})),
  execFileSync: () => execFileSync(...pick(quick), limited()),
  exec: () => keep(exec(pick(['echo x', anything()]), options(), pick([() => {}, undefined, anything()]))),
  execSync: () => execSync(pick(['echo x', 'exit 3', anything()]), limited()),
  promised: () => promisify(execFile)(...command(), options()).catch(() => {}),
  fork: () => fork(anything()),
  kill: () => pick(children).kill(pick(['SIGTERM', 'SIGKILL', undefined, 0, anything()])),
  processKill: () => process.kill(pick([pick(children)?.pid, anything()]), pick(['SIGTERM', 9, 0, anything()])),
  child: () => {
    const child = pick(children);
    const name = pick(['ref', 'unref', 'send', 'disconnect', 'removeAllListeners', 'emit']);
    child[name](...(name === 'emit' ? [pick(['exit', 'close', 'x']), anything()] : []));
    if (name === 'removeAllListeners') child.on('error', () => {});
  },
  write: () => {
    const stream = pick(streams);
    stream[pick(['write', 'end'])]?.(pick(['data', bytes(), 'x'.repeat(200_000), anything()]), pick([undefined, 'utf8', 'hex', anything()]), pick([undefined, () => {}]));
  },
  read: () => {
    const stream = pick(streams);
    stream[pick(['read', 'pause', 'resume', 'setEncoding', 'destroy', 'unpipe', 'isPaused', 'cork', 'uncork'])]?.(pick([undefined, 1, pick(numbers), 'utf8', anything()]));
  },
  pipe: () => pick(streams).pipe?.(pick([...streams.slice(-5), pick(streams), anything()])),
  listen: () => pick(streams).on(pick(['data', 'readable', 'end', 'close']), pick([() => {}, () => { throw new Error('listener'); }, anything()])),
  iterate: () => {
    const stream = pick(streams);
    (async () => { for await (const chunk of stream) { if (chance(0.3)) break; answered(`iterated ${typeof chunk}`); } })().catch(() => {});
  },
  timer: () => {
    const make = pick([setTimeout, setInterval, setImmediate]);
    timers.push(make(pick([() => {}, anything()]), pick([0, 1, -1, NaN, ...numbers, anything()])));
  },
  clear: () => pick([clearTimeout, clearInterval, clearImmediate])(pick([timers.pop(), pick(numbers), anything()])),
  forget: () => {
    if (children.length > 0) children.splice(below(children.length), 1);
    if (streams.length > 0) streams.splice(below(streams.length), 1);
  },
};

const names = Object.keys(CASES);

/** Ends what is old, so that the quota of children is not all that is tested. */
function limit() {
  for (const child of children.splice(0, Math.max(0, children.length - 12))) child.kill('SIGKILL');
  streams.splice(0, Math.max(0, streams.length - 20));
  for (const timer of timers.splice(0, Math.max(0, timers.length - 8))) clearTimeout(timer);
}

for (; number < count; number++) {
  const name = pick(names);
  try {
    CASES[name]();
    answered('done');
  } catch (error) {
    answered(String(error?.code ?? error?.name ?? typeof error));
  }
  try {
    limit();
  } catch (error) {
    answered(`limit ${error.code}`);
  }
  if (chance(0.2)) await new Promise((resolve) => { setImmediate(resolve); });
}
for (const child of children) if (typeof child.kill === 'function') try { child.kill('SIGKILL'); } catch { /* it has ended */ }
for (const timer of timers) clearTimeout(timer);
console.log(`\n${count} cases, seed ${seed}: ${JSON.stringify(Object.fromEntries([...answers].sort()))}`);
process.exit(0);
