// What programs expect of `node:child_process`. Runs inside a component; the grant is `grants.toml`.

import childProcess, { ChildProcess, exec, execFile, execFileSync, execSync, fork, spawn, spawnSync } from 'node:child_process';
import { EventEmitter, on, once } from 'node:events';
import { constants } from 'node:os';
import { PassThrough, pipeline, Readable, Transform } from 'node:stream';
import { finished } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { inspect, promisify } from 'node:util';

import { claim, event, fails, run, same, text } from './claims.js';

const shared = process.env.SHARED;
const sh = (command, options) => spawn(command, { shell: true, ...options });

claim('spawn has events and streams in their order', async () => {
  const child = spawn('cat');
  same(child instanceof ChildProcess && child instanceof EventEmitter, true);
  const seen = [];
  for (const name of ['spawn', 'exit', 'close']) child.on(name, (...args) => seen.push([name, ...args]));
  child.stdout.on('end', () => seen.push(['end']));
  let all = '';
  child.stdout.on('data', (data) => { all += data; });
  child.stdin.write('one ');
  child.stdin.end('two');
  await event(child, 'close');
  same(all, 'one two');
  same(seen.filter(([name]) => name !== 'end').map(([name]) => name), ['spawn', 'exit', 'close']);
  same(seen.findIndex(([name]) => name === 'end') < seen.findIndex(([name]) => name === 'close'), true);
  same([child.exitCode, child.signalCode, child.killed, child.connected], [0, null, false, false]);
  same([child.spawnfile, child.spawnargs], ['cat', ['cat']]);
  same(child.stdio.length === 3 && child.stdio[1] === child.stdout, true);
  same(child.pid > 0, true);
});

claim('data are Buffers, and strings after setEncoding, also where a character is split', async () => {
  const plain = spawn('printf', ['\\303\\244']);
  const [chunk] = await event(plain.stdout, 'data');
  same([Buffer.isBuffer(chunk), chunk.toString(), chunk.toString('hex')], [true, 'ä', 'c3a4']);
  const split = sh("printf '\\303'; sleep 0.05; printf '\\244'");
  same(await text(split.stdout), 'ä');
});

claim('a program that ends has its code or its signal', async () => {
  same(await event(sh('exit 3'), 'exit'), [3, null]);
  same(await event(sh('kill -9 $$'), 'close'), [null, 'SIGKILL']);
  const child = spawn('sleep', ['60']);
  same([child.kill(), child.killed], [true, true]);
  same(await event(child, 'exit'), [null, 'SIGTERM']);
  same([child.signalCode, child.exitCode, child.kill(), child.kill(0)], ['SIGTERM', null, false, false]);
});

claim('kill takes names and numbers, and refuses others', async () => {
  const child = spawn('sleep', ['60']);
  same(child.kill(0), true);
  for (const wrong of ['SIGNOPE', 'term', 77, {}, NaN, -1, 1.5]) fails(() => child.kill(wrong), 'ERR_UNKNOWN_SIGNAL', TypeError);
  fails(() => child.kill('SIGSEGV'), 'ENOSYS');
  same(child.kill('sigstop'), true);
  same(child.kill(18), true);
  same(child.kill(constants.signals.SIGINT), true);
  same(await event(child, 'exit'), [null, 'SIGINT']);
});

claim('process.kill reaches own children and no other process', async () => {
  const child = sh('sleep 60 & wait');
  same(process.kill(child.pid, 0), true);
  process.kill(-child.pid, 'SIGKILL');
  same(await event(child, 'exit'), [null, 'SIGKILL']);
  fails(() => process.kill(child.pid), 'ESRCH');
  fails(() => process.kill(4321, 0), 'ESRCH');
});

claim('a program that the grant does not list is ENOENT, as an event', async () => {
  const child = spawn('no-such', ['a'], { cwd: '/' });
  same(child.pid, undefined);
  const [error] = await event(child, 'error');
  same([error.code, error.errno, error.syscall, error.path, error.spawnargs], ['ENOENT', -2, 'spawn no-such', 'no-such', ['a']]);
  same(error.message, 'spawn no-such ENOENT');
  const refused = spawn('narrow', ['other']);
  same((await event(refused, 'error'))[0].code, 'EACCES');
  await event(refused, 'close');
});

