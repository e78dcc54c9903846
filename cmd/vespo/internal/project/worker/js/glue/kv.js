// A key-value namespace, as https://developers.cloudflare.com/kv/api/ documents it.

const MAX_KEY_BYTES = 512, MAX_METADATA_BYTES = 1024, MAX_KEYS = 100, MAX_LIST = 1000, MIN_TTL = 60;
const encoder = new TextEncoder(), decoder = new TextDecoder();

// KVNamespace is a store of the host, which has these methods:
//
//   get(key)               {value: Uint8Array, metadata: string} or undefined
//   put(key, value, {metadata: string, expires: seconds since 1970 or undefined})
//   delete(key)
//   list({prefix, limit, cursor})   {keys: [{name, metadata: string, expires}], cursor: string or undefined}
export class KVNamespace {
  #store;

  constructor(store) { this.#store = store; }

  async get(key, options) {
    if (Array.isArray(key)) return this.#several(key, options, (found) => found.value);
    return (await this.getWithMetadata(key, options)).value;
  }

  async getWithMetadata(key, options) {
    if (Array.isArray(key)) return this.#several(key, options, ({ value, metadata }) => ({ value, metadata }));
    const type = typeOf(options);
    checkKey(key, 'GET');
    const found = await this.#store.get(key);
    if (found === undefined) return { value: null, metadata: null, cacheStatus: null };
    return { value: convert(found.value, type), metadata: parse(found.metadata), cacheStatus: null };
  }

  async #several(keys, options, select) {
    const type = typeOf(options);
    if (type !== 'text' && type !== 'json') throw new TypeError(`KV GET failed: several keys can be read as "text" or "json", and not as "${type}"`);
    if (keys.length > MAX_KEYS) throw new Error(`KV GET failed: ${keys.length} keys: at most ${MAX_KEYS} can be read at a time`);
    const found = new Map();
    for (const key of keys) {
      const entry = await this.getWithMetadata(key, type);
      found.set(key, entry.value === null ? null : select(entry));
    }
    return found;
  }

  async put(key, value, options = {}) {
    checkKey(key, 'PUT');
    const metadata = options.metadata === undefined || options.metadata === null ? '' : JSON.stringify(options.metadata);
    const size = encoder.encode(metadata).length;
    if (size > MAX_METADATA_BYTES) throw new Error(`KV PUT failed: metadata of ${size} bytes: at most ${MAX_METADATA_BYTES} are allowed`);
    await this.#store.put(key, await bytes(value), { metadata, expires: expiry(options) });
  }

  async delete(key) {
    checkKey(key, 'DELETE');
    await this.#store.delete(key);
  }

  async list({ prefix, limit = MAX_LIST, cursor } = {}) {
    if (!Number.isInteger(limit) || limit < 1 || limit > MAX_LIST) throw new Error(`KV LIST failed: limit is ${limit}: it must be from 1 to ${MAX_LIST}`);
    const page = await this.#store.list({ prefix: prefix ?? '', limit, cursor: cursor || undefined });
    const keys = page.keys.map(({ name, metadata, expires }) => ({
      name,
      ...(expires === undefined ? {} : { expiration: expires }),
      ...(metadata ? { metadata: parse(metadata) } : {}),
    }));
    const rest = page.cursor === undefined ? { list_complete: true } : { list_complete: false, cursor: page.cursor };
    return { keys, ...rest, cacheStatus: null };
  }
}

function typeOf(options) {
  const type = (typeof options === 'string' ? options : options?.type) ?? 'text';
  if (!['text', 'json', 'arrayBuffer', 'stream'].includes(type)) throw new TypeError(`KV GET failed: the type is "${type}": it must be text, json, arrayBuffer or stream`);
  return type;
}

function checkKey(key, operation) {
  if (typeof key !== 'string') throw new TypeError(`KV ${operation} failed: the key is no string`);
  if (key === '') throw new TypeError(`KV ${operation} failed: the key is empty`);
  if (key === '.' || key === '..') throw new TypeError(`KV ${operation} failed: "${key}" is not allowed as a key`);
  const size = encoder.encode(key).length;
  if (size > MAX_KEY_BYTES) throw new Error(`KV ${operation} failed: a key of ${size} bytes: at most ${MAX_KEY_BYTES} are allowed`);
}

function convert(value, type) {
  switch (type) {
    case 'json': return JSON.parse(decoder.decode(value));
    case 'arrayBuffer': return value.slice().buffer;
    case 'stream': return new Response(value).body;
    default: return decoder.decode(value);
  }
}

function parse(metadata) { return metadata ? JSON.parse(metadata) : null; }

async function bytes(value) {
  if (typeof value === 'string') return encoder.encode(value);
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  if (value instanceof ReadableStream) return new Uint8Array(await new Response(value).arrayBuffer());
  throw new TypeError('KV PUT failed: the value must be a string, an ArrayBuffer, a view of one, or a ReadableStream');
}

// expiry returns when a key expires, in seconds since 1970, or undefined for never.
function expiry({ expiration, expirationTtl }) {
  const now = Math.floor(Date.now() / 1000);
  if (expirationTtl !== undefined && expirationTtl !== null) {
    if (!Number.isInteger(expirationTtl) || expirationTtl < MIN_TTL) throw new Error(`KV PUT failed: expirationTtl is ${expirationTtl}: it must be a whole number of at least ${MIN_TTL} seconds`);
    return now + expirationTtl;
  }
  if (expiration === undefined || expiration === null) return undefined;
  if (!Number.isInteger(expiration) || expiration < now + MIN_TTL) throw new Error(`KV PUT failed: expiration is ${expiration}: it must be a time at least ${MIN_TTL} seconds ahead, in seconds since 1970`);
  return expiration;
}
