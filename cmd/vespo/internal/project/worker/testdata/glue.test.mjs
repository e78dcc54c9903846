// Tests of the glue in Node.js, with a host that is made here: node --test glue.test.mjs
import assert from 'node:assert/strict';
import { register } from 'node:module';
import { test } from 'node:test';

const hooks = `export async function resolve(name, context, next) {
  if (!name.startsWith('wasi:') && !name.startsWith('vespo:')) return next(name, context);
  const fake = \`
    export const getEnvironment = () => Object.entries(globalThis.settings);
    export const log = (level, context, message) => globalThis.lines.push([level, message]);
    export const get = (...args) => globalThis.kv('get', args);
    export const put = (...args) => globalThis.kv('put', args);
    export const list = (...args) => globalThis.kv('list', args);
    const remove = (...args) => globalThis.kv('delete', args);
    export { remove as delete };
  \`;
  return { url: 'data:text/javascript,' + encodeURIComponent(fake), shortCircuit: true };
}`;
register(`data:text/javascript,${encodeURIComponent(hooks)}`);

// The script is evaluated when the server does not serve yet.
let listener;
globalThis.addEventListener = (_, f) => { listener = f; };
globalThis.settings = {};
globalThis.lines = [];
await import('../js/glue/start.js');
const early = [Math.random(), Math.random()];
const uuid = () => crypto.randomUUID();
assert.throws(uuid, /randomUUID is only available in handlers/);
assert.throws(() => fetch('http://localhost'), /fetch is only available in handlers/);
const { serve } = await import('../js/glue/serve.js');
const { env: globalEnv } = await import('../js/glue/workers.js');
const { KVNamespace } = await import('../js/glue/kv.js');
const { Assets } = await import('../js/glue/assets.js');

// request returns the response of a worker, what it logged as errors, and what it waits for.
async function request(worker, url = 'http://localhost/', { config = {}, init } = {}) {
  serve({ default: worker }, config);
  const waiting = [];
  let response;
  globalThis.lines = [];
  listener({ request: new Request(url, init), respondWith: (r) => { response = r; }, waitUntil: (p) => waiting.push(p) });
  response = await response;
  await Promise.all(waiting);
  const errors = globalThis.lines.filter(([level]) => level === 'error').map(([, message]) => message);
  return { response, errors, waiting };
}

test('random numbers of the evaluation are not those of requests', async () => {
  assert.notDeepEqual(early, [Math.random(), Math.random()]);
  const { response } = await request({ fetch: () => new Response(uuid()) });
  assert.match(await response.text(), /^[0-9a-f-]{36}$/);
});

test('a script without a default export is refused', () => {
  for (const module of [{}, { default: null }, { default: 1 }]) assert.throws(() => serve(module, {}), /no default export/);
});

test('fetch has a request, an environment and a context', async () => {
  globalThis.settings = { TOKEN: 'secret', OVER: 'setting' };
  let late = false;
  const { response, errors, waiting } = await request({
    fetch(request, env, ctx) {
      ctx.passThroughOnException();
      ctx.waitUntil(Promise.resolve().then(() => { late = true; }));
      ctx.waitUntil(Promise.reject(new Error('late')));
      ctx.waitUntil('no promise');
      return Response.json([request.url, env, globalEnv.TOKEN, Object.keys(globalEnv)]);
    },
  }, 'http://localhost/a?b', { config: { vars: { OVER: 'var', LIST: [1] } } });
  const env = { TOKEN: 'secret', OVER: 'setting', LIST: [1] };
  assert.deepEqual(await response.json(), ['http://localhost/a?b', env, 'secret', ['OVER', 'LIST', 'TOKEN']]);
  assert.equal(waiting.length, 3);
  assert.ok(late);
  assert.match(errors[0], /^Error: late\n/);
});