claim('a working directory that does not exist is ENOENT', async () => {
  const [error] = await event(spawn('pwd', { cwd: '/no/such' }), 'error');
  same([error.code, error.syscall], ['ENOENT', 'spawn pwd']);
});

claim('cwd is a path or a file URL', () => {
  same(execFileSync('pwd', { cwd: shared, encoding: 'utf8' }), `${shared}\n`);
  same(execFileSync('pwd', { cwd: { protocol: 'file:', pathname: shared }, encoding: 'utf8' }), `${shared}\n`);
});

claim('a child has the variables of the option env, or those that the program has set', () => {
  const read = 'echo "$GREETING $OTHER"';
  same(execSync(read, { env: { GREETING: 'hello', OTHER: undefined }, encoding: 'utf8' }), 'hello \n');
  process.env.GREETING = 'set';
  same(execSync(read, { encoding: 'utf8' }), 'set \n');
  delete process.env.GREETING;
  same(execSync('echo "$SHARED"', { encoding: 'utf8' }), '\n');
  const error = fails(() => execFileSync('cat', { env: { FORBIDDEN: '1' } }), 'EACCES');
  same(error.reason, 'the grant does not allow the environment');
});

claim('a path names the command of its last part where it leads into the search path', () => {
  same(execFileSync('/bin/echo', ['x'], { encoding: 'utf8' }), 'x\n');
  same(execFileSync('echo', ['x'], { cwd: '/usr/bin', encoding: 'utf8' }), 'x\n');
  same(execFileSync('./echo', ['x'], { cwd: '/usr/bin', encoding: 'utf8' }), 'x\n');
  same(spawnSync('/elsewhere/echo').error.code, 'ENOENT');
});

claim('stdio: ignore, inherit, arrays, numbers and streams', async () => {
  const ignored = spawn('cat', { stdio: 'ignore' });
  same([ignored.stdin, ignored.stdout, ignored.stderr, ignored.stdio], [null, null, null, [null, null, null]]);
  same(await event(ignored, 'close'), [0, null]);
  const some = spawn('echo', ['inherited'], { stdio: ['ignore', 'inherit', process.stderr] });
  same([some.stdout, await event(some, 'close')], [null, [0, null]]);
  same(spawnSync('echo', ['inherited too'], { stdio: [0, 1, 2] }).stdout, null);
  same(spawnSync('echo', ['piped'], { stdio: [null, undefined] }).stdout.toString(), 'piped\n');
  for (const wrong of ['nope', ['pipe', 'nope'], [{}], [7], 5, ['pipe', 'pipe', 'pipe', 'pipe'], ['ipc'], [new PassThrough()]]) {
    let error;
    try { spawn('cat', { stdio: wrong }); } catch (thrown) { error = thrown; }
    same(['ERR_INVALID_ARG_VALUE', 'ERR_FEATURE_UNAVAILABLE_ON_PLATFORM'].includes(error?.code), true, inspect(wrong));
  }
});

claim('stdio takes the output of another child, which the host connects', async () => {
  const first = spawn('seq', ['100000']);
  const second = spawn('wc', ['-c'], { stdio: [first.stdout, 'pipe', 'inherit'] });
  same(await text(second.stdout), '588895\n');
  const read = spawn('echo', ['x']);
  await event(read.stdout, 'data');
  fails(() => spawn('cat', { stdio: [read.stdout] }), 'ERR_INVALID_STATE');
  // A path needs two attempts, and both have the pipe.
  const third = spawn('echo', ['kept']);
  same(spawnSync('/bin/cat', { stdio: [third.stdout] }).stdout.toString(), 'kept\n');
});

