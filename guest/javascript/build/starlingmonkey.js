// StarlingMonkey, with componentize-js: the engine of Firefox, in components of twelve megabytes.

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const PACKAGE = '@bytecodealliance/componentize-js';
// componentize-js needs the second one and does not list it. Its later versions do not find files.
const NEEDED = `${PACKAGE}@0.23.0 @bytecodealliance/preview2-shim@0.25.0`;

// `fetch` would wait on handles that the library's event loop does not know.
const LEFT_OUT = ['http', 'fetch-event'];

async function load() {
  try {
    return await import(PACKAGE);
  } catch (error) {
    if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error;
    throw new Error(`the engine starlingmonkey needs other packages: npm install ${NEEDED}`);
  }
}

/** Returns the bytes of a component. `folder` is an empty one for files on the way. */
export async function component(text, wit, folder) {
  const { componentize } = await load();
  const sourcePath = join(folder, 'program.js');
  await writeFile(sourcePath, text);
  const result = await componentize({ sourcePath, witPath: wit, worldName: 'program', disableFeatures: LEFT_OUT });
  return result.component;
}