test('a failure is a 500 that says nothing, and an error in the log with its stack', async () => {
  const thrown = () => { throw new Error('boom', { cause: new TypeError('inner') }); };
  for (const [fetch, logged] of [
    [thrown, /^Error: boom\n[^]*at .*glue\.test[^]*caused by TypeError: inner/],
    [async () => thrown(), /^Error: boom/],
    [() => undefined, /^TypeError: fetch of the worker returned undefined/],
    [() => null, /returned null/],
    [() => { throw 'out of memory'; }, /^out of memory: give the service more with --memory$/],
    [() => { throw 'text'; }, /^"text" was thrown/],
  ]) {
    const { response, errors } = await request({ fetch });
    assert.equal(response.status, 500);
    assert.equal(await response.text(), 'internal error\n');
    assert.match(errors[0], logged);
  }
});

test('a class is created for each request, and a worker without fetch serves nothing', async () => {
  const { response } = await request(class {
    constructor(ctx, env) { Object.assign(this, { ctx, env }); }
    fetch() { return new Response(this.env.A + typeof this.ctx.waitUntil); }
  }, undefined, { config: { vars: { A: 'a' } } });
  assert.equal(await response.text(), 'afunction');
  assert.equal((await request({})).response.status, 404);
});

test('schedules run the handler scheduled, if there is one', async () => {
  const init = { method: 'POST', headers: { 'vespo-schedule': '*/5 * * * *', 'vespo-schedule-time': '2026-01-02T15:05:00Z' } };
  const calls = [];
  const worker = {
    fetch: () => new Response('fetched'),
    scheduled({ cron, scheduledTime, noRetry }, env, ctx) {
      noRetry();
      calls.push([cron, new Date(scheduledTime).toISOString(), env.A, typeof ctx.waitUntil]);
    },
  };
  const { response } = await request(worker, undefined, { init, config: { vars: { A: 'a' } } });
  assert.equal(response.status, 204);
  assert.deepEqual(calls, [['*/5 * * * *', '2026-01-02T15:05:00.000Z', 'a', 'function']]);
  const failed = await request({ scheduled: async () => { throw new Error('tick'); } }, undefined, { init });
  assert.equal(failed.response.status, 500);
  assert.match(failed.errors[0], /^Error: tick/);
  const late = async (what, ctx) => { await null; calls.push([what]); if (what === 'two') ctx.waitUntil(late('three')); };
  const { response: waited } = await request({ scheduled(_, __, ctx) { ctx.waitUntil(late('one')); ctx.waitUntil(late('two', ctx)); } }, undefined, { init });
  assert.equal(waited.status, 204);
  assert.deepEqual(calls.slice(1), [['one'], ['two'], ['three']]);
  const lost = await request({ scheduled(_, __, ctx) { ctx.waitUntil(Promise.reject(new Error('later'))); } }, undefined, { init });
  assert.equal(lost.response.status, 500);
  assert.match(lost.errors[0], /^Error: later/);
  assert.equal(await (await request({ fetch: worker.fetch }, undefined, { init })).response.text(), 'fetched');
  assert.equal(await (await request(worker)).response.text(), 'fetched');
});

test('requests of clients can be copied, cloned and passed on', async () => {
  const { response } = await request({
    async fetch(request) {
      const clone = request.clone(), copy = new Request(request, { headers: { a: 'b' } });
      assert.ok(request.signal instanceof AbortSignal && copy instanceof Request && request instanceof Request);
      assert.ok(new (class extends Request {})('http://x/') instanceof Request);
      return Response.json([copy.method, copy.url, copy.headers.get('a'), await copy.text(), await clone.text(), clone.signal.aborted]);
    },
  }, 'http://localhost/p', { init: { method: 'POST', body: 'text' } });
  assert.deepEqual(await response.json(), ['POST', 'http://localhost/p', 'b', 'text', 'text', false]);
});

