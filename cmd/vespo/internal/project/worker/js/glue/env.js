// The environment of handlers.
import { KVNamespace } from './kv.js';
import { settings, store } from './host.js';

// environment returns the bindings of a worker: variables of the project, over them settings of the service, over them
// what is not text.
export function environment(config, assets) {
  const env = { ...config.vars, ...settings() };
  for (const [name, id] of Object.entries(config.kv ?? {})) env[name] = new KVNamespace(store(id));
  for (const [name, host] of Object.entries(config.services ?? {})) env[name] = new Service(host);
  if (assets && config.assets.binding) env[config.assets.binding] = assets;
  return env;
}

// Service is another service of the same server. Its host name stays within the process.
class Service {
  #host;

  constructor(host) { this.#host = host; }

  async fetch(input, init) {
    const request = new Request(input, init);
    const url = new URL(request.url);
    return fetch(new Request(`http://${this.#host}${url.pathname}${url.search}`, request));
  }
}