claim('stdio takes files of the host', () => {
  const file = `${shared}/made by a child`;
  same(spawnSync('cat', { input: 'one\n', stdio: ['pipe', { file }, 'pipe'] }).status, 0);
  same(spawnSync('cat', { input: 'two\n', stdio: ['pipe', { file, append: true }, 'pipe'] }).status, 0);
  same(spawnSync('cat', { stdio: [{ file }, 'pipe', 'pipe'] }).stdout.toString(), 'one\ntwo\n');
  same(spawnSync('echo', { stdio: ['ignore', { file }, 'pipe'] }).error.code, 'EACCES');
});

claim('exec runs a shell and calls back with all output', async () => {
  const values = await new Promise((resolve) => { exec('echo out; echo err >&2', (...args) => resolve(args)); });
  same(values, [null, 'out\n', 'err\n']);
  const [error, stdout, stderr] = await new Promise((resolve) => {
    exec('echo out; echo err >&2; exit 5', { encoding: 'buffer' }, (...args) => resolve(args));
  });
  same([error.code, error.killed, error.signal, error.cmd], [5, false, null, 'echo out; echo err >&2; exit 5']);
  same([Buffer.isBuffer(stdout), stdout.toString(), stderr.toString()], [true, 'out\n', 'err\n']);
  same(error.message, 'Command failed: echo out; echo err >&2; exit 5\nerr\n');
});

claim('execFile needs no arguments, no options and no callback', async () => {
  same(await new Promise((resolve) => { execFile('echo', (...args) => resolve(args)); }), [null, '\n', '']);
  same(await new Promise((resolve) => { execFile('echo', ['a'], (...args) => resolve(args)); }), [null, 'a\n', '']);
  same(await new Promise((resolve) => { execFile('pwd', { cwd: '/usr' }, (...args) => resolve(args)); }), [null, '/usr\n', '']);
  same(await event(execFile('echo', ['x']), 'close'), [0, null]);
  const [error] = await new Promise((resolve) => { execFile('no-such', (...args) => resolve(args)); });
  same([error.code, error.path, error.cmd], ['ENOENT', 'no-such', 'no-such']);
});

claim('promisified forms have the output, the child, and the output in their error', async () => {
  const run_ = promisify(execFile);
  same(await run_('echo', ['x']), { stdout: 'x\n', stderr: '' });
  const promise = promisify(exec)('echo half; exit 2');
  same(promise.child instanceof ChildProcess, true);
  const error = await promise.catch((thrown) => thrown);
  same([error.code, error.stdout, error.stderr], [2, 'half\n', '']);
});

claim('maxBuffer ends the child and keeps what fits', async () => {
  const [error, stdout] = await new Promise((resolve) => {
    execFile('seq', ['1000000'], { maxBuffer: 10 }, (...args) => resolve(args));
  });
  same([error.code, error instanceof RangeError, stdout], ['ERR_CHILD_PROCESS_STDIO_MAXBUFFER', true, '1\n2\n3\n4\n5\n']);
  same(error.message, 'stdout maxBuffer length exceeded');
  const result = spawnSync('seq', ['1000000'], { maxBuffer: 10, encoding: 'utf8' });
  same([result.error.code, result.stdout, result.signal], ['ENOBUFS', '1\n2\n3\n4\n5\n', 'SIGTERM']);
  same(spawnSync('seq', ['9'], { maxBuffer: 18 }).error, undefined);
});

claim('timeout ends the child with killSignal', async () => {
  const child = spawn('sleep', ['60'], { timeout: 30, killSignal: 'SIGKILL' });
  same(await event(child, 'exit'), [null, 'SIGKILL']);
  const [error] = await new Promise((resolve) => { exec('sleep 60', { timeout: 30 }, (...args) => resolve(args)); });
  same([error.killed, error.signal, error.code], [true, 'SIGTERM', null]);
  const result = spawnSync('sleep', ['60'], { timeout: 30, killSignal: 9 });
  same([result.error.code, result.error.errno, result.error.syscall, result.signal, result.status], ['ETIMEDOUT', -110, 'spawnSync sleep', 'SIGKILL', null]);
  same(spawnSync('sleep', ['0'], { timeout: 60000 }).error, undefined);
});

