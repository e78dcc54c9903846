// The views of all services.
import { h } from "./dom.js";
import { mayDeploy } from "./api.js";
import { spark, slab, slabOf, columnsFor, hueOf } from "./charts.js";
import { ago, bytes, count, keyOf, micros, nameOf, percent, rate, safe, until } from "./format.js";
import { trigger } from "./forms.js";

const pageRows = 100;

export const linkTo = (s, view = "service") => `#/${view}?${new URLSearchParams({ prefix: s.prefix, ...(s.match ? { match: s.match } : {}) })}`;

export const named = (s) => h("a", { class: "name", href: linkTo(s), title: safe(nameOf(s)) }, h("bdi", null, safe(s.prefix)), s.match && h("small", null, " ", h("bdi", null, safe(s.match))));

const stateText = { ready: "Ready", idle: "Idle", evicted: "Asleep", starting: "Starting", failed: "Failed", missing: "Missing", elsewhere: "Elsewhere" };
export const state = (s) => h("span", { class: `state ${safe(s.state)}` }, stateText[s.state] ?? safe(s.state));

const heading = (text, ...more) => h("div", { class: "heading" }, h("h1", { tabindex: "-1" }, text), more);

const columns = [
  { name: "Service", by: (s) => s.key, text: true },
  { name: "State", by: (s) => s.state, text: true },
  { name: "Requests/s", by: (s) => s.windows["10s"].rate },
  { name: "p50", by: (s) => s.windows["1m"].p50_us },
  { name: "p99", by: (s) => s.windows["1m"].p99_us },
  { name: "Errors", by: (s) => s.windows["10m"].errors / Math.max(1, s.windows["10m"].requests) },
  { name: "Memory", by: memoryOf },
];

function memoryOf(s) { return (s.warm + s.in_flight) * (s.windows["1m"].peak_bytes || s.snapshot || 0); }

// order sorts services as the user has asked. The order of live values is that of the moment of the click: rows under a
// pointer do not move.
function order(app, services) {
  const o = app.options;
  if (!o.sort) return services;
  if (!o.ranks) {
    const { by } = columns[o.sort.column];
    const sorted = services.map((s) => [by(s), s.key]).sort(([x, a], [y, b]) => (x === y ? (a < b ? -1 : 1) : (x < y) === o.sort.down ? 1 : -1));
    o.ranks = new Map(sorted.map(([, key], i) => [key, i]));
  }
  return [...services].sort((a, b) => (o.ranks.get(a.key) ?? Infinity) - (o.ranks.get(b.key) ?? Infinity) || (a.key < b.key ? -1 : 1));
}

function header(app, i) {
  const o = app.options;
  const on = o.sort?.column === i;
  const click = () => {
    o.sort = { column: i, down: on ? !o.sort.down : !columns[i].text };
    o.ranks = null;
    app.draw();
  };
  return h("th", { scope: "col", "aria-sort": on ? (o.sort.down ? "descending" : "ascending") : false, class: columns[i].text ? "" : "number" },
    h("button", { type: "button", onclick: click }, columns[i].name));
}

// overview shows the numbers of the server, its slab, and its services.
export function overview(app, stats) {
  const all = stats.services;
  const add = mayDeploy(app.scopes) && h("a", { class: "button primary", href: "#/add" }, "Add a service");
  if (!all.length) return [heading("Services", add), empty(app)];
  return [heading("Services", add), numbers(stats), drawSlab(app, stats), table(app, all)];
}

function empty(app) {
  return h("div", { class: "empty" },
    h("p", null, h("strong", null, "There are no services yet.")),
    mayDeploy(app.scopes) ? h("p", null, "Add a WebAssembly module here, or make a project in a terminal:") : h("p", null, "A user with the right to deploy can add one:"),
    h("pre", null, "vespo new hello\ncd hello && vespo deploy"));
}

function numbers(stats) {
  const sum = (f) => stats.services.reduce((n, s) => n + f(s), 0);
  const requests = sum((s) => s.windows["10m"].requests);
  const errors = sum((s) => s.windows["10m"].errors);
  const failed = stats.services.filter((s) => s.state === "failed" || s.state === "missing").length;
  const item = (name, value, more, bad) => h("div", null, h("dt", null, name), h("dd", { class: bad ? "bad" : "" }, value, more && h("small", null, " ", more)));
  const { slots } = stats;
  return h("dl", { class: "numbers" },
    item("Services", count(stats.services.length), failed ? `${failed} failed` : "", failed > 0),
    item("Requests", rate(sum((s) => s.windows["10s"].rate)), "/s"),
    item("Errors, 10 min", percent(errors, requests), errors ? count(errors) : "", errors > 0),
    item("In flight", count(slots?.in_flight ?? 0), slots?.waiting ? `${count(slots.waiting)} wait` : ""),
    slots && item("Slots", `${count(slots.used)} of ${count(slots.total)}`, `× ${bytes(slots.slot_bytes)}`));
}

