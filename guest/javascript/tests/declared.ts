// What the declarations accept, for the compiler alone.

import { exec, execFileSync, spawn, spawnSync, type ChildProcess } from 'capspawn-process';
import { execFile } from 'capspawn-process/promises';

const child: ChildProcess = spawn('cat', ['-'], { stdio: ['pipe', { file: '/tmp/x', append: true }, 2], timeout: 5 });
child.on('close', (code, signal) => { const ended: [number | null, string | null] = [code, signal]; void ended; });
child.stdin?.end('text', () => {});
const text: string = execFileSync('echo', ['x'], { encoding: 'utf8' });
const bytes: Uint8Array = spawnSync('echo').stdout;
exec('echo', (error, stdout) => { const line: string = stdout; void [error?.code, line]; });
const { stdout } = await execFile('echo', ['x']);
// @ts-expect-error: a program is a string
spawn(5);
void [text, bytes, stdout.length];
