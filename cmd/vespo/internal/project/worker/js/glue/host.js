// What the server offers to the components that it runs.
import { getEnvironment } from 'wasi:cli/environment@0.2.10';
import { log as write } from 'wasi:logging/logging@0.1.0-draft';
import * as kv from 'vespo:kv/store@0.1.0';

// settings returns the settings of the service by their names.
export function settings() { return Object.fromEntries(getEnvironment()); }

// log writes a message with a level of WASI: debug, info, warn or error.
export function log(level, message) { write(level, '', message); }

// store returns a key-value store of the service, as a namespace uses it.
export function store(name) {
  return {
    async get(key) {
      const found = ask('GET', () => kv.get(name, key));
      return found && { value: found.data, metadata: found.metadata };
    },
    async put(key, value, { metadata, expires }) {
      const ttl = expires === undefined ? undefined : BigInt(Math.max(1, expires * 1000 - Date.now()));
      ask('PUT', () => kv.put(name, key, value, { ttl, metadata, ifVersion: undefined }));
    },
    async delete(key) { ask('DELETE', () => kv.delete(name, key, undefined)); },
    async list({ prefix, limit, cursor }) {
      const page = ask('LIST', () => kv.list(name, prefix, cursor, limit));
      const seconds = (milliseconds) => (milliseconds === undefined ? undefined : Math.floor(Number(milliseconds) / 1000));
      const keys = page.entries.map(({ key, metadata, expires }) => ({ name: key, metadata, expires: seconds(expires) }));
      return { keys, cursor: page.cursor };
    },
  };
}

// ask turns errors of the host into those of JavaScript.
function ask(operation, call) {
  try {
    return call();
  } catch (error) {
    const reason = error?.payload ?? error;
    throw new Error(`KV ${operation} failed: ${reason.message ?? reason} (${reason.code ?? 'unknown'})`);
  }
}