test('the console has levels and formats', async () => {
  const self = {};
  self.self = self;
  await request({ fetch() {
    console.debug('a', 1, null, undefined, 2n, { b: ['c', { d: new Map([['e', new Set([1])]]) }], 'f-g': /h/ });
    console.log('%s is %d of %o%%, %c%i', 'x', '2.5', { y: 1 }, 'color', 3.9, 'rest');
    console.info(self, new Uint8Array(2), new Date(0), Symbol('s'), function f() {}, '%s');
    console.warn({ a: { b: { c: { d: { e: { f: 1 } } } } } }, Array(200).fill(0));
    console.error(new Error('broken'));
    console.assert(false, 'reason');
    console.assert(true, 'never');
    return new Response('');
  } });
  const [debug, log, info, warn, error, assertion, ...rest] = globalThis.lines;
  assert.deepEqual(debug, ['debug', 'a 1 null undefined 2n {b: ["c", {d: Map {"e" => Set {1}}}], "f-g": /h/}']);
  assert.deepEqual(log, ['info', 'x is 2.5 of {y: 1}%, 3 rest']);
  assert.deepEqual(info, ['info', '{self: [circular]} Uint8Array [0, 0] 1970-01-01T00:00:00.000Z Symbol(s) [function f] %s']);
  assert.match(warn[1], /^\{a: \{b: \{c: \{d: \{e: \{\.\.\.\}\}\}\}\}\} \[(0, ){100}\.\.\. 100 more\]$/);
  assert.match(error[1], /^Error: broken\n {4}at /);
  assert.deepEqual(assertion, ['error', 'assertion failed: reason']);
  assert.deepEqual(rest, []);
});

test('namespaces are stores of the host', async () => {
  const calls = [];
  globalThis.kv = (name, args) => {
    calls.push([name, ...args]);
    if (args[1] === 'bad') throw Object.assign(new Error(), { payload: { code: 'full', message: 'no room' } });
    switch (name) {
      case 'get': return args[1] === 'none' ? undefined : { data: new TextEncoder().encode('v'), metadata: '{"m":1}', version: 1n, expires: 5000n };
      case 'list': return { entries: [{ key: 'k', metadata: '', version: 1n, expires: 5999n }], cursor: 'next' };
      default: return 1n;
    }
  };
  const { response, errors } = await request({ async fetch(_, { CACHE }) {
    await CACHE.put('k', 'v', { metadata: [1], expirationTtl: 60 });
    await CACHE.delete('k');
    const read = [await CACHE.getWithMetadata('k'), await CACHE.get('none'), await CACHE.list({ prefix: 'p', limit: 5, cursor: 'c' })];
    const refused = await CACHE.get('bad').catch((error) => error.message);
    return Response.json([read, refused]);
  } }, undefined, { config: { kv: { CACHE: 'cache' } } });
  assert.deepEqual(errors, []);
  assert.deepEqual(await response.json(), [[
    { value: 'v', metadata: { m: 1 }, cacheStatus: null }, null,
    { keys: [{ name: 'k', expiration: 5 }], list_complete: false, cursor: 'next', cacheStatus: null },
  ], 'KV GET failed: no room (full)']);
  const [put, remove, , , list] = calls;
  assert.deepEqual(put.slice(0, 3), ['put', 'cache', 'k']);
  assert.equal(new TextDecoder().decode(put[3]), 'v');
  assert.ok(put[4].ttl > 58_000n && put[4].ttl <= 60_000n && put[4].metadata === '[1]');
  assert.deepEqual([remove, list], [['delete', 'cache', 'k', undefined], ['list', 'cache', 'p', 'c', 5]]);
});

test('service bindings call the host of the service', async (t) => {
  const calls = [];
  t.mock.method(globalThis, 'fetch', async (request) => {
    calls.push([request.method, request.url, request.headers.get('x'), await request.text()]);
    return new Response('from other');
  });
  const { response } = await request({
    fetch: (_, env) => env.OTHER.fetch('https://example.com/a/b?c=d', { method: 'POST', headers: { x: 'y' }, body: 'z' }),
  }, undefined, { config: { services: { OTHER: 'b.a.vespo.internal' } } });
  assert.equal(await response.text(), 'from other');
  assert.deepEqual(calls, [['POST', 'http://b.a.vespo.internal/a/b?c=d', 'y', 'z']]);
});

