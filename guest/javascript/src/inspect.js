// Values as text, for `console` and `node:util`.

const DEPTH = 2;

function key(name) {
  if (typeof name === 'symbol') return `[${String(name)}]`;
  return /^[A-Za-z_$][\w$]*$/.test(name) ? name : quoted(name);
}

function quoted(string) {
  const escaped = string.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
  return escaped.includes("'") ? `"${escaped.replaceAll('"', '\\"')}"` : `'${escaped}'`;
}

function errorText(error) {
  const head = `${error.name}: ${error.message}`;
  const stack = typeof error.stack === 'string' ? error.stack.trimEnd() : '';
  return stack.startsWith(head) || stack === '' ? stack || head : `${head}\n${stack}`;
}

function members(value, seen, depth) {
  return Reflect.ownKeys(value)
    .filter((name) => Object.prototype.propertyIsEnumerable.call(value, name))
    .map((name) => `${key(name)}: ${show(value[name], seen, depth + 1)}`);
}

function joined(open, parts, close) {
  if (parts.length === 0) return `${open}${close}`;
  const line = `${open} ${parts.join(', ')} ${close}`;
  if (line.length <= 76 && !line.includes('\n')) return line;
  return `${open}\n${parts.map((part) => `  ${part.replaceAll('\n', '\n  ')}`).join(',\n')}\n${close}`;
}

function object(value, seen, depth) {
  if (value instanceof Error) return joined(errorText(value), members(value, seen, depth), '').replace(/ $/, '');
  if (value instanceof Date) return value.toISOString();
  if (value instanceof RegExp) return String(value);
  if (value instanceof Promise) return 'Promise { ? }';
  const name = value.constructor?.name;
  if (depth > DEPTH) return Array.isArray(value) ? '[Array]' : `[${name ?? 'Object'}]`;
  if (Array.isArray(value)) return joined('[', value.map((each) => show(each, seen, depth + 1)), ']');
  if (name === 'Buffer') {
    const bytes = Array.from(value.subarray(0, 50), (byte) => byte.toString(16).padStart(2, '0'));
    return `<Buffer ${bytes.join(' ')}${value.length > 50 ? ` ... ${value.length - 50} more bytes` : ''}>`;
  }
  if (ArrayBuffer.isView(value) && !(value instanceof DataView)) {
    return joined(`${name}(${value.length}) [`, Array.from(value.subarray(0, 100), String), ']');
  }
  if (value instanceof Map) {
    const entries = Array.from(value, ([a, b]) => `${show(a, seen, depth + 1)} => ${show(b, seen, depth + 1)}`);
    return joined(`Map(${value.size}) {`, entries, '}');
  }
  if (value instanceof Set) {
    return joined(`Set(${value.size}) {`, Array.from(value, (each) => show(each, seen, depth + 1)), '}');
  }
  const prefix = name === 'Object' ? '' : name === undefined ? '[Object: null prototype] ' : `${name} `;
  return joined(`${prefix}{`, members(value, seen, depth), '}');
}

function show(value, seen, depth) {
  switch (typeof value) {
    case 'string': return quoted(value);
    case 'bigint': return `${value}n`;
    case 'number': return Object.is(value, -0) ? '-0' : String(value);
    case 'function': return `[${value.toString().startsWith('class') ? 'class' : 'Function'}: ${value.name || '(anonymous)'}]`;
    case 'object': break;
    default: return String(value);
  }
  if (value === null) return 'null';
  if (seen.includes(value)) return '[Circular *1]';
  try {
    return object(value, [...seen, value], depth);
  } catch (error) {
    return `[a value without a text: ${error?.message}]`;
  }
}

/** Returns a value as text, as `node:util` has it, without colours. */
export function inspect(value) {
  return show(value, [], 0);
}

const DIRECTIVES = {
  s: (value) => (typeof value === 'string' ? value : typeof value === 'object' && value !== null ? inspect(value) : String(value)),
  d: (value) => (typeof value === 'bigint' ? `${value}n` : String(typeof value === 'symbol' ? NaN : Number(value))),
  i: (value) => String(typeof value === 'symbol' ? NaN : parseInt(value, 10)),
  f: (value) => String(typeof value === 'symbol' ? NaN : parseFloat(value)),
  j: (value) => JSON.stringify(value),
  o: inspect,
  O: inspect,
  c: () => '',
};

/** Returns the text of `console.log` for these values. */
export function format(first, ...rest) {
  let text = typeof first === 'string' ? first : arguments.length === 0 ? '' : inspect(first);
  if (typeof first === 'string' && rest.length > 0) {
    text = first.replace(/%[sdifjoOc%]/g, (directive) => {
      if (directive === '%%') return '%';
      return rest.length > 0 ? DIRECTIVES[directive[1]](rest.shift()) : directive;
    });
  }
  return [text, ...rest.map((value) => (typeof value === 'string' ? value : inspect(value)))].join(' ');
}
