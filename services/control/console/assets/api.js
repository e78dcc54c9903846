// The management API. The token is in sessionStorage: a reload keeps it, and it ends with the tab. Pages of services have
// another origin and cannot read it. Nothing sends it by itself, so that no page can act with it.

const tokenName = "vespo-token";

export const token = () => sessionStorage.getItem(tokenName) ?? "";

export function setToken(value) {
  if (value) sessionStorage.setItem(tokenName, value);
  else sessionStorage.removeItem(tokenName);
}

// Refusal is an answer of the server with a status of failure.
export class Refusal extends Error {
  constructor(status, problem) {
    super(problem.detail || problem.title || `the server answered ${status}`);
    this.status = status;
    this.violations = problem.violations ?? [];
    this.fields = problem.fields ?? [];
    this.requestID = problem.request_id ?? "";
  }
}

// Gone means that no server answered.
export class Gone extends Error {}

const headers = () => (token() ? { Authorization: `Bearer ${token()}` } : {});

export const query = (fields) => {
  const q = new URLSearchParams();
  for (const [name, value] of Object.entries(fields)) for (const v of [value].flat()) if (v !== "" && v !== undefined && v !== null) q.append(name, v);
  return q.toString();
};

// get reads from the API. It gives up after a while, so that a server that hangs is seen as gone.
export async function get(path, fields = {}, signal = undefined) {
  const timeout = AbortSignal.timeout(15000);
  let response;
  try {
    const q = query(fields);
    response = await fetch(path + (q && "?" + q), {
      headers: { Accept: "application/json, application/problem+json", ...headers() },
      cache: "no-store",
      redirect: "error",
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
    });
    return await answer(response.status, await response.text());
  } catch (e) {
    if (e instanceof Refusal || signal?.aborted) throw e;
    throw new Gone("the server does not answer");
  }
}

// log reads the entries of a service after number n. Without logs on the server, it returns null.
export async function log(fields, n, signal) {
  const q = query({ ...fields, limit: n ? 1000 : 200 });
  let response;
  try {
    response = await fetch(`/services/logs?${q}`, { headers: { Accept: "text/event-stream", ...headers(), ...(n ? { "Last-Event-ID": String(n) } : {}) }, cache: "no-store", redirect: "error", signal: AbortSignal.any([signal, AbortSignal.timeout(15000)]) });
    if (!response.ok) return null;
    const events = (await response.text()).split("\n\n").filter((e) => !/^event:/m.test(e));
    return events.map((e) => /^data: (.*)$/m.exec(e)?.[1]).filter(Boolean).map((data) => JSON.parse(data));
  } catch (e) {
    if (signal.aborted) throw e;
    throw new Gone("the server does not answer");
  }
}

// post changes something. progress is called with the share of the body that has been sent. fetch cannot tell that.
export function post(path, fields, body = null, progress = undefined) {
  return new Promise((resolve, reject) => {
    const x = new XMLHttpRequest();
    const q = query(fields);
    x.open("POST", path + (q && "?" + q));
    x.setRequestHeader("Accept", "application/json, application/problem+json");
    for (const [name, value] of Object.entries(headers())) x.setRequestHeader(name, value);
    if (progress) x.upload.onprogress = (e) => progress(e.lengthComputable ? e.loaded / e.total : 0);
    x.onload = () => answer(x.status, x.responseText).then(resolve, reject);
    x.onerror = () => reject(new Gone("the connection to the server broke: look at the service before you try again"));
    x.send(body);
  });
}

async function answer(status, text) {
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Refusal(status, { detail: `the server answered ${status}, and not in its usual form` });
  }
  if (status < 200 || status > 299) throw new Refusal(status, value);
  return value;
}

// mayDeploy reports whether scopes permit to change a service, as the server decides it. Without a service: any.
export function mayDeploy(scopes, service) {
  return scopes.some((scope) => {
    if (scope === "admin") return true;
    if (!scope.startsWith("deploy:")) return false;
    if (!service) return true;
    const [prefix, ...match] = scope.slice("deploy:".length).split(" ");
    if (match.length && !(service.match ?? "").startsWith(match.join(" "))) return false;
    const below = prefix.endsWith("/*");
    const base = below ? prefix.slice(0, -2) : prefix;
    return service.prefix === (base || "/") || (below && service.prefix.startsWith(base + "/"));
  });
}