const files = {
  '/index.html': { text: 'home', type: 'text/html', etag: '"1"' },
  '/about.html': { text: 'about', type: 'text/html', etag: '"2"' },
  '/docs/index.html': { text: 'docs', type: 'text/html', etag: '"3"' },
  '/a b.bin': { data: Buffer.from([1, 2, 255]).toString('base64'), type: 'application/octet-stream', etag: '"4"' },
  '/404.html': { text: 'lost', type: 'text/html', etag: '"5"' },
};
Uint8Array.fromBase64 ??= (text) => new Uint8Array(Buffer.from(text, 'base64'));

test('assets are served by the paths of wrangler', async () => {
  const assets = new Assets({ files });
  for (const [path, status, want] of [
    ['/', 200, 'home'], ['/about', 200, 'about'], ['/docs/', 200, 'docs'], ['/a%20b.bin', 200, '\u0001\u0002\ufffd'],
    ['/index.html', 307, '/'], ['/about.html', 307, '/about'], ['/about/', 307, '/about'], ['/docs', 307, '/docs/'],
    ['/docs/index.html?q', 307, '/docs/?q'], ['/none', 404, 'not found\n'], ['/%ff', 404, 'not found\n'],
    ['/toString', 404, 'not found\n'], ['/__proto__', 404, 'not found\n'], ['//about.html', 404, 'not found\n'],
  ]) {
    const response = await assets.fetch(`http://localhost${path}`);
    assert.equal(response.status, status, path);
    assert.equal(status === 307 ? response.headers.get('location') : await response.text(), want, path);
  }
});

test('assets have conditions, methods and pages for what does not exist', async () => {
  const page = new Assets({ files, notFound: '404-page' }), app = new Assets({ files, notFound: 'single-page-application' });
  const [lost, home] = [await page.fetch('http://localhost/x'), await app.fetch('http://localhost/x')];
  assert.deepEqual([lost.status, await lost.text(), home.status, await home.text()], [404, 'lost', 200, 'home']);
  for (const tag of ['"1"', '*', 'W/"1"', '"0", "1"']) {
    assert.equal((await page.fetch('http://localhost/', { headers: { 'if-none-match': tag } })).status, 304, tag);
  }
  assert.equal((await page.fetch('http://localhost/', { headers: { 'if-none-match': '"2"' } })).status, 200);
  assert.equal((await page.fetch('http://localhost/', { method: 'POST' })).status, 405);
  assert.equal(await (await page.fetch('http://localhost/', { method: 'HEAD' })).text(), '');
});

test('assets come before the script unless it is asked first', async () => {
  const worker = { fetch: async (request, env) => new Response(`script, ${await (await env.ASSETS.fetch('http://x/about')).text()}`) };
  for (const [path, workerFirst, want] of [['/about', false, 'about'], ['/about', true, 'script, about'], ['/api', false, 'script, about']]) {
    const config = { assets: { files, binding: 'ASSETS', workerFirst } };
    assert.equal(await (await request(worker, `http://localhost${path}`, { config })).response.text(), want, path);
  }
  const { response } = await request({}, 'http://localhost/about', { config: { assets: { files } } });
  assert.equal(await response.text(), 'about');
});

// fakeStore keeps entries in a map, with pages of a store.
function fakeStore() {
  const entries = new Map();
  return {
    entries,
    async get(key) { return entries.get(key); },
    async put(key, value, rest) { entries.set(key, { value, ...rest }); },
    async delete(key) { entries.delete(key); },
    async list({ prefix, limit, cursor }) {
      const names = [...entries.keys()].filter((name) => name.startsWith(prefix) && (!cursor || name > cursor)).sort();
      const keys = names.slice(0, limit).map((name) => ({ name, ...entries.get(name) }));
      return { keys, cursor: names.length > limit ? keys.at(-1).name : undefined };
    },
  };
}

