// From the modules of a program to one module that an engine loads.

import { fileURLToPath } from 'node:url';

import { build } from 'esbuild';

/** The modules of Node that this library has, and where. */
export const MODULES = {
  child_process: 'index.js',
  'child_process/promises': 'promises.js',
  buffer: 'node/buffer.js',
  events: 'node/events.js',
  os: 'node/os.js',
  process: 'node/process.js',
  stream: 'node/stream.js',
  'stream/promises': 'node/stream-promises.js',
  string_decoder: 'node/string_decoder.js',
  timers: 'node/timers.js',
  'timers/promises': 'node/timers-promises.js',
  util: 'node/util.js',
};

function source(name) {
  return fileURLToPath(new URL(`../src/${name}`, import.meta.url));
}

/** Resolves the modules of Node, and leaves the interfaces of the host to the engine. */
function resolver(renamed) {
  return {
    name: 'capspawn',
    setup(bundle) {
      bundle.onResolve({ filter: /^(capspawn|wasi):/ }, ({ path }) => ({ path: renamed(path), external: true }));
      bundle.onResolve({ filter: /^(node:)?[a-z_]+(\/promises)?$/ }, ({ path }) => {
        const name = path.replace(/^node:/, '');
        if (Object.hasOwn(MODULES, name)) return { path: source(MODULES[name]) };
        if (!path.startsWith('node:')) return undefined;
        return { errors: [{ text: `a component has no module ${path}` }] };
      });
    },
  };
}

/**
 * Returns the text of one module that exports the component's `run`.
 *
 * The program is loaded when the component runs: its modules are behind a dynamic import, since an
 * engine evaluates the modules that it is given when the component is made.
 */
export async function bundle(program, { engine, renamed = (path) => path, minify = false }) {
  const contents = `
    import { start } from ${JSON.stringify(source('program.js'))};
    export const run = { run: () => start(() => import(${JSON.stringify(program)})) };
  `;
  const result = await build({
    stdin: { contents, resolveDir: process.cwd(), sourcefile: 'capspawn-program.js' },
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'neutral',
    target: 'es2022',
    mainFields: ['module', 'main'],
    conditions: [engine, 'import', 'module', 'default'],
    plugins: [resolver(renamed)],
    minify,
    logLevel: 'silent',
  });
  return result.outputFiles[0].text;
}
