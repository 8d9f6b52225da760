// Signals of Linux, and which of them the interface can send.

const NUMBERS = {
  SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGILL: 4, SIGTRAP: 5, SIGABRT: 6, SIGIOT: 6, SIGBUS: 7, SIGFPE: 8,
  SIGKILL: 9, SIGUSR1: 10, SIGSEGV: 11, SIGUSR2: 12, SIGPIPE: 13, SIGALRM: 14, SIGTERM: 15,
  SIGSTKFLT: 16, SIGCHLD: 17, SIGCONT: 18, SIGSTOP: 19, SIGTSTP: 20, SIGTTIN: 21, SIGTTOU: 22,
  SIGURG: 23, SIGXCPU: 24, SIGXFSZ: 25, SIGVTALRM: 26, SIGPROF: 27, SIGWINCH: 28, SIGIO: 29,
  SIGPOLL: 29, SIGPWR: 30, SIGSYS: 31,
};

// The cases of the interface's `signal`.
const SENDABLE = {
  SIGHUP: 'hangup', SIGINT: 'interrupt', SIGQUIT: 'quit', SIGTERM: 'terminate', SIGKILL: 'kill',
  SIGUSR1: 'user1', SIGUSR2: 'user2', SIGSTOP: 'stop', SIGCONT: 'continue', SIGWINCH: 'window-change',
  SIGALRM: 'alarm', SIGPIPE: 'broken-pipe',
};

// The signal of POSIX for each limit that has one.
const OF_REASON = { 'cpu-time': 'SIGXCPU', 'file-size': 'SIGXFSZ' };

/** The numbers that `node:os` has as `constants.signals`. */
export const signalNumbers = Object.freeze({ ...NUMBERS });

/** Returns the name of a number, or undefined. */
export function signalName(number) {
  return Object.keys(NUMBERS).find((name) => NUMBERS[name] === number);
}

/** Returns the name for a name in any case or a number, or undefined if there is none. */
export function knownSignal(value) {
  if (typeof value === 'number') return signalName(value);
  if (typeof value !== 'string') return undefined;
  const name = value.toUpperCase();
  return Object.hasOwn(NUMBERS, name) ? name : undefined;
}

/** Returns the interface's name of a signal, or undefined if the interface cannot send it. */
export function sendable(name) {
  return Object.hasOwn(SENDABLE, name) ? SENDABLE[name] : undefined;
}

/** Returns `{ code, signal, reason }` for the interface's `exit-status`; one of the first two is null. */
export function ending(status) {
  if (status.tag === 'exited') return { code: status.val, signal: null, reason: null };
  if (status.tag === 'signaled') {
    return { code: null, signal: signalName(status.val) ?? `SIG${status.val}`, reason: null };
  }
  const { reason, signal } = status.val;
  const name = OF_REASON[reason] ?? signalName(signal ?? NUMBERS.SIGKILL) ?? 'SIGKILL';
  return { code: null, signal: name, reason };
}
