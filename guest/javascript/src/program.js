// A program as a component: `start` is what the component's `run` calls.

import './globals.js';
import * as loop from './loop.js';
import * as own from './own.js';
import { process } from './process.js';
import { writeOwn } from './own.js';
import { encode } from './text.js';

/**
 * Runs a program to its end: `main` loads its modules. Ends the component with a code if the program
 * failed or has set one.
 */
export async function start(main) {
  own.begin();
  let loaded = false;
  main().then(
    () => {
      loaded = true;
    },
    (error) => {
      loaded = true;
      loop.later(() => process.fail(error));
    },
  );
  await loop.run((error) => process.fail(error), () => process.emit('beforeExit', process.exitCode ?? 0));
  if (!loaded) {
    writeOwn(2, encode('Warning: the program waits for a promise that nothing can settle\n'));
    process.exit(process.exitCode ?? 13);
  }
  process.finish();
}
