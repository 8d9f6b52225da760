import { StringDecoder } from '../buffer.js';

export { StringDecoder };
export default { StringDecoder };
