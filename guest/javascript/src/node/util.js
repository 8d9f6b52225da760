import { format, inspect } from '../inspect.js';
import { promisify } from '../promisify.js';

function inherits(constructor, parent) {
  Object.setPrototypeOf(constructor.prototype, parent.prototype);
}

const { TextDecoder, TextEncoder } = globalThis;

export { format, inherits, inspect, promisify, TextDecoder, TextEncoder };
export default { format, inherits, inspect, promisify, TextDecoder, TextEncoder };
