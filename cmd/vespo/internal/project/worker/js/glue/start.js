// Is evaluated before the worker: what scripts expect that the engine lacks, and what they get until requests begin.
//
// A worker is evaluated once, when it is built, and every request begins with the state that it has then. Random numbers of
// that time would be the same in all requests.

let serving = false;

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

// The engine has no clone for responses. A response that was cloned reads from a branch of its body.
const branches = new WeakMap();

// whole returns the response as the engine can send it.
export function whole(response) {
  const branch = branches.get(response);
  return branch === undefined ? response : new Response(branch, parts(response));
}

function parts({ status, statusText, headers }) { return { status, statusText, headers }; }

if (!('clone' in Response.prototype)) {
  const { prototype } = Response;
  const { get: body } = Object.getOwnPropertyDescriptor(prototype, 'body');
  const { get: bodyUsed } = Object.getOwnPropertyDescriptor(prototype, 'bodyUsed');
  const own = (response) => branches.get(response) ?? body.call(response);
  Object.defineProperties(prototype, {
    body: { get() { return own(this); }, configurable: true, enumerable: true },
    bodyUsed: { get() { return branches.has(this) ? branches.get(this).locked : bodyUsed.call(this); }, configurable: true, enumerable: true },
  });
  for (const name of ['arrayBuffer', 'blob', 'formData', 'json', 'text']) {
    const original = prototype[name];
    prototype[name] = function read() { return original.call(whole(this)); };
  }
  define(prototype, 'clone', function clone() {
    if (this.bodyUsed) throw new TypeError('the body of the response was read: clone it before');
    const stream = own(this);
    if (stream === null) return new Response(null, parts(this));
    const [kept, given] = stream.tee();
    branches.set(this, kept);
    return new Response(given, parts(this));
  });
}
