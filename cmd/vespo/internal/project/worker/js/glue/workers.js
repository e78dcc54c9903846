// The module cloudflare:workers.

// current is what the handlers of this request have.
export const current = { env: {}, ctx: undefined };

export const env = new Proxy({}, {
  get: (_, name) => current.env[name],
  has: (_, name) => name in current.env,
  ownKeys: () => Reflect.ownKeys(current.env),
  getOwnPropertyDescriptor: (_, name) => Reflect.getOwnPropertyDescriptor(current.env, name),
});

export function waitUntil(promise) { current.ctx.waitUntil(promise); }

export class WorkerEntrypoint {
  constructor(ctx, env) {
    this.ctx = ctx;
    this.env = env;
  }
}
