import { clearImmediate, clearInterval, clearTimeout, setImmediate, setInterval, setTimeout } from '../timers.js';

export { clearImmediate, clearInterval, clearTimeout, setImmediate, setInterval, setTimeout };
export default { clearImmediate, clearInterval, clearTimeout, setImmediate, setInterval, setTimeout };
