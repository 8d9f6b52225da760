// QuickJS, with componentize-qjs: components of one to two megabytes that start in milliseconds.
//
// `run` is that of WASI 0.3: its engine runs the jobs of promises for an asynchronous export alone.
// Everything else is 0.2.

import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { componentize } from 'componentize-qjs';

// componentize-qjs runs the program's modules with a host that has WASI's streams and pollables, and
// with placeholders for other interfaces. A function of `capspawn:process` that returns a pollable then
// has two types of it. So all of WASI that the library imports has another name until the component is
// made, and the same length, which makes it possible to put the name back.
const PLACEHOLDER = 'wazi:';
const NAME = 'wasi:';

// The engine imports this version for itself, and one name can be imported once.
const TAKEN = '@0.2.12';
const FREE = '@0.2.10';

const RUN = `package wasi:cli@0.3.0;
/// The program itself.
interface run {
    /// Run it.
    run: async func() -> result;
}
interface types {
    enum error-code { io, illegal-byte-sequence, pipe }
}
/// Never called: an engine has a type of streams if an interface has it.
interface stdin {
    use types.{error-code};
    read-via-stream: func() -> tuple<stream<u8>, future<result<_, error-code>>>;
}
`;

// The type of the stream through which the engine learns that its queue is empty: see src/engine.
const WORLD = `/// What the engine needs beyond the library.
world quickjs {
    include library;
    import wasi:cli/stdin@0.3.0;
    export wasi:cli/run@0.3.0;
}
`;

export function renamed(path) {
  return path.replace(NAME, PLACEHOLDER).replace(TAKEN, FREE);
}

/** Writes a copy of the interfaces with other names. */
async function interfaces(wit, folder) {
  await cp(wit, folder, { recursive: true });
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = join(entry.parentPath, entry.name);
    const text = (await readFile(file, 'utf8')).replaceAll(NAME, PLACEHOLDER).replaceAll(TAKEN, FREE);
    await writeFile(file, entry.name === 'world.wit' ? text + WORLD : text);
  }
  await mkdir(join(folder, 'deps/run'));
  await writeFile(join(folder, 'deps/run/run.wit'), RUN);
}

const HEADER_BYTES = 8;
const IMPORT_SECTION = 10;

/** Puts the names back in the section of a component that lists its imports. */
function restored(component) {
  const bytes = Buffer.from(component);
  let at = HEADER_BYTES;
  while (at < bytes.length) {
    const section = bytes[at++];
    let size = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++];
      size += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) break;
    }
    const end = at + size;
    if (section === IMPORT_SECTION) {
      for (let name = bytes.indexOf(PLACEHOLDER, at); name >= 0 && name < end; name = bytes.indexOf(PLACEHOLDER, name)) {
        bytes.write(NAME, name);
      }
    }
    at = end;
  }
  return bytes;
}

/** Returns the bytes of a component. `folder` is an empty one for files on the way. */
export async function component(text, wit, folder) {
  const copy = join(folder, 'wit');
  await interfaces(wit, copy);
  const result = await componentize({ witPath: copy, jsSource: text, world: 'quickjs' });
  return restored(result.component);
}