function drawSlab(app, stats) {
  if (!stats.slots?.total) return null;
  const parts = slabOf(stats.slots, stats.services);
  const { drawing, per } = slab(parts, columnsFor(document.getElementById("main").clientWidth - 32), app.options.chosen);
  const shown = parts.groups.slice(0, 6);
  const others = parts.groups.length - shown.length;
  const item = (kind, ...text) => h("li", null, h("span", { class: `swatch ${kind}`, "aria-hidden": "true" }), text);
  return h("section", { class: "memory", "aria-labelledby": "memory-title" },
    h("h2", { id: "memory-title" }, "Memory of guests", h("small", null, `${per > 1 ? `A cell is ${per} slots` : "A cell is a slot"}: full is in use, pale is ready for the next request.`)),
    drawing,
    h("ul", { class: "legend" },
      shown.map((g, i) => item(`busy ${hueOf(i)}`, h("bdi", { title: safe(g.name) }, safe(g.name)), h("small", null, g.busy ? ` ${count(g.busy)} in use` : "", g.ready ? ` ${count(g.ready)} ready` : ""))),
      others > 0 && item("busy huex", `${count(others)} other services`),
      parts.rest > 0 && item("other", `${count(parts.rest)} of other versions, or being prepared`),
      item("empty", `${count(parts.empty)} empty`)));
}

function table(app, all) {
  const o = app.options;
  const wanted = (o.filter ?? "").trim().toLowerCase();
  const found = order(app, wanted ? all.filter((s) => s.name.toLowerCase().includes(wanted) || s.state.includes(wanted) || s.kind.includes(wanted)) : all);
  const rows = found.slice(0, o.rows ?? pageRows);
  const filter = (e) => { o.filter = e.target.value; o.rows = pageRows; app.draw(); };
  return h("section", { "aria-label": "All services" },
    all.length > 8 && h("p", { class: "filter" }, h("label", { for: "filter" }, "Filter"),
      h("input", { id: "filter", type: "search", autocomplete: "off", spellcheck: "false", placeholder: "name, state or kind", oninput: filter }),
      h("span", { class: "faint" }, wanted ? `${count(found.length)} of ${count(all.length)}` : `${count(all.length)} services`)),
    h("div", { class: "scroll" }, h("table", { class: "services" },
      h("thead", null, h("tr", null, columns.map((_, i) => header(app, i)))),
      h("tbody", null, rows.map(row)))),
    wanted && !found.length && h("p", { class: "faint" }, "No service has this in its name, state or kind."),
    found.length > rows.length && h("p", { class: "more" },
      h("button", { type: "button", onclick: () => { o.rows = rows.length + pageRows; app.draw(); } }, `Show ${Math.min(pageRows, found.length - rows.length)} more of ${count(found.length - rows.length)}`)));
}

function row(s) {
  const [now, minute, ten] = [s.windows["10s"], s.windows["1m"], s.windows["10m"]];
  const series = s.series ?? { requests: [], errors: [], p99_us: [] };
  const cell = (name, value, chart, bad) => h("td", { class: "number", "data-name": name }, h("span", { class: bad ? "value bad" : "value" }, value), chart);
  return h("tr", { "data-key": s.key },
    h("th", { scope: "row" }, named(s), h("small", { class: "kind" }, safe(s.kind))),
    h("td", { "data-name": "State" }, state(s)),
    cell("Requests/s", rate(now.rate), spark([{ values: series.requests, kind: "main", filled: true }, { values: series.errors, kind: "bad" }], `requests of 5 minutes, ${rate(now.rate)} a second now`)),
    cell("p50", micros(minute.p50_us)),
    cell("p99", micros(minute.p99_us), spark([{ values: series.p99_us, kind: "main" }], `p99 of 5 minutes, ${micros(minute.p99_us)} now`)),
    cell("Errors", percent(ten.errors, ten.requests), null, ten.errors > 0),
    cell("Memory", s.kind.startsWith("wasm") ? bytes(memoryOf(s)) : "–"));
}

