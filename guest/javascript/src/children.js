// The children that run, by their numbers, and signals to them.

import { invalidType, systemError, unknownSignal } from './errors.js';
import { knownSignal, sendable } from './signals.js';

const running = new Map();

export function add(number, spawned) {
  running.set(number, spawned);
}

export function remove(number) {
  running.delete(number);
}

/** Returns the interface's name of a signal and checks it. Throws a TypeError and an error of `kill`. */
export function checkSignal(signal) {
  const name = knownSignal(signal);
  if (name === undefined) throw unknownSignal(signal);
  return name;
}

/** Sends a signal by its name. Returns false if the child has ended. Throws an error of `kill`. */
export function send(spawned, name, tree = false) {
  if (spawned.status() !== null) return false;
  const signal = sendable(name);
  if (signal === undefined) throw systemError('ENOSYS', 'kill', `the host cannot send ${name}`);
  try {
    spawned.signal(signal, tree);
  } catch (failure) {
    throw systemError(failure.code ?? 'EIO', 'kill', failure.message);
  }
  return true;
}

/** `process.kill`: reaches children of this component; a negative number reaches all that one started. */
export function kill(pid, signal) {
  if (typeof pid !== 'number' || !Number.isInteger(pid)) throw invalidType('pid', 'of type number', pid);
  const spawned = running.get(Math.abs(pid));
  if (signal === 0) {
    if (spawned === undefined || spawned.status() !== null) throw systemError('ESRCH', 'kill');
    return true;
  }
  const name = checkSignal(signal);
  if (spawned === undefined || !send(spawned, name, pid < 0)) {
    throw systemError('ESRCH', 'kill', 'no child of this component has this number');
  }
  return true;
}
