// The groups of tests. Each returns lines for the results.

import { chmodSync, cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';

import { call, check, component, EXAMPLES, HERE, PACKAGE, report, ROOT, run, shared, TARGET, tools } from './workshop.js';

const ENGINES = ['quickjs', 'starlingmonkey'];

const COPIES = { 'process/process.wit': 'process.wit', 'process/types.wit': 'types.wit', 'io/io.wit': 'deps/io/io.wit' };

/** The package installs from its folder, has what it needs inside, and makes a component that runs. */
export function packaged() {
  for (const [copy, original] of Object.entries(COPIES)) {
    const own = join(PACKAGE, 'wit/deps', copy);
    const same = readFileSync(own).equals(readFileSync(join(ROOT, 'wit/p2', original)));
    check(same, `${own} differs from wit/p2/${original}: copy it`);
  }
  const installed = tools();
  const listed = JSON.parse(call('npm', ['pack', '--dry-run', '--json', '--ignore-scripts', '--loglevel', 'error'], { cwd: PACKAGE }));
  const [{ files }] = Array.isArray(listed) ? listed : Object.values(listed);
  const junk = files.map(({ path }) => path).filter((path) => !/^(README\.md|package\.json|(build|src|types|wit)\/[\w./-]+)$/.test(path));
  check(junk.length === 0, `the package contains ${junk}`);
  const wits = files.filter(({ path }) => path.endsWith('.wit'));
  check(wits.length === 6, `the package lacks interfaces: ${wits.map(({ path }) => path)}`);
  const { stdout } = run(installedProgram());
  check(stdout.toString() === 'from a package\n', `the installed command makes a component that prints ${stdout}`);
  // The declarations, and a program that uses them.
  call(process.execPath, [join(installed, 'node_modules/typescript/bin/tsc'), '--noEmit', '--strict', '--skipLibCheck', 'false',
    '--module', 'nodenext', '--target', 'es2022', '--lib', 'es2023,esnext.disposable', '--types', '', join(HERE, 'declared.ts'),
    ...readdirSync(join(PACKAGE, 'types')).map((name) => join(installed, 'types', name))], { cwd: installed });
  return ['`npm install ./guest/javascript` installs the library, its command, declarations and the interfaces.'];
}

/** Installs the package as an outsider does, who has a clone, and makes a component with its command. */
function installedProgram() {
  const folder = join(TARGET, 'outsider');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  cpSync(PACKAGE, join(folder, 'clone'), { recursive: true, filter: (path) => !path.includes('node_modules') });
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  writeFileSync(join(folder, 'program.js'), "import { format } from 'node:util';\nconsole.log(format('from a %s', 'package'));\n");
  call('npm', ['install', './clone', '--prefer-offline', '--no-audit', '--no-fund', '--loglevel', 'error'], { cwd: folder });
  call(join(folder, 'node_modules/.bin/capspawn-javascript'), ['build', 'program.js'], { cwd: folder });
  rmSync(join(folder, 'node_modules'), { recursive: true, force: true });
  return join(folder, 'program.wasm');
}

function example(name, args, options, engine) {
  return run(component(join(EXAMPLES, `${name}.js`), engine), args, { grants: join(HERE, 'examples.toml'), component: name, ...options });
}

function expected(result, stdout, status, stderr = '') {
  const same = result.stdout.toString() === stdout && result.status === status && result.stderr.toString().includes(stderr);
  check(same, report(result));
}

/** The five programs that every language has. */
export function examples(bounded) {
  for (const engine of bounded ? ENGINES.slice(0, 1) : ENGINES) {
    const one = (name, args, options) => example(name, args, options, engine);
    expected(one('run-once', ['seq', '2']), '1\n2\nseq exited with 0\n', 0);
    expected(one('run-once', ['seq', '-w']), 'seq did not run: EACCES\n', 0);
    expected(one('run-once', ['false']), 'false exited with 1\n', 0);
    expected(one('run-once', ['no-such-command']), 'no-such-command did not run: ENOENT\n', 0);
    const data = randomBytes(8 * 1024 * 1024);
    const passed = one('pipe-through', ['cat'], { input: data });
    check(passed.stdout.equals(data) && passed.status === 0, 'pipe-through changed 8 MiB');
    expected(one('pipe-through', ['tr', 'a-z', 'A-Z'], { input: 'hello\n' }), 'HELLO\n', 0);
    expected(one('pipe-through', ['false'], { input: data }), '', 1);
    expected(one('pipe-through', ['no-such-command'], { input: data }), '', 1, 'ENOENT');
    expected(one('with-timeout', ['200', 'sleep', '30']), 'too slow\n', 0);
    expected(one('with-timeout', ['60000', 'sleep', '0']), 'in time\n', 0);
    expected(one('many-children', ['sleep', '30', '0', '20']), 'sleep 0: exited with 0\n', 0);
    expected(one('many-children', ['no-such-command', '1']), '', 1, 'ENOENT');
    expected(one('pipeline', ['seq', '100000', ':', 'cat', ':', 'wc', '-c']), '588895\n', 0);
    expected(one('pipeline', ['seq', '3', ':', 'false']), '', 1, 'pipeline: false returned 1');
  }
  return ['`run-once`, `pipe-through`, `with-timeout`, `many-children` and `pipeline` pass.'];
}

/** Runs a script of this folder in a component, with a folder that it shares with its children. */
function script(name, args, engine) {
  const wasm = component(join(HERE, `${name}.js`), engine);
  return shared((folder) => {
    const work = join(folder, 'work');
    mkdirSync(work);
    // On a root host its children are another user.
    chmodSync(work, 0o777);
    const grants = join(folder, 'grants.toml');
    writeFileSync(grants, readFileSync(join(HERE, 'grants.toml'), 'utf8').replaceAll('SHARED', work));
    return run(wasm, args, { grants, component: 'program', options: ['--env', `SHARED=${work}`] });
  });
}

/** What programs expect, and the situations of Node's page. */
export function behaviour(bounded) {
  const lines = [];
  for (const engine of ENGINES) {
    let count = 0;
    // A component of StarlingMonkey takes a minute to make and to compile.
    const one = bounded && engine === 'starlingmonkey';
    for (const name of one ? ['behaviour'] : ['behaviour', 'situations']) {
      const result = script(name, [], engine);
      const passed = /^(\d+) passed, 0 failed$/m.exec(result.stdout.toString());
      check(result.status === 0 && passed !== null, `${name}, ${engine}: ${report(result)}`);
      count += Number(passed[1]);
    }
    lines.push(`${engine}: ${count} claims of the documented uses hold.`);
  }
  for (const [way, status, stdout, stderr] of ENDS) {
    const result = script('ends', [way], 'quickjs');
    const same = result.status === status && result.stdout.toString() === stdout && result.stderr.toString().includes(stderr);
    check(same, `${way}: ${report(result)}`);
  }
  lines.push(`${ENDS.length} ways to end a program have the code and the output that Node gives them.`);
  return lines;
}

const ENDS = [
  ['returns', 0, 'beforeExit\nexit 0\n', ''],
  ['code', 3, 'beforeExit\nexit 3\n', ''],
  ['exit', 4, 'exit 4\n', ''],
  ['throws', 1, 'exit 1\n', 'Error: in words'],
  ['listener', 1, 'exit 1\n', 'Error: of a listener'],
  ['unheard', 1, 'exit 1\n', 'Error: spawn no-such ENOENT'],
  ['waits', 13, 'beforeExit\nexit 13\n', 'nothing can settle'],
];

const SEEDS = 4;

/** No value, order or time ends the component. */
export function border(bounded) {
  const [seeds, count] = bounded ? [1, 1000] : [SEEDS, 2500];
  const lines = [];
  for (const engine of bounded ? ENGINES.slice(0, 1) : ENGINES) {
    for (let seed = 1; seed <= seeds; seed++) {
      const result = script('border', [String(seed), String(count)], engine);
      const done = result.stdout.includes(`${count} cases, seed ${seed}`) && result.status === 0;
      check(done, `${engine}, seed ${seed}: ${report(result)}`);
    }
    lines.push(`${engine}: ${seeds * count} calls with wrong types, orders and times, no trap.`);
  }
  return lines;
}

