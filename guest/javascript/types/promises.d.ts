import type { Promises } from './index.js';

export const exec: Promises['exec'];
export const execFile: Promises['execFile'];
