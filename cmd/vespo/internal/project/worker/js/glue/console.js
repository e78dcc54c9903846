// The console writes lines to the log of the service, with their levels.
import { log } from './host.js';
import { serving } from './start.js';

const MAX_DEPTH = 5, MAX_ITEMS = 100, MAX_TEXT = 10_000;

// describe returns the name, message and stack of an error, and those of its causes, in the form of other engines.
export function describe(error) {
  if (!(error instanceof Error)) return `${inspect(error)} was thrown`;
  const frames = String(error.stack ?? '').split('\n').filter((line) => line.trim() !== '').map(frame);
  const text = [`${error.name}: ${error.message}`, ...frames].join('\n');
  return error.cause === undefined ? text : `${text}\ncaused by ${describe(error.cause)}`;
}

// frame turns "name@worker.js:1:2" into "    at name (worker.js:1:2)".
function frame(line) {
  const at = line.lastIndexOf('@');
  const name = line.slice(0, at).replace(/[*/<]+$/, '');
  const place = line.slice(at + 1);
  return name === '' ? `    at ${place}` : `    at ${name} (${place})`;
}

// inspect returns a value in the syntax of JavaScript, as far as that is short.
export function inspect(value, seen = []) {
  switch (typeof value) {
    case 'string': return JSON.stringify(value.slice(0, MAX_TEXT));
    case 'bigint': return `${value}n`;
    case 'function': return `[function ${value.name || 'anonymous'}]`;
    case 'object': break;
    default: return String(value);
  }
  if (value === null) return 'null';
  if (value instanceof Error) return describe(value);
  if (value instanceof Date || value instanceof RegExp) return String(value instanceof Date ? value.toJSON() : value);
  if (seen.includes(value)) return '[circular]';
  if (seen.length === MAX_DEPTH) return Array.isArray(value) ? '[...]' : '{...}';
  return compound(value, [...seen, value]);
}

function compound(value, seen) {
  const show = (item) => inspect(item, seen);
  const name = Object.getPrototypeOf(value)?.constructor?.name;
  if (Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView))) {
    return `${Array.isArray(value) ? '' : `${name} `}[${short(value, value.length, show)}]`;
  }
  if (value instanceof Map) return `Map {${short(value, value.size, ([key, item]) => `${show(key)} => ${show(item)}`)}}`;
  if (value instanceof Set) return `Set {${short(value, value.size, show)}}`;
  const entries = Object.entries(value);
  const text = short(entries, entries.length, ([key, item]) => `${/^[\w$]+$/.test(key) ? key : JSON.stringify(key)}: ${show(item)}`);
  return `${name === undefined || name === 'Object' ? '' : `${name} `}{${text}}`;
}

function short(items, count, show) {
  const shown = [];
  for (const item of items) {
    if (shown.length === MAX_ITEMS) return `${shown.join(', ')}, ... ${count - MAX_ITEMS} more`;
    shown.push(show(item));
  }
  return shown.join(', ');
}

// format returns the text of the arguments of a method. %s, %d and their like are filled in.
export function format(args) {
  const rest = [...args];
  if (typeof rest[0] === 'string' && rest.length > 1) {
    const text = rest.shift().replace(/%([sdifoOcj%])/g, (verb, letter) => {
      if (letter === '%') return '%';
      if (rest.length === 0) return verb;
      const value = rest.shift();
      switch (letter) {
        case 's': return typeof value === 'object' && value !== null ? inspect(value) : String(value);
        case 'd': case 'i': case 'f': return String(letter === 'i' ? Math.trunc(Number(value)) : Number(value));
        case 'c': return '';
        default: return inspect(value);
      }
    });
    rest.unshift(text);
  }
  return rest.map((arg) => (typeof arg === 'string' ? arg : inspect(arg))).join(' ');
}

const LEVELS = { trace: 'debug', debug: 'debug', log: 'info', info: 'info', warn: 'warn', error: 'error' };

for (const [method, level] of Object.entries(LEVELS)) {
  const original = console[method];
  console[method] = { [method](...args) {
    if (serving) log(level, format(args));
    else original.call(console, format(args)); // to the terminal of the build
  } }[method];
}

console.assert = (ok, ...args) => { if (!ok) console.error('assertion failed:', ...args); };
