// A few lines to test with, inside a component: `claim` runs each function in turn, and one that fails is
// the program's failure.

const claims = [];

export function claim(text, test) {
  claims.push({ text, test });
}

export function same(actual, expected, what = 'value') {
  const [a, b] = [actual, expected].map((value) => JSON.stringify(value, (_, each) => (each === undefined ? 'undefined' : each)));
  if (a !== b) throw new Error(`${what}: ${a} instead of ${b}`);
}

export function fails(call, code, Kind = Error) {
  try {
    call();
  } catch (error) {
    same(error.code, code, 'code');
    if (!(error instanceof Kind)) throw new Error(`${error} is no ${Kind.name}`);
    return error;
  }
  throw new Error(`nothing was thrown instead of ${code}`);
}

/** Resolves with the arguments of the next event. */
export function event(emitter, name) {
  return new Promise((resolve) => { emitter.once(name, (...args) => resolve(args)); });
}

export async function text(stream) {
  let all = '';
  for await (const chunk of stream.setEncoding('utf8')) all += chunk;
  return all;
}

export async function run() {
  let failed = 0;
  for (const { text: name, test } of claims) {
    if (process.env.TRACE) console.error(name); // where a run that hangs is
    try {
      await test();
    } catch (error) {
      failed++;
      console.log(`FAILED ${name}: ${error.message}\n${error.stack}`);
    }
  }
  console.log(`${claims.length - failed} passed, ${failed} failed`);
  if (failed > 0) process.exitCode = 1;
}
