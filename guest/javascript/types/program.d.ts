/** Runs a program to its end: what a component's `run` calls. `main` loads the program's modules. */
export function start(main: () => Promise<unknown>): Promise<void>;
