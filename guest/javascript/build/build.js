// From a program to a component.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

import { bundle } from './bundle.js';
import * as quickjs from './quickjs.js';
import * as starlingmonkey from './starlingmonkey.js';

const ENGINES = { quickjs, starlingmonkey };

/** The names of the engines; the first is the default. */
export const engines = Object.keys(ENGINES);

/** The folder of the interfaces. */
export const wit = fileURLToPath(new URL('../wit', import.meta.url));

/** Returns the bytes of a component that runs a program. */
export async function build(program, { engine = engines[0], minify = false } = {}) {
  if (!Object.hasOwn(ENGINES, engine)) {
    throw new Error(`there is no engine ${engine}: there are ${engines.join(' and ')}`);
  }
  const { component, renamed } = ENGINES[engine];
  const text = await bundle(resolve(program), { engine, renamed, minify });
  const folder = await mkdtemp(join(tmpdir(), 'capspawn-javascript-'));
  try {
    return await component(text, wit, folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
