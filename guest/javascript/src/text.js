// UTF-8. QuickJS has neither TextEncoder nor TextDecoder, and both engines get the same code.

/** Returns the UTF-8 of a string; a lone surrogate becomes U+FFFD. */
export function encode(string) {
  // Most text is ASCII, for which one byte a unit is enough.
  let bytes = new Uint8Array(string.length + 16);
  let at = 0;
  for (let index = 0; index < string.length; index++) {
    let point = string.charCodeAt(index);
    if (at + 4 > bytes.length) {
      const larger = new Uint8Array(bytes.length * 2 + 4);
      larger.set(bytes);
      bytes = larger;
    }
    if (point < 0x80) {
      bytes[at++] = point;
      continue;
    }
    if (point >= 0xd800 && point <= 0xdfff) {
      const next = string.charCodeAt(index + 1);
      if (point <= 0xdbff && next >= 0xdc00 && next <= 0xdfff) {
        point = 0x10000 + ((point - 0xd800) << 10) + (next - 0xdc00);
        index++;
      } else {
        point = 0xfffd;
      }
    }
    if (point < 0x800) {
      bytes[at++] = 0xc0 | (point >> 6);
    } else {
      if (point < 0x10000) {
        bytes[at++] = 0xe0 | (point >> 12);
      } else {
        bytes[at++] = 0xf0 | (point >> 18);
        bytes[at++] = 0x80 | ((point >> 12) & 0x3f);
      }
      bytes[at++] = 0x80 | ((point >> 6) & 0x3f);
    }
    bytes[at++] = 0x80 | (point & 0x3f);
  }
  return bytes.subarray(0, at);
}

// For a first byte: how many bytes follow, and the bounds of the second one.
function lead(byte) {
  if (byte >= 0xc2 && byte <= 0xdf) return [1, 0x80, 0xbf];
  if (byte >= 0xe0 && byte <= 0xef) return [2, byte === 0xe0 ? 0xa0 : 0x80, byte === 0xed ? 0x9f : 0xbf];
  if (byte >= 0xf0 && byte <= 0xf4) return [3, byte === 0xf0 ? 0x90 : 0x80, byte === 0xf4 ? 0x8f : 0xbf];
  return [0, 0, 0];
}

/**
 * Decodes UTF-8; each malformed part becomes U+FFFD. Returns `{ string, rest }`, where `rest` is how many
 * bytes at the end begin a character that `final` says may still be completed.
 */
export function decode(bytes, final = true) {
  const parts = [];
  let units = [];
  let at = 0;
  const flush = () => {
    parts.push(String.fromCharCode.apply(null, units));
    units = [];
  };
  while (at < bytes.length) {
    if (units.length > 4096) flush();
    const byte = bytes[at];
    if (byte < 0x80) {
      units.push(byte);
      at++;
      continue;
    }
    const [follow, low, high] = lead(byte);
    let point = follow === 0 ? 0xfffd : byte & (0x3f >> follow);
    let size = 1;
    for (; size <= follow; size++) {
      const next = bytes[at + size];
      if (next === undefined && !final) {
        flush();
        return { string: parts.join(''), rest: bytes.length - at };
      }
      const valid = size === 1 ? next >= low && next <= high : next >= 0x80 && next <= 0xbf;
      if (!valid) {
        point = 0xfffd;
        break;
      }
      point = (point << 6) | (next & 0x3f);
    }
    at += size;
    if (point >= 0x10000) {
      units.push(0xd800 + ((point - 0x10000) >> 10), 0xdc00 + ((point - 0x10000) & 0x3ff));
    } else {
      units.push(point);
    }
  }
  flush();
  return { string: parts.join(''), rest: 0 };
}
