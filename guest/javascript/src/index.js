// `node:child_process` for components.

import { ChildProcess } from './child-process.js';
import { exec, execFile, fork, spawn } from './exec.js';
import { execFileSync, execSync, spawnSync } from './sync.js';

export { ChildProcess, exec, execFile, execFileSync, execSync, fork, spawn, spawnSync };

export default { ChildProcess, exec, execFile, execFileSync, execSync, fork, spawn, spawnSync };