claim('an AbortSignal ends the child, before and while it runs', async () => {
  const controller = new AbortController();
  const child = spawn('sleep', ['60'], { signal: controller.signal });
  setTimeout(() => controller.abort(), 10);
  const [error] = await event(child, 'error');
  same([error.name, error.code], ['AbortError', 'ABORT_ERR']);
  same(await event(child, 'exit'), [null, 'SIGTERM']);
  const early = spawn('sleep', ['60'], { signal: AbortSignal.abort() });
  same((await event(early, 'error'))[0].code, 'ABORT_ERR');
  const failure = await promisify(exec)('sleep 60', { signal: AbortSignal.abort() }).catch((thrown) => thrown);
  same(failure.name, 'AbortError');
});

claim('the host’s limit is a signal, and killReason states which', async () => {
  const child = spawn('short', ['60']);
  same([await event(child, 'exit'), child.killReason], [[null, 'SIGKILL'], 'timeout']);
  same(spawnSync('short', ['60']).killReason, 'timeout');
});

claim('spawnSync has status, output and input', () => {
  const result = spawnSync('/bin/sh', ['-c', 'cat; echo err >&2; exit 4'], { input: 'in' });
  same([result.status, result.signal, result.stdout.toString(), result.stderr.toString()], [4, null, 'in', 'err\n']);
  same([result.output.length, result.output[0], result.output[1] === result.stdout, result.pid > 0], [3, null, true, true]);
  same(spawnSync('cat', { input: Uint8Array.of(104, 105), encoding: 'latin1' }).stdout, 'hi');
  const none = spawnSync('no-such');
  same([none.error.code, none.error.syscall, none.status, none.output], ['ENOENT', 'spawnSync no-such', null, null]);
});

claim('execFileSync and execSync return the output or throw with it', () => {
  same(execFileSync('echo', ['x']).toString(), 'x\n');
  same(execSync('echo x; true', { encoding: 'utf8' }), 'x\n');
  let error;
  try { execSync('echo out; echo err >&2; exit 3', { stdio: 'pipe' }); } catch (thrown) { error = thrown; }
  same([error.status, error.stdout.toString(), error.stderr.toString(), error.message], [3, 'out\n', 'err\n', 'Command failed: echo out; echo err >&2; exit 3\nerr\n']);
  fails(() => execFileSync('no-such'), 'ENOENT');
  fails(() => execSync('sleep 60', { timeout: 20 }), 'ETIMEDOUT');
});

claim('eight megabytes pass both ways', async () => {
  const data = Buffer.alloc(8_000_000, 'a line of text\n');
  same(spawnSync('cat', { input: data, maxBuffer: 1e8 }).stdout.equals(data), true);
  const child = spawn('cat');
  child.stdin.end(data);
  const parts = [];
  for await (const part of child.stdout) parts.push(part);
  same(Buffer.concat(parts).equals(data), true);
});

claim('write reports a full pipe, and drain that it takes more', async () => {
  const child = spawn('sleep', ['0.05'], { stdio: ['pipe', 'ignore', 'ignore'] });
  let count = 0;
  while (child.stdin.write(Buffer.alloc(16384)) && count < 100) count++;
  same(count < 100, true);
  const [error] = await event(child.stdin, 'error');
  same([error.code, error.syscall], ['EPIPE', 'write']);
  const cat = spawn('cat');
  cat.stdout.resume();
  while (cat.stdin.write(Buffer.alloc(100_000)));
  await event(cat.stdin, 'drain');
  cat.stdin.end();
  same(await event(cat, 'close'), [0, null]);
});

claim('write and end call back, and a write after the end is an error', async () => {
  const child = spawn('cat');
  same(await new Promise((resolve) => { child.stdin.write('x', resolve); }), null);
  await new Promise((resolve) => { child.stdin.end('y', 'latin1', resolve); });
  same([child.stdin.writableEnded, child.stdin.writableFinished], [true, true]);
  const late = spawn('cat');
  late.stdin.end();
  late.stdin.write('z');
  same((await event(late.stdin, 'error'))[0].code, 'ERR_STREAM_WRITE_AFTER_END');
  fails(() => late.stdin.write(5), 'ERR_INVALID_ARG_TYPE', TypeError);
  fails(() => late.stdin.write(null), 'ERR_STREAM_NULL_VALUES');
});

