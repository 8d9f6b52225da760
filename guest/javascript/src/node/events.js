export * from '../events.js';
export { default } from '../events.js';
