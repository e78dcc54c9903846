// Lets the events of the engine call a worker.
import { begin, whole, withSignal } from './start.js';
import { describe } from './console.js';
import { Assets } from './assets.js';
import { environment } from './env.js';
import { current } from './workers.js';

// serve registers the handlers of a module. The configuration describes the bindings of its environment.
export function serve(module, config) {
  const worker = module.default;
  if (!worker || (typeof worker !== 'object' && typeof worker !== 'function')) {
    throw new Error('the script has no default export: end it with "export default { async fetch(request, env, ctx) { ... } }"');
  }
  const assets = config.assets && new Assets(config.assets);
  addEventListener('fetch', (event) => event.respondWith(handle(event, worker, config, assets)));
  begin();
}

// handle returns the response to a request, which is a 500 if the worker fails.
async function handle(event, worker, config, assets) {
  try {
    const env = environment(config, assets);
    const ctx = context(event);
    current.env = env;
    current.ctx = ctx;
    const request = withSignal(event.request);
    const handlers = typeof worker === 'function' ? new worker(ctx, env) : worker;
    if (request.headers.has(SCHEDULE) && typeof handlers.scheduled === 'function') return await tick(request, handlers, env, ctx);
    if (assets && !config.assets.workerFirst) {
      const found = assets.find(request);
      if (found) return found;
    }
    return await answer(request, handlers, env, ctx, assets);
  } catch (error) {
    console.error(error === 'out of memory' ? 'out of memory: give the service more with --memory' : describe(error));
    return new Response('internal error\n', { status: 500, headers: { 'content-type': 'text/plain; charset=utf-8' } });
  }
}

// The server sends these fields with the requests of its schedules, and removes them from those of clients.
const SCHEDULE = 'vespo-schedule', SCHEDULE_TIME = 'vespo-schedule-time';

// tick runs the handler of schedules. The run ends with all that the handler has passed to waitUntil, which is where many
// handlers do their work, and the first failure is that of the run.
async function tick(request, handlers, env, ctx) {
  const work = [];
  ctx.waitUntil = (promise) => { work.push(promise); };
  const scheduledTime = Date.parse(request.headers.get(SCHEDULE_TIME)) || Date.now();
  await handlers.scheduled({ type: 'scheduled', cron: request.headers.get(SCHEDULE), scheduledTime, noRetry() {} }, env, ctx);
  for (let known = -1; known < work.length;) { // the work can add to itself
    known = work.length;
    const failed = (await Promise.allSettled(work)).find(({ status }) => status === 'rejected');
    if (failed && known === work.length) throw failed.reason;
  }
  return new Response(null, { status: 204 });
}

async function answer(request, handlers, env, ctx, assets) {
  if (typeof handlers.fetch !== 'function') {
    if (assets) return assets.fetch(request);
    return new Response('this worker serves no requests\n', { status: 404 });
  }
  const response = await handlers.fetch(request, env, ctx);
  if (response instanceof Response) return whole(response);
  throw new TypeError(`fetch of the worker returned ${response === null ? 'null' : typeof response}, and not a Response`);
}

// context returns the third argument of handlers.
function context(event) {
  return {
    props: {},
    // The engine goes on until the promise is settled, within the time limit of the request.
    waitUntil(promise) {
      event.waitUntil(Promise.resolve(promise).catch((error) => console.error(describe(error))));
    },
    // There is no origin to pass a request through to: a failure is a 500 in any case.
    passThroughOnException() {},
  };
}
