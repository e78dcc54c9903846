// Reads and writes the few parts of WebAssembly's binary format in which components of one engine differ: the size of the
// memory, its data, and exports that are needed once.

const PAGE = 65536;
const MEMORY = 5, EXPORT = 7, DATA = 11, DATA_COUNT = 12;
const CORE_MODULE = 1; // a section of a component
const PREAMBLE = 8;

// GAP is how many zeros in a row end a segment of data. The next one takes some bytes for its offset and length.
const GAP = 64;

function readUnsigned(bytes, at) {
  let value = 0;
  for (let scale = 1; ; scale *= 128) {
    const byte = bytes[at++];
    value += (byte & 127) * scale;
    if (byte < 128) return [value, at];
  }
}

function unsigned(value) {
  const bytes = [];
  do {
    bytes.push((value % 128) | (value >= 128 ? 128 : 0));
    value = Math.floor(value / 128);
  } while (value > 0);
  return bytes;
}

// signed encodes an i32.
export function signed(value) {
  const bytes = [];
  for (;;) {
    const byte = value & 127;
    value >>= 7;
    if ((value === 0 && !(byte & 64)) || (value === -1 && byte & 64)) return [...bytes, byte];
    bytes.push(byte | 128);
  }
}

// sections returns the sections of a module or component, in their order.
function sections(bytes) {
  const found = [];
  for (let at = PREAMBLE; at < bytes.length;) {
    const id = bytes[at];
    const [size, start] = readUnsigned(bytes, at + 1);
    found.push({ id, body: bytes.subarray(start, start + size) });
    at = start + size;
  }
  return found;
}

function join(preamble, list) {
  return Buffer.concat([preamble, ...list.flatMap(({ id, body }) => [Buffer.from([id, ...unsigned(body.length)]), body])]);
}

// parseModule returns a module's sections.
export function parseModule(bytes) {
  return { preamble: bytes.subarray(0, PREAMBLE), sections: sections(bytes) };
}

// writeModule returns the module with the memory as its data, and without the exports that are named.
export function writeModule(module, memory, dropped) {
  const data = segments(memory);
  const count = unsigned(data.length);
  const list = module.sections.map(({ id, body }) => {
    switch (id) {
      case MEMORY: return { id, body: memorySection(body, memory.length / PAGE) };
      case EXPORT: return { id, body: exportSection(body, dropped) };
      case DATA_COUNT: return { id, body: Buffer.from(count) };
      case DATA: return { id, body: Buffer.concat([Buffer.from(count), ...data.flatMap(({ offset, bytes }) =>
        [Buffer.from([0, 0x41, ...signed(offset | 0), 0x0b, ...unsigned(bytes.length)]), bytes])]) };
      default: return { id, body };
    }
  });
  return join(module.preamble, list);
}

// segments returns the parts of a memory that are not zero.
export function segments(memory) {
  const found = [];
  const words = new BigUint64Array(memory.buffer, memory.byteOffset, memory.length / 8);
  const gap = GAP / 8;
  for (let i = 0; i < words.length;) {
    if (words[i] === 0n) {
      i++;
      continue;
    }
    const start = i;
    let last = i;
    for (; i < words.length && i - last <= gap; i++) {
      if (words[i] !== 0n) last = i;
    }
    found.push({ offset: start * 8, bytes: memory.subarray(start * 8, (last + 1) * 8) });
    i = last + 1;
  }
  return found;
}

// memorySection returns the section of one memory with another minimum size.
function memorySection(body, pages) {
  const [count, flagsAt] = readUnsigned(body, 0);
  if (count !== 1 || (body[flagsAt] & ~1) !== 0) throw new Error('the engine has an unknown form of memory');
  const [, rest] = readUnsigned(body, flagsAt + 1);
  return Buffer.concat([Buffer.from([1, body[flagsAt], ...unsigned(pages)]), body.subarray(rest)]);
}

function exportSection(body, dropped) {
  let [count, at] = readUnsigned(body, 0);
  const kept = [];
  for (; count > 0; count--) {
    const [length, name] = readUnsigned(body, at);
    const [, end] = readUnsigned(body, name + length + 1);
    if (!dropped.includes(Buffer.from(body.subarray(name, name + length)).toString())) kept.push(body.subarray(at, end));
    at = end;
  }
  return Buffer.concat([Buffer.from(unsigned(kept.length)), ...kept]);
}

// replaceModule returns the component with its first core module replaced: the engine.
export function replaceModule(component, replace) {
  const { preamble, sections: list } = parseModule(component);
  const first = list.findIndex(({ id }) => id === CORE_MODULE);
  if (first < 0) throw new Error('the component contains no module');
  list[first] = { id: CORE_MODULE, body: replace(list[first].body) };
  return join(preamble, list);
}
