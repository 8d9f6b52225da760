// The event loop: timers, and streams and children of the host that become ready.
//
// Neither engine has one that waits for handles of the host. So the library has its own, as Node does:
// it runs one task at a time, then all jobs of promises, and blocks in the host's `poll` when nothing
// else is left to do.

import { turn } from '#engine';
import { now, poll } from './border.js';

const tasks = [];
const sources = new Set();
const timers = new Set();

/** Runs a function after the present one and all jobs of promises, as `setImmediate` does. */
export function later(task) {
  tasks.push(task);
}

/**
 * Waits for something of the host. `subscribe` returns a pollable or null, and `ready` is called when it
 * is ready. A source without `ref` does not keep the program running. Returns a function that ends it.
 */
export function watch(source) {
  sources.add(source);
  return () => sources.delete(source);
}

/** Adds a timer, an object with `when`, `fire` and `ref`. */
export function addTimer(timer) {
  timers.add(timer);
}

export function removeTimer(timer) {
  timers.delete(timer);
}

function alive() {
  if (tasks.length > 0) return true;
  for (const source of sources) if (source.ref) return true;
  for (const timer of timers) if (timer.ref) return true;
  return false;
}

function nextTime() {
  let when = Infinity;
  for (const timer of timers) when = Math.min(when, timer.when);
  return when;
}

/** Moves what is due into the queue of tasks, and blocks for it if the queue is empty. */
function collect() {
  const waited = [...sources];
  const until = nextTime();
  const idle = tasks.length === 0;
  if (waited.length > 0 || (idle && until < Infinity)) {
    const time = idle ? Math.max(0, until - now()) : 0;
    const ready = poll(waited.map((source) => source.subscribe), time === Infinity ? undefined : time);
    for (const index of ready) {
      const source = waited[index];
      tasks.push(() => {
        // A task before this one may have ended it.
        if (sources.has(source)) source.ready();
      });
    }
  }
  const present = now();
  const due = [...timers].filter((timer) => timer.when <= present).sort((a, b) => a.when - b.when);
  for (const timer of due) {
    tasks.push(() => {
      if (timers.has(timer)) timer.fire();
    });
  }
}

/**
 * Runs tasks until nothing is left that keeps the program running.
 *
 * `failed` receives what a task throws; `idle` is called when nothing is left, and may add more.
 */
export async function run(failed, idle) {
  for (;;) {
    await turn();
    if (tasks.length === 0) {
      if (!alive()) {
        idle();
        await turn();
        if (!alive()) return;
      }
      collect();
    }
    const batch = tasks.splice(0);
    for (const task of batch) {
      try {
        task();
      } catch (error) {
        failed(error);
      }
      await turn();
    }
  }
}
