import { errnoValues } from '../errors.js';
import { signalNumbers } from '../signals.js';

export const constants = { errno: errnoValues, signals: signalNumbers };
export const EOL = '\n';
export const platform = () => 'linux';
export const tmpdir = () => '/tmp';

export default { constants, EOL, platform, tmpdir };
