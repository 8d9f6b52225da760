// Buffer in the shape of `node:buffer`: what a program does with the output of a child.

import { invalidType, invalidValue, outOfRange } from './errors.js';
import { decode, encode } from './text.js';

const NAMES = {
  utf8: 'utf8', 'utf-8': 'utf8', ascii: 'ascii', latin1: 'latin1', binary: 'latin1', hex: 'hex',
  base64: 'base64', base64url: 'base64url', utf16le: 'utf16le', 'utf-16le': 'utf16le', ucs2: 'utf16le',
  'ucs-2': 'utf16le',
};

/** Returns the one name of an encoding, or undefined if there is no such encoding. */
export function normalEncoding(encoding) {
  if (encoding === undefined || encoding === null || encoding === '') return 'utf8';
  if (typeof encoding !== 'string') return undefined;
  const name = encoding.toLowerCase();
  return Object.hasOwn(NAMES, name) ? NAMES[name] : undefined;
}

function known(encoding) {
  const name = normalEncoding(encoding);
  if (name === undefined) throw invalidValue('encoding', encoding);
  return name;
}

function units(string, mask) {
  return Uint8Array.from(string, (unit) => unit.charCodeAt(0) & mask);
}

const ENCODE = {
  utf8: encode,
  ascii: (string) => units(string.split(''), 0xff),
  latin1: (string) => units(string.split(''), 0xff),
  hex: (string) => Uint8Array.from(string.match(/^(?:[0-9a-f]{2})*/i)[0].match(/../g) ?? [], (pair) => parseInt(pair, 16)),
  base64: fromBase64,
  base64url: fromBase64,
  utf16le: (string) => Uint8Array.from(string.split('').flatMap((unit) => {
    const code = unit.charCodeAt(0);
    return [code & 0xff, code >> 8];
  })),
};

const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

function fromBase64(string) {
  const bytes = [];
  let bits = 0;
  let count = 0;
  for (const digit of string) {
    if (digit === '=') break;
    const value = DIGITS.indexOf(digit === '-' ? '+' : digit === '_' ? '/' : digit);
    if (value < 0) continue;
    bits = ((bits << 6) | value) & 0xffffff;
    count += 6;
    if (count >= 8) {
      count -= 8;
      bytes.push((bits >> count) & 0xff);
    }
  }
  return Uint8Array.from(bytes);
}

function toBase64(bytes) {
  let text = '';
  for (let at = 0; at < bytes.length; at += 3) {
    const bits = (bytes[at] << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0);
    const digits = [18, 12, 6, 0].map((shift) => DIGITS[(bits >> shift) & 63]).join('');
    text += digits.slice(0, Math.min(4, bytes.length - at + 1)).padEnd(4, '=');
  }
  return text;
}

function characters(bytes, mask) {
  const parts = [];
  for (let at = 0; at < bytes.length; at += 4096) {
    parts.push(String.fromCharCode.apply(null, Array.from(bytes.subarray(at, at + 4096), (byte) => byte & mask)));
  }
  return parts.join('');
}

