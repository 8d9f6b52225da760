import { Buffer } from '../buffer.js';

export { Buffer };
export default { Buffer };
