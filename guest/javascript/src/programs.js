// From the program that JavaScript names to the command that the host starts.
//
// A grant lists commands by name, and a component cannot see the list. The rule is: *each command of the
// grant is in every directory of the search path*. So `git` and `/usr/bin/git` both start the command
// `git`. A command whose name in the grant is a path is found by exactly this path.

import { start } from './border.js';

const PATH = ['/bin', '/sbin', '/usr/bin', '/usr/sbin', '/usr/local/bin', '/usr/local/sbin'];

// Which candidate was a command, so that the others are not tried again: each try is a line in the
// operator's log.
const found = new Map();

function normal(path) {
  const parts = [];
  for (const part of path.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return `/${parts.join('/')}`;
}

function candidates(file, cwd, searched) {
  if (!file.includes('/')) return [file];
  const names = [file];
  if (!file.startsWith('/')) names.push(normal(`${cwd ?? '/'}/${file}`));
  const path = names.at(-1);
  const end = path.lastIndexOf('/');
  if (searched.includes(path.slice(0, end)) && end + 1 < path.length) names.push(path.slice(end + 1));
  return [...new Set(names)];
}

/** Starts the command that a file names. Throws `Refused`. */
export function startProgram(request, streams) {
  const searched = [...(request.env.find(([name]) => name === 'PATH')?.[1] ?? '').split(':'), ...PATH];
  const names = candidates(request.file, request.cwd, searched);
  const key = names.join('\0');
  const known = found.get(key);
  const order = known === undefined ? names : [known, ...names];
  const { spawned, program } = start(order, { ...request, streams });
  if (found.size > 1024) found.clear();
  found.set(key, program);
  return spawned;
}