test('values of namespaces are read and written as each type', async () => {
  const kv = new KVNamespace(fakeStore());
  assert.equal(await kv.get('none'), null);
  assert.deepEqual(await kv.getWithMetadata('none', 'json'), { value: null, metadata: null, cacheStatus: null });
  const text = '{"a":"ä"}';
  for (const value of [text, new TextEncoder().encode(text), new TextEncoder().encode(text).buffer, new Response(text).body]) {
    await kv.put('k', value, { metadata: { m: 1 } });
    assert.equal(await kv.get('k'), text);
    assert.deepEqual(await kv.get('k', { type: 'json' }), { a: 'ä' });
    assert.equal(new TextDecoder().decode(await kv.get('k', 'arrayBuffer')), text);
    assert.equal(await new Response(await kv.get('k', 'stream')).text(), text);
    assert.deepEqual(await kv.getWithMetadata('k'), { value: text, metadata: { m: 1 }, cacheStatus: null });
  }
  await kv.put('n', '2');
  assert.deepEqual(await kv.get(['k', 'x', 'n'], 'json'), new Map([['k', { a: 'ä' }], ['x', null], ['n', 2]]));
  assert.deepEqual(await kv.getWithMetadata(['n']), new Map([['n', { value: '2', metadata: null }]]));
  await kv.delete('k');
  assert.equal(await kv.get('k'), null);
});

test('namespaces are listed in pages', async () => {
  const store = fakeStore(), kv = new KVNamespace(store);
  const soon = Math.floor(Date.now() / 1000) + 100;
  await kv.put('a:1', '', { metadata: [1] });
  await kv.put('a:2', '', { expiration: soon });
  await kv.put('b', '', { expirationTtl: 60 });
  assert.deepEqual(await kv.list({ prefix: 'a:' }), {
    keys: [{ name: 'a:1', metadata: [1] }, { name: 'a:2', expiration: soon }], list_complete: true, cacheStatus: null,
  });
  const first = await kv.list({ limit: 2 });
  assert.equal(first.list_complete, false);
  const rest = await kv.list({ limit: 2, cursor: first.cursor });
  assert.deepEqual([rest.keys.map(({ name }) => name), rest.list_complete, rest.cursor], [['b'], true, undefined]);
  assert.ok(Math.abs(store.entries.get('b').expires - (Date.now() / 1000 + 60)) < 5);
});

test('namespaces refuse what Workers KV refuses', async () => {
  const kv = new KVNamespace(fakeStore());
  for (const [call, want] of [
    [() => kv.get(''), /empty/], [() => kv.get('..'), /not allowed as a key/], [() => kv.get(1), /no string/],
    [() => kv.put('ä'.repeat(257), ''), /514 bytes: at most 512/], [() => kv.get('k', 'xml'), /"xml"/],
    [() => kv.get(['k'], 'stream'), /several keys/], [() => kv.get(Array(101).fill('k')), /101 keys/],
    [() => kv.put('k', {}), /the value must be/], [() => kv.put('k', '', { metadata: 'x'.repeat(1024) }), /1026 bytes/],
    [() => kv.put('k', '', { expirationTtl: 59 }), /at least 60/], [() => kv.put('k', '', { expirationTtl: 60.5 }), /whole number/],
    [() => kv.put('k', '', { expiration: 1 }), /60 seconds ahead/], [() => kv.list({ limit: 0 }), /from 1 to 1000/],
    [() => kv.list({ limit: 1001 }), /from 1 to 1000/], [() => kv.delete(''), /empty/],
  ]) await assert.rejects(call, want);
});
