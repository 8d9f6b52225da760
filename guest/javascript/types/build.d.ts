/** The names of the engines; the first is the default. */
export const engines: string[];

/** The folder of the interfaces. */
export const wit: string;

/** Returns the bytes of a component that runs a program. */
export function build(program: string, options?: { engine?: 'quickjs' | 'starlingmonkey'; minify?: boolean }): Promise<Uint8Array>;