// sheet is a plain table. Cells are texts or elements.
export function sheet(names, rows, label) {
  return h("div", { class: "scroll" }, h("table", { class: "sheet", "aria-label": label },
    h("thead", null, h("tr", null, names.map((n) => h("th", { scope: "col", class: n.startsWith("#") ? "number" : "" }, n.replace("#", ""))))),
    h("tbody", null, rows.map(({ key, cells }) => h("tr", { "data-key": key },
      cells.map((c, i) => h(i ? "td" : "th", { scope: i ? false : "row", "data-name": names[i].replace("#", ""), class: names[i].startsWith("#") ? "number" : "" }, c)))))));
}

const none = (text, command) => h("div", { class: "empty" }, h("p", null, text), h("pre", null, command));

export function queues(_, { services }) {
  const all = services.filter((s) => s.kind === "queue");
  if (!all.length) return [heading("Queues"), none("No service is a queue. A queue keeps requests until workers fetch them:", "vespo add jobs --queue")];
  return [heading("Queues"), sheet(["Queue", "State", "#Waiting", "#Taken", "#Room", "#Requests", "#Errors"], all.map((s) => ({
    key: keyOf(s),
    cells: [named(s), state(s), count(s.queue?.waiting ?? 0), count(s.queue?.leased ?? 0), count(s.queue?.depth ?? 0), count(s.requests), count(s.errors)],
  })), "Queues")];
}

export function functions(_, { services }) {
  const all = services.filter((s) => s.kind === "function" || s.kind === "wasm-function");
  if (!all.length) return [heading("Functions"), none("No service is a function. A function written for AWS Lambda runs as a process or as a module:", "vespo add report --function")];
  return [heading("Functions"), sheet(["Function", "State", "Kind", "#In flight", "#Waiting", "#Requests", "#Errors", "Last used"], all.map((s) => ({
    key: keyOf(s),
    cells: [named(s), state(s), h("span", { title: safe(s.target) }, safe(s.kind)), count(s.in_flight), count(s.queue?.waiting ?? 0), count(s.requests), count(s.errors), ago(s.last_used)],
  })), "Functions")];
}

export function schedules(app, { services }) {
  const all = services.flatMap((s) => (s.schedules ?? []).map((one) => ({ s, one })));
  if (!all.length) return [heading("Schedules"), none("No service has a schedule. A schedule sends a request at the times of a cron expression:", "vespo add NAME --cron '*/5 * * * * POST /tick'")];
  return [heading("Schedules"), scheduleSheet(app, all)];
}

export function scheduleSheet(app, all) {
  return sheet(["Service", "Schedule", "Next", "Last run", "#Runs", "#Failed", "Action"], all.map(({ s, one }) => ({
    key: `${keyOf(s)} ${one.schedule}`,
    cells: [named(s), h("code", null, safe(one.schedule)), until(one.next), lastRun(one), count(one.runs), h("span", { class: one.failed ? "bad" : "" }, count(one.failed)),
      mayDeploy(app.scopes, s) ? h("button", { type: "button", class: "small", onclick: () => trigger(app, s, one) }, "Run now", h("span", { class: "unseen" }, ` ${safe(one.schedule)} of ${safe(nameOf(s))}`)) : ""],
  })), "Schedules");
}

function lastRun({ state: now, last }) {
  if (now === "running") return "running";
  if (!last) return "never";
  const bad = last.outcome === "failed" || last.outcome === "interrupted";
  return h("span", { class: bad ? "bad" : "", title: safe([last.detail, last.request_id].filter(Boolean).join(" · ")) }, `${safe(last.outcome)}${last.status ? ` ${last.status}` : ""}, ${ago(last.ended ?? last.started)}`);
}

export function stores(_, { stores: all }) {
  if (!all.length) return [heading("Key-value stores"), none("There are no stores. A service gets one with the option kv:", "vespo add NAME FILE.wasm --kv sessions")];
  return [heading("Key-value stores"), sheet(["Store", "#Keys", "#Size", "Services", "Problem"], all.map((s) => ({
    key: s.store,
    cells: [h("bdi", null, safe(s.store)), count(s.keys ?? 0), bytes(s.bytes), safe((s.services ?? []).join(", ")) || "none", safe(s.problem ?? "")],
  })), "Key-value stores")];
}