const DECODE = {
  utf8: (bytes) => decode(bytes).string,
  ascii: (bytes) => characters(bytes, 0x7f),
  latin1: (bytes) => characters(bytes, 0xff),
  hex: (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(''),
  base64: toBase64,
  base64url: (bytes) => toBase64(bytes).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', ''),
  utf16le: (bytes) => {
    let text = '';
    for (let at = 0; at + 1 < bytes.length; at += 2) text += String.fromCharCode(bytes[at] | (bytes[at + 1] << 8));
    return text;
  },
};

function plain(bytes) {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Returns any view of bytes as a Buffer that shares its memory. */
export function view(bytes) {
  return new Buffer(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export class Buffer extends Uint8Array {
  static poolSize = 8192;

  static from(value, encodingOrOffset, length) {
    if (typeof value === 'string') return view(ENCODE[known(encodingOrOffset)](value));
    if (value instanceof ArrayBuffer) return new Buffer(value, encodingOrOffset, length);
    if (ArrayBuffer.isView(value)) return view(Uint8Array.from(value));
    if (Array.isArray(value?.data) && value.type === 'Buffer') return view(Uint8Array.from(value.data));
    if (Array.isArray(value) || typeof value?.length === 'number') return view(Uint8Array.from(value));
    throw invalidType('first argument', 'a string, an array, or a Buffer', value);
  }

  static alloc(size, fill, encoding) {
    if (typeof size !== 'number') throw invalidType('size', 'of type number', size);
    if (!(size >= 0 && size <= 2 ** 31)) throw outOfRange('size', '>= 0 && <= 2147483648', size);
    const buffer = new Buffer(size);
    return fill === undefined ? buffer : buffer.fill(fill, 0, size, encoding);
  }

  static allocUnsafe(size) {
    return Buffer.alloc(size);
  }

  static concat(list, total) {
    if (!Array.isArray(list)) throw invalidType('list', 'an instance of Array', list);
    const size = total ?? list.reduce((sum, each) => sum + each.length, 0);
    const joined = Buffer.alloc(size);
    let at = 0;
    for (const each of list) {
      if (at >= size) break;
      const part = plain(each).subarray(0, size - at);
      joined.set(part, at);
      at += part.length;
    }
    return joined;
  }

  static byteLength(value, encoding) {
    return typeof value === 'string' ? ENCODE[known(encoding)](value).length : value.byteLength;
  }

  static isBuffer(value) {
    return value instanceof Buffer;
  }

  static isEncoding(encoding) {
    return typeof encoding === 'string' && encoding !== '' && normalEncoding(encoding) !== undefined;
  }

  static compare(a, b) {
    const size = Math.min(a.length, b.length);
    for (let at = 0; at < size; at++) if (a[at] !== b[at]) return a[at] < b[at] ? -1 : 1;
    return Math.sign(a.length - b.length);
  }

  toString(encoding, start = 0, end = this.length) {
    return DECODE[known(encoding)](plain(this).subarray(Math.max(0, start), Math.max(0, end)));
  }

  toLocaleString(encoding, start, end) {
    return this.toString(encoding, start, end);
  }

  toJSON() {
    return { type: 'Buffer', data: Array.from(this) };
  }

  equals(other) {
    return Buffer.compare(this, other) === 0;
  }

  compare(other) {
    return Buffer.compare(this, other);
  }

  subarray(start, end) {
    return view(plain(this).subarray(start, end));
  }

  slice(start, end) {
    return this.subarray(start, end);
  }

  copy(target, at = 0, start = 0, end = this.length) {
    const part = plain(this).subarray(start, Math.min(end, start + target.length - at));
    target.set(part, at);
    return part.length;
  }

  write(string, offset = 0, length = this.length - offset, encoding = undefined) {
    if (typeof offset === 'string') return this.write(string, 0, this.length, offset);
    if (typeof length === 'string') return this.write(string, offset, this.length - offset, length);
    const bytes = ENCODE[known(encoding)](string).subarray(0, Math.min(length, this.length - offset));
    this.set(bytes, offset);
    return bytes.length;
  }

  fill(value, start = 0, end = this.length, encoding = undefined) {
    if (typeof value === 'number') return super.fill(value, start, end);
    const bytes = typeof value === 'string' ? ENCODE[known(encoding)](value) : value;
    for (let at = start; at < end && bytes.length > 0; at++) this[at] = bytes[(at - start) % bytes.length];
    return this;
  }

  indexOf(value, start = 0, encoding = undefined) {
    if (typeof value === 'number') return super.indexOf(value & 0xff, start);
    const bytes = typeof value === 'string' ? ENCODE[known(encoding)](value) : value;
    for (let at = start; at + bytes.length <= this.length; at++) {
      if (bytes.every((byte, index) => this[at + index] === byte)) return at;
    }
    return -1;
  }

  includes(value, start, encoding) {
    return this.indexOf(value, start, encoding) >= 0;
  }
}

/** Returns a Buffer of a string or of any view of bytes. Throws a TypeError for another value. */
export function toBuffer(value, encoding, name = 'chunk') {
  if (typeof value === 'string') return Buffer.from(value, encoding);
  if (ArrayBuffer.isView(value)) return view(value);
  throw invalidType(name, 'of type string or an instance of Buffer, TypedArray, or DataView', value);
}

/** Decodes text that arrives in parts, as `node:string_decoder` does. */
export class StringDecoder {
  constructor(encoding) {
    this.encoding = known(encoding);
    this.rest = Buffer.alloc(0);
  }

  write(chunk) {
    const bytes = this.rest.length > 0 ? Buffer.concat([this.rest, toBuffer(chunk)]) : toBuffer(chunk);
    if (this.encoding === 'utf8') {
      const { string, rest } = decode(plain(bytes), false);
      this.rest = Buffer.from(bytes.subarray(bytes.length - rest));
      return string;
    }
    const unit = { utf16le: 2, base64: 3, base64url: 3 }[this.encoding] ?? 1;
    const whole = bytes.length - (bytes.length % unit);
    this.rest = Buffer.from(bytes.subarray(whole));
    return bytes.toString(this.encoding, 0, whole);
  }

  end(chunk) {
    const string = chunk === undefined ? '' : this.write(chunk);
    const { rest } = this;
    this.rest = Buffer.alloc(0);
    return string + rest.toString(this.encoding);
  }
}
