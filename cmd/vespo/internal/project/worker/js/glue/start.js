// Is evaluated before the worker: what scripts expect that the engine lacks, and what they get until requests begin.
//
// A worker is evaluated once, when it is built, and every request begins with the state that it has then. Random numbers of
// that time would be the same in all requests.

export let serving = false;

// begin ends the evaluation.
export function begin() { serving = true; }

function onlyInRequests(object, name) {
  const original = object[name];
  object[name] = { [name](...args) {
    if (!serving) throw new Error(`${name} is only available in handlers, not while the script is evaluated`);
    return original.apply(this, args);
  } }[name];
}
onlyInRequests(Object.getPrototypeOf(crypto), 'getRandomValues');
onlyInRequests(Object.getPrototypeOf(crypto), 'randomUUID');
onlyInRequests(globalThis, 'fetch');

// The engine seeds its generator with the first number that it draws, so that one is left to a request.
const { random } = Math;
let seed = 1;
Math.random = { random() {
  if (serving) return random();
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return seed / 2 ** 32;
} }.random;

function define(object, name, value) {
  if (!(name in object)) Object.defineProperty(object, name, { value, writable: true, configurable: true });
}

define(globalThis, 'navigator', Object.freeze({ userAgent: 'Vespo', language: 'en' }));

define(URL, 'parse', (url, base) => {
  try {
    return new URL(url, base);
  } catch {
    return null;
  }
});
define(URL, 'canParse', (url, base) => URL.parse(url, base) !== null);

async function* chunks({ preventCancel = false } = {}) {
  const reader = this.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    if (!preventCancel) await reader.cancel();
    reader.releaseLock();
  }
}
define(ReadableStream.prototype, 'values', chunks);
define(ReadableStream.prototype, Symbol.asyncIterator, chunks);

define(ReadableStream, 'from', (source) => {
  const iterator = source[Symbol.asyncIterator]?.() ?? source[Symbol.iterator]();
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await iterator.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    async cancel(reason) { await iterator.return?.(reason); },
  });
});

define(globalThis, 'TextEncoderStream', class TextEncoderStream {
  constructor() {
    const encoder = new TextEncoder();
    const { readable, writable } = new TransformStream({
      transform: (chunk, controller) => controller.enqueue(encoder.encode(String(chunk))),
    });
    Object.assign(this, { encoding: 'utf-8', readable, writable });
  }
});

define(globalThis, 'TextDecoderStream', class TextDecoderStream {
  constructor(label, options) {
    const decoder = new TextDecoder(label, options);
    const { readable, writable } = new TransformStream({
      transform(chunk, controller) {
        const text = decoder.decode(chunk, { stream: true });
        if (text !== '') controller.enqueue(text);
      },
      flush(controller) {
        const text = decoder.decode();
        if (text !== '') controller.enqueue(text);
      },
    });
    Object.assign(this, { encoding: decoder.encoding, readable, writable });
  }
});

// A cache that keeps nothing: state ends with the request.
const cache = {
  async match() { return undefined; },
  async put(request, response) { await response.arrayBuffer(); },
  async delete() { return false; },
};
define(globalThis, 'caches', { default: cache, async open() { return cache; } });

// Cloning. The engine has none for responses, and that for requests of clients fails once their header was read. What was
// cloned reads from a branch of its body.
const branches = new WeakMap();

// readFromBranches lets objects with a body read from their branch, if they have one.
function readFromBranches(prototype, whole) {
  const { get: body } = Object.getOwnPropertyDescriptor(prototype, 'body');
  const { get: bodyUsed } = Object.getOwnPropertyDescriptor(prototype, 'bodyUsed');
  Object.defineProperties(prototype, {
    body: { get() { return branches.get(this) ?? body.call(this); }, configurable: true, enumerable: true },
    bodyUsed: { get() { return branches.get(this)?.locked ?? bodyUsed.call(this); }, configurable: true, enumerable: true },
  });
  for (const name of ['arrayBuffer', 'blob', 'formData', 'json', 'text']) {
    const original = prototype[name];
    prototype[name] = { [name]() { return original.call(whole(this)); } }[name];
  }
}

// branch returns a second body, or null if there is none.
function branch(object) {
  if (object.bodyUsed) throw new TypeError('the body was read: clone it before');
  if (object.body === null) return null;
  const [kept, given] = object.body.tee();
  branches.set(object, kept);
  return given;
}

const parts = ({ status, statusText, headers }) => ({ status, statusText, headers });

// whole returns a response as the engine can send it.
export function whole(response) { return branches.has(response) ? new Response(branches.get(response), parts(response)) : response; }

if (!('clone' in Response.prototype)) {
  readFromBranches(Response.prototype, whole);
  define(Response.prototype, 'clone', function clone() { return new Response(branch(this), parts(this)); });
}

// Requests of clients lack a signal in the engine, which traps when it reads one. Those here have one that never fires: a
// client that leaves ends the request.
const arrived = new WeakSet();
const Native = globalThis.Request;

// withSignal returns the request of a client, so that scripts can use it like all others.
export function withSignal(request) {
  arrived.add(request);
  Object.defineProperties(request, {
    signal: { value: new AbortController().signal },
    clone: { value() { return new Native(...copied(request, branch(request))); } },
  });
  return request;
}

// copied returns the arguments for a request that is equal to another, with this body.
function copied({ url, method, headers }, body, init = {}) {
  return [url, { method, headers, ...(body === null ? {} : { body, duplex: 'half' }), ...init }];
}

readFromBranches(Native.prototype, (request) => (branches.has(request) ? new Native(...copied(request, request.body)) : request));

globalThis.Request = new Proxy(Native, {
  construct(target, [input, init], self) {
    return Reflect.construct(target, arrived.has(input) ? copied(input, input.body, init) : [input, init], self);
  },
});
Native.prototype.constructor = globalThis.Request;

const { fetch: nativeFetch } = globalThis;
globalThis.fetch = function fetch(input, init) {
  return arrived.has(input) ? nativeFetch(...copied(input, input.body, init)) : nativeFetch(input, init);
};
