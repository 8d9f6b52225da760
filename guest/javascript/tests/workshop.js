// The tools of the tests: a project with the package, components that are made once, and runs.

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const HERE = dirname(fileURLToPath(import.meta.url));
export const PACKAGE = dirname(HERE);
export const ROOT = join(PACKAGE, '../..');
export const TARGET = join(ROOT, 'target/javascript');
export const EXAMPLES = join(ROOT, 'guest-examples/javascript');
const CAPSPAWN = process.env.CAPSPAWN ?? join(ROOT, 'target/debug/capspawn');
const PARTS = ['build', 'src', 'types', 'wit'];
const BYTES = 1e9;

/** A test has failed. The text states which and how. */
export class Failure extends Error {}

export function check(condition, text) {
  if (!condition) throw new Failure(text);
}

/** Returns all files below folders. */
function files(...folders) {
  return folders.flatMap((folder) => readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name)).sort());
}

function digest(paths, ...words) {
  const hash = createHash('sha256').update(JSON.stringify(words));
  for (const path of paths) hash.update(path).update(readFileSync(path));
  return hash.digest('hex').slice(0, 16);
}

export function call(command, args, options) {
  const result = spawnSync(command, args, { encoding: 'utf8', maxBuffer: BYTES, ...options });
  const text = `${command} ${args.slice(0, 3).join(' ')}: ${result.error ?? result.status}\n${result.stdout}${result.stderr}`;
  check(result.status === 0, text);
  return result.stdout;
}

/** Makes a folder anew unless it was made from the same input. A folder that is half made has no mark. */
function stamped(folder, stamp, make) {
  const mark = join(folder, '.stamp');
  if (existsSync(mark) && readFileSync(mark, 'utf8') === stamp) return;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  make();
  writeFileSync(mark, stamp);
}

/** Installs the pinned tools, and copies the package to them. Returns the folder. */
export function tools() {
  const folder = join(TARGET, 'tools');
  const pins = ['package.json', 'package-lock.json'].map((name) => join(PACKAGE, name));
  stamped(folder, digest(pins), () => {
    for (const pin of pins) cpSync(pin, join(folder, basename(pin)));
    call('npm', ['ci', '--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel', 'error'], { cwd: folder });
  });
  for (const part of PARTS) {
    rmSync(join(folder, part), { recursive: true, force: true });
    cpSync(join(PACKAGE, part), join(folder, part), { recursive: true });
  }
  return folder;
}

let ready;

/** Makes a component, once for the same input, and returns its file. */
export function component(program, engine = 'quickjs') {
  ready ??= tools();
  const inputs = [...files(...PARTS.map((part) => join(PACKAGE, part)), HERE), join(PACKAGE, 'package-lock.json'), program];
  const file = join(TARGET, 'components', `${basename(program, '.js')}-${engine}-${digest(inputs)}.wasm`);
  if (!existsSync(file)) {
    mkdirSync(dirname(file), { recursive: true });
    // Those of earlier sources.
    for (const name of readdirSync(dirname(file))) {
      if (name.startsWith(`${basename(program, '.js')}-${engine}-`)) rmSync(join(dirname(file), name));
    }
    const half = `${file}.half`;
    call(process.execPath, [join(ready, 'build/command.js'), 'build', program, '-o', half, '--engine', engine]);
    renameSync(half, file);
  }
  return file;
}

/** Calls a function with a folder that the component and its children see under one path, and may write. */
export function shared(use) {
  const folder = mkdtempSync(join(tmpdir(), 'capspawn-javascript-'));
  chmodSync(folder, 0o777);
  try {
    return use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Runs a component and returns the finished process; its output is bytes. */
export function run(wasm, args = [], { grants, component: name, options = [], input = '' } = {}) {
  const grant = grants === undefined ? [] : ['--grants', grants];
  const identity = name === undefined ? [] : ['--component', name];
  return spawnSync(CAPSPAWN, ['run', ...grant, ...identity, ...options, wasm, '--', ...args], { input, maxBuffer: BYTES, timeout: 900_000 });
}

/** Returns the output of a run for a failure, its last lines. */
export function report({ status, signal, stdout, stderr }) {
  const last = (bytes) => bytes.toString().split('\n').slice(-40).join('\n');
  return `exit code ${status ?? signal}\n${last(stdout)}\n${last(stderr)}`;
}
