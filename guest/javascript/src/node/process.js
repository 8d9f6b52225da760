import { process } from '../process.js';

export { process as default };
export const { argv, env, stderr, stdin, stdout } = process;
export const exit = (code) => process.exit(code);
export const kill = (pid, signal) => process.kill(pid, signal);
export const nextTick = (callback, ...rest) => process.nextTick(callback, ...rest);
