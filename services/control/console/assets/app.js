// The console: which view is shown, what it needs from the server, and when.
import { h, morph, say } from "./dom.js";
import { get, log, setToken, token, Refusal, Gone } from "./api.js";
import { safe, nameOf } from "./format.js";
import { overview, queues, functions, schedules, stores } from "./views.js";
import { service } from "./service.js";
import { addForm } from "./forms.js";

// Views by the path in the hash. load returns what draw shows.
const views = {
  "": {
    title: () => "Services", load: async (_, signal) => {
      const stats = await get("/services/stats", { series: "true" }, signal);
      stats.services.forEach((s) => { s.name = nameOf(s); s.key = `${s.prefix} ${s.match ?? ""}`; });
      return stats;
    }, draw: overview,
  },
  service: {
    title: (q) => safe(nameOf({ prefix: q.get("prefix"), match: q.get("match") })),
    load: async (q, signal) => {
      const key = { prefix: q.get("prefix"), match: q.get("match") };
      const [one, versions, stats] = await Promise.all([
        get("/services/inspect", key, signal),
        get("/services/versions", key, signal),
        get("/services/stats", { ...key, series: "true" }, signal),
      ]);
      const entries = app.options.log ?? [];
      const more = app.options.noLog ? null : await log(key, entries.at(-1)?.n, signal);
      if (more) app.options.log = [...entries, ...more].slice(-1000);
      else app.options.noLog = true; // this server keeps none
      return { one, versions, stats: stats.services[0], log: app.options.log };
    },
    draw: service,
  },
  queues: { title: () => "Queues", load: list, draw: queues },
  functions: { title: () => "Functions", load: list, draw: functions },
  schedules: { title: () => "Schedules", load: list, draw: schedules },
  stores: { title: () => "Key-value stores", load: (_, signal) => get("/services/kv", {}, signal), draw: stores },
  add: { title: () => "Add a service", form: () => addForm(app, null) },
  replace: {
    title: (q) => `Replace ${safe(nameOf({ prefix: q.get("prefix"), match: q.get("match") }))}`,
    form: (q) => addForm(app, { prefix: q.get("prefix"), match: q.get("match") ?? "" }),
  },
};

function list(_, signal) { return get("/services", {}, signal); }

// app is what views use of the console.
export const app = {
  scopes: [],
  me: null,
  options: {}, // of the view: filter, order, number of rows
  draw,
  refresh,
  go: (hash) => { location.hash = hash; },
  failed,
};

let view, query, data, problem, form; // of the view that is shown
let abort = new AbortController();
let timer, attempts = 0, gone = false, loading = false;

const main = document.getElementById("main");
const link = document.getElementById("link");

// Between two reads: at least pause, and 15 times what the last one took, so that large servers are asked less often.
const pause = 2000;
const longestPause = 30000;

