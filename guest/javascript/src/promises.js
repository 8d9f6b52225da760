// `exec` and `execFile` that return promises of `{ stdout, stderr }`.

import { promises } from './exec.js';

export const { exec, execFile } = promises;

export default promises;
