// The situations of Node's page on child_process, in programs of our own.

import { exec, execFile, execFileSync, execSync, spawn, spawnSync } from 'node:child_process';
import { promisify } from 'node:util';

import { claim, event, run, same } from './claims.js';

const output = [];
const print = (...values) => output.push(values.join(' ').trimEnd());

claim('a listing with its output, errors and end', async () => {
  const list = spawn('ls', ['-d', '/usr', '/no/such']);
  list.stdout.on('data', (data) => print(`out: ${data}`));
  list.stderr.once('data', (data) => print(`err: ${data.length > 0}`));
  list.on('close', (code) => print(`end: ${code}`));
  await event(list, 'close');
  same(output.splice(0).sort(), ['end: 2', 'err: true', 'out: /usr']);
});

claim('one program filters the output of another, by hand', async () => {
  const source = spawn('seq', ['30']);
  const filter = spawn('grep', ['9']);
  source.stdout.on('data', (data) => filter.stdin.write(data));
  source.on('close', (code) => {
    if (code !== 0) print(`source ended with ${code}`);
    filter.stdin.end();
  });
  filter.stdout.on('data', (data) => print(data.toString()));
  filter.on('close', (code) => print(code === 0 ? 'filter is done' : `filter ended with ${code}`));
  await event(filter, 'close');
  same(output.splice(0), ['9\n19\n29', 'filter is done']);
});

claim('a program that cannot start', async () => {
  const child = spawn('not-a-command');
  child.on('error', (error) => print(`did not start: ${error.code}`));
  await event(child, 'error');
  same(output.splice(0), ['did not start: ENOENT']);
});

claim('a shell command with quotes and a variable', async () => {
  await new Promise((resolve) => {
    exec('echo "two  words" \'$HOME\'', (error, stdout, stderr) => {
      if (error) throw error;
      print(stdout, stderr);
      resolve();
    });
  });
  same(output.splice(0), ['two  words $HOME']);
});

claim('await instead of a callback', async () => {
  const { stdout, stderr } = await promisify(exec)('ls -d /usr');
  print(stdout, stderr);
  const { stdout: version } = await promisify(execFile)('echo', ['--', 'v1']);
  print(version);
  same(output.splice(0), ['/usr', '-- v1']);
});

claim('a controller ends a command', async () => {
  const controller = new AbortController();
  const done = new Promise((resolve) => {
    execFile('sleep', ['60'], { signal: controller.signal }, (error) => {
      print(error.name);
      resolve();
    });
  });
  controller.abort();
  await done;
  const child = spawn('grep', ['never'], { signal: controller.signal });
  child.on('error', (error) => print(error.name));
  await event(child, 'error');
  same(output.splice(0), ['AbortError', 'AbortError']);
});

claim('a hang-up ends a program', async () => {
  const child = spawn('grep', ['x']);
  child.on('close', (code, signal) => print(`ended by ${signal}`));
  child.kill('SIGHUP');
  await event(child, 'close');
  same(output.splice(0), ['ended by SIGHUP']);
});

claim('a shell that is killed leaves what it started to the host', async () => {
  const child = spawn('/bin/sh', ['-c', 'sleep 60 & wait'], { stdio: ['inherit', 'inherit', 'inherit'] });
  setTimeout(() => child.kill(), 20);
  same(await event(child, 'close'), [null, 'SIGTERM']);
});

claim('a child in the background, with its output in no place', async () => {
  const child = spawn('sleep', ['60'], { detached: true, stdio: 'ignore' });
  child.unref();
  child.ref();
  child.kill();
  await event(child, 'exit');
});

claim('argv0 is refused unless the grant lists it', async () => {
  const [error] = await event(spawn('echo', { argv0: 'other' }), 'error');
  same([error.code, error.reason], ['EACCES', 'the grant does not allow the argument']);
});

claim('errors of the forms that wait', () => {
  try {
    execFileSync('/bin/sh', ['-c', 'echo partial; exit 9'], { stdio: 'pipe', encoding: 'utf8' });
  } catch (error) {
    if (error.code) print(`did not start: ${error.code}`);
    else print(error.status, error.stdout.trim());
  }
  try {
    execSync('exit 1', { stdio: 'ignore' });
  } catch (error) {
    print(error.status, String(error.stdout));
  }
  same(spawnSync('sleep', ['0']).status, 0);
  same(output.splice(0), ['9 partial', '1 null']);
});

claim('exit and close, with a stream that stays open a while', async () => {
  const child = spawn('/bin/sh', ['-c', 'sleep 0.05 & echo now']);
  const seen = [];
  child.on('exit', (code) => seen.push(`exit ${code}`));
  child.on('close', (code) => seen.push(`close ${code}`));
  child.stdout.resume();
  await event(child, 'close');
  same(seen, ['exit 0', 'close 0']);
});

claim('the input of a program is written in steps', async () => {
  const child = spawn('cat', { stdio: ['pipe', 'pipe', process.stderr] });
  child.stdout.setEncoding('utf8').on('data', (data) => print(data));
  for (const word of ['a', 'b']) {
    await new Promise((resolve) => { child.stdin.write(`${word}\n`, resolve); });
    await event(child.stdout, 'data');
  }
  child.stdin.end();
  await event(child, 'close');
  same(output.splice(0), ['a', 'b']);
});

await run();