claim('read, pause and readable work as those of a stream', async () => {
  const child = spawn('printf', ['abcdef']);
  await event(child.stdout, 'readable');
  same(child.stdout.read(2).toString(), 'ab');
  same(child.stdout.read(100), null);
  same(child.stdout.read().toString(), 'cdef');
  const paused = spawn('seq', ['5']);
  let seen = '';
  paused.stdout.on('data', (data) => { seen += data; });
  paused.stdout.pause();
  await sleep(30);
  same([seen, paused.stdout.isPaused()], ['', true]);
  paused.stdout.resume();
  await event(paused, 'close');
  same(seen, '1\n2\n3\n4\n5\n');
});

claim('pipe connects children and other streams', async () => {
  const seq = spawn('seq', ['20']);
  const grep = spawn('grep', ['5']);
  seq.stdout.pipe(grep.stdin);
  same(await text(grep.stdout), '5\n15\n');
  const upper = new Transform({ transform: (chunk, _, done) => done(null, chunk.toString().toUpperCase()) });
  same(await text(spawn('echo', ['abc']).stdout.pipe(upper)), 'ABC\n');
  const cat = spawn('cat');
  Readable.from(['one ', 'two']).pipe(cat.stdin);
  same(await text(cat.stdout), 'one two');
  const sort = spawn('sort');
  await new Promise((resolve, reject) => {
    pipeline(Readable.from(['b\n', 'a\n']), sort.stdin, (error) => (error ? reject(error) : resolve()));
  });
  same(await text(sort.stdout), 'a\nb\n');
  const last = spawn('echo');
  last.stdout.resume();
  await finished(last.stdout);
});

claim('a stream that nobody reads keeps neither exit nor close', async () => {
  const child = spawn('echo', ['unread']);
  same(await event(child, 'close'), [0, null]);
});

claim('once and on wait for events', async () => {
  const child = spawn('echo', ['x']);
  await once(child, 'spawn');
  same(await once(child, 'close'), [0, null]);
  same((await once(spawn('no-such'), 'spawn').catch((error) => error)).code, 'ENOENT');
  const lines = [];
  for await (const [chunk] of on(spawn('seq', ['2']).stdout, 'data', { close: ['end'] })) lines.push(String(chunk));
  same(lines.join(''), '1\n2\n');
});

claim('several children run at once, and each ends by itself', async () => {
  const ends = await Promise.all([3, 1, 2].map((code) => event(sh(`sleep 0.0${code}; exit ${code}`), 'exit')));
  same(ends.map(([code]) => code), [3, 1, 2]);
});

claim('fork, uid and gid are errors that state the reason', () => {
  const error = fails(() => fork('x.js'), 'ERR_FEATURE_UNAVAILABLE_ON_PLATFORM');
  same(error.message.includes('Use spawn'), true);
  fails(() => spawn('cat', { uid: 0 }), 'ERR_FEATURE_UNAVAILABLE_ON_PLATFORM');
  fails(() => execFile('cat', { gid: 0 }), 'ERR_FEATURE_UNAVAILABLE_ON_PLATFORM');
});

claim('send and disconnect are errors of a channel', async () => {
  const child = spawn('cat');
  same(child.send({}, () => {}), false);
  child.disconnect();
  same((await event(child, 'error'))[0].code, 'ERR_IPC_DISCONNECTED');
  child.stdin.end();
});