function route() {
  const [path, search] = location.hash.replace(/^#\/?/, "").split("?");
  view = views[path] ?? null;
  query = new URLSearchParams(search);
  [data, problem, form, app.options] = [null, null, null, {}];
  document.title = `${view ? view.title(query) : "No such page"} – Vespo`;
  abort.abort();
  abort = new AbortController();
  loading = false;
  draw();
  refresh();
}

// draw shows what is known.
function draw() {
  drawTop();
  const next = h("main", { id: "main", tabindex: "-1" });
  if (app.locked) next.append(lock());
  else if (!view) next.append(h("h1", { tabindex: "-1" }, "No such page"), h("p", null, h("a", { href: "#/" }, "Go to the services")));
  else if (view.form) next.append(h("h1", { tabindex: "-1" }, view.title(query)), h("div", { "data-own": "", "data-key": location.hash }));
  else if (problem) next.append(h("h1", { tabindex: "-1" }, view.title(query)), refusal(problem));
  else if (!data) next.append(h("h1", { tabindex: "-1" }, view.title(query)), h("p", { class: "faint" }, "Loading …"));
  else next.append(...[view.draw(app, data, query)].flat().filter(Boolean));
  morph(main, next);
  const own = main.querySelector("[data-own]");
  if (own && !own.firstChild && view?.form && !app.locked) own.append(form ??= view.form(query));
}

function drawTop() {
  const path = location.hash.replace(/^#\/?/, "").split("?")[0];
  const item = (to, name) => h("li", null, h("a", { href: `#/${to}`, "aria-current": path === to ? "page" : false }, name));
  const next = h("header", { id: "top" },
    h("a", { class: "brand", href: "#/" }, "Vespo"),
    h("nav", { "aria-label": "Main" }, h("ul", null,
      item("", "Services"), item("queues", "Queues"), item("functions", "Functions"), item("schedules", "Schedules"), item("stores", "Stores"))),
    h("div", { class: "me" },
      app.me && h("span", { class: "faint" }, rights()),
      app.me && h("button", { type: "button", class: "quiet", onclick: () => (token() ? signOut() : signIn()) }, token() ? "Sign out" : "Use a token")));
  morph(document.getElementById("top"), next);
}

function rights() {
  if (app.scopes.includes("admin")) return app.me.kind === "local" ? "This machine" : safe(app.me.name ?? "Admin");
  const some = app.scopes.some((s) => s.startsWith("deploy:"));
  return `${safe(app.me.name ?? "Token")}, ${some ? "some services" : "read only"}`;
}

function signIn() {
  app.locked = "Enter a token to act with its rights. Without one, you have those of a user of this machine.";
  app.mayCancel = true;
  draw();
  document.getElementById("token")?.focus();
}

function signOut() {
  setToken("");
  app.me = null;
  say("Signed out.");
  route();
}

// lock asks for a token.
function lock() {
  return h("section", { class: "narrow" },
    h("h1", { tabindex: "-1" }, "Sign in"),
    h("p", { id: "why" }, app.locked),
    h("form", { onsubmit: unlock, autocomplete: "off" },
      h("label", { for: "token" }, "Token"),
      h("input", { id: "token", name: "token", type: "password", autocomplete: "off", spellcheck: "false", "aria-describedby": "why token-help", required: true }),
      h("p", { id: "token-help", class: "faint" }, "The server's --admin-token, or one that it has issued. It is kept until you close this tab or sign out."),
      h("p", { class: "actions" }, h("button", { class: "primary" }, "Sign in"),
        app.mayCancel && h("button", { type: "button", class: "quiet", onclick: () => { app.locked = ""; route(); } }, "Cancel"))));
}

function unlock(event) {
  event.preventDefault();
  const field = document.getElementById("token");
  const value = field.value.trim();
  if (!/^[\x21-\x7e]+$/.test(value)) {
    app.locked = "A token has no spaces and no letters beyond ASCII: copy it again.";
    draw();
    return;
  }
  setToken(value);
  field.value = "";
  app.locked = "";
  app.me = null;
  route();
}

// failed shows why a request failed. It reports whether the session has ended with it.
function failed(e) {
  if (!(e instanceof Refusal && e.status === 401)) return false;
  app.locked = token() ? "The server did not accept this token. It may be mistyped, revoked or expired." : "This server wants a token.";
  app.mayCancel = false;
  setToken("");
  app.me = null;
  app.scopes = [];
  draw();
  document.getElementById("token")?.focus();
  return true;
}

function refusal(e) {
  return h("div", { class: "notice bad" }, h("p", null, safe(e.message)),
    e.violations.length > 0 && h("ul", null, e.violations.map((v) => h("li", null, safe(v)))),
    e.requestID && h("p", { class: "faint" }, "Request ", h("code", null, safe(e.requestID))),
    h("p", null, h("a", { href: "#/" }, "Go to the services")));
}

// refresh reads what the view shows, and then again after a pause while the page is visible.
async function refresh() {
  clearTimeout(timer);
  if (document.hidden || loading) return;
  loading = true;
  const { signal } = abort;
  const began = performance.now();
  try {
    if (!app.me) {
      const me = await get("/services/whoami", {}, signal);
      [app.me, app.scopes] = [me, me.scopes ?? []];
    }
    if (view?.load && !app.locked) data = await view.load(query, signal);
    problem = null;
    online();
    draw();
  } catch (e) {
    if (signal.aborted) return;
    if (e instanceof Gone) offline();
    else if (e instanceof Refusal) {
      online();
      if (failed(e)) { loading = false; return; }
      if (e.status === 503 && data) link.textContent = safe(e.message);
      else { problem = e; draw(); }
    } else throw e;
  } finally {
    if (!signal.aborted) loading = false;
  }
  const took = performance.now() - began;
  const wait = gone ? Math.min(longestPause, 1000 * 2 ** attempts) : Math.min(longestPause, Math.max(pause, 15 * took));
  if (!app.locked) timer = setTimeout(refresh, wait);
}

function offline() {
  attempts++;
  if (gone) return;
  gone = true;
  document.body.classList.add("gone");
  link.textContent = data ? "The server does not answer. What you see is its last state. The console tries again." :
    "The server does not answer. Is it running? The console tries again.";
}

function online() {
  if (link.textContent) link.textContent = "";
  attempts = 0;
  if (!gone) return;
  gone = false;
  document.body.classList.remove("gone");
  say("The server is back.");
}

addEventListener("hashchange", () => {
  app.locked = "";
  document.getElementById("dialog").close();
  route();
  scrollTo(0, 0);
  main.querySelector("h1")?.focus({ preventScroll: true });
});
document.addEventListener("visibilitychange", refresh);
addEventListener("online", () => { attempts = 0; refresh(); });
document.querySelector(".skip").onclick = (e) => { e.preventDefault(); main.focus(); };
new ResizeObserver(() => { if (view && !view.form && data && !app.locked) draw(); }).observe(main);
route();
