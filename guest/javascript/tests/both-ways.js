// Sends so many megabytes to `cat` and back, with `spawnSync`. Runs inside a component.

import { spawnSync } from 'node:child_process';

const data = Buffer.alloc(Number(process.argv[2]) * 1_000_000, 'x');
if (!spawnSync('cat', { input: data, maxBuffer: 1e9 }).stdout.equals(data)) process.exitCode = 1;