claim('wrong arguments are a TypeError or a RangeError at once', () => {
  for (const wrong of [undefined, null, 5, {}, [], Symbol('x'), () => {}]) {
    for (const call of [spawn, spawnSync, execFile, execFileSync, exec, execSync]) {
      fails(() => call(wrong), 'ERR_INVALID_ARG_TYPE', TypeError);
    }
  }
  fails(() => spawn(''), 'ERR_INVALID_ARG_VALUE', TypeError);
  fails(() => spawn('a\0b'), 'ERR_INVALID_ARG_VALUE', TypeError);
  fails(() => spawn('echo', ['a\0b']), 'ERR_INVALID_ARG_VALUE', TypeError);
  fails(() => spawn('echo', 'x'), 'ERR_INVALID_ARG_TYPE', TypeError);
  fails(() => spawn('echo', [], 'x'), 'ERR_INVALID_ARG_TYPE', TypeError);
  fails(() => spawn('echo', { cwd: 5 }), 'ERR_INVALID_ARG_TYPE', TypeError);
  fails(() => spawn('echo', { env: 'x' }), 'ERR_INVALID_ARG_TYPE', TypeError);
  fails(() => spawn('echo', { shell: 5 }), 'ERR_INVALID_ARG_TYPE', TypeError);
  fails(() => spawn('echo', { detached: 'yes' }), 'ERR_INVALID_ARG_TYPE', TypeError);
  fails(() => spawnSync('echo', { timeout: -1 }), 'ERR_OUT_OF_RANGE', RangeError);
  fails(() => spawnSync('echo', { timeout: NaN }), 'ERR_OUT_OF_RANGE', RangeError);
  fails(() => spawnSync('echo', { maxBuffer: -1 }), 'ERR_OUT_OF_RANGE', RangeError);
  fails(() => spawnSync('echo', { killSignal: 'SIGNOPE' }), 'ERR_UNKNOWN_SIGNAL', TypeError);
  fails(() => spawnSync('echo', { input: 5 }), 'ERR_INVALID_ARG_TYPE', TypeError);
  fails(() => spawn('echo', { signal: {} }), 'ERR_INVALID_ARG_TYPE', TypeError);
});

claim('arguments and variables are UTF-8, with U+FFFD for a lone surrogate', () => {
  same(execFileSync('printf', ['%s', 'ä€😀']).toString('hex'), 'c3a4e282acf09f9880');
  same(execFileSync('printf', ['%s', '\ud800']).toString('hex'), 'efbfbd');
});

claim('timers fire in their order and can be cleared', async () => {
  const seen = [];
  setTimeout(() => seen.push('later'), 20);
  setTimeout((value) => seen.push(value), 1, 'soon');
  const cleared = setTimeout(() => seen.push('never'), 5);
  clearTimeout(cleared);
  clearTimeout(Number(setTimeout(() => seen.push('never'), 5)));
  let ticks = 0;
  const interval = setInterval(() => { if (++ticks === 3) clearInterval(interval); }, 2);
  setImmediate(() => seen.push('immediate'));
  process.nextTick(() => seen.push('tick'));
  await sleep(60);
  same([seen, ticks], [['tick', 'immediate', 'soon', 'later'], 3]);
  setTimeout(() => {}, 1e6).unref();
});

claim('all jobs of promises run before the next event', async () => {
  const child = spawn('echo', ['x']);
  const seen = [];
  child.once('spawn', () => {
    (async () => { for (let job = 0; job < 500; job++) await null; seen.push('jobs'); })();
  });
  child.once('exit', () => seen.push('exit'));
  await event(child, 'close');
  same(seen, ['jobs', 'exit']);
});

claim('Buffer converts', () => {
  same(Buffer.from('aGk=', 'base64').toString(), 'hi');
  same(Buffer.from('hi').toString('base64'), 'aGk=');
  same(Buffer.from('6869', 'hex').toString('utf16le'), '\u6968');
  same(Buffer.concat([Buffer.from('a'), Buffer.from('b')]).toString(), 'ab');
  same(Buffer.from([0xff, 0x41]).toString(), '\ufffdA');
  same(Buffer.byteLength('ä'), 2);
  same(JSON.stringify(Buffer.from('a')), '{"type":"Buffer","data":[97]}');
  same(Buffer.from('abc').indexOf('c'), 2);
});

claim('the default export has the functions', () => {
  same(Object.keys(childProcess).sort(), ['ChildProcess', 'exec', 'execFile', 'execFileSync', 'execSync', 'fork', 'spawn', 'spawnSync']);
});

await run();
