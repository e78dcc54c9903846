// The view of one service.
import { h } from "./dom.js";
import { mayDeploy } from "./api.js";
import { chart } from "./charts.js";
import { ago, bytes, count, micros, moment, percent, rate, safe, shortDigest, until } from "./format.js";
import { linkTo, scheduleSheet, sheet, state } from "./views.js";
import { compare, endCanary, remove, rollback, split } from "./forms.js";

const most = (values) => Math.max(0, ...(values ?? []));

export function service(app, { one, versions, stats, log }) {
  const may = mayDeploy(app.scopes, one);
  const declared = one.origin === "file";
  return [
    h("p", { class: "crumb" }, h("a", { href: "#/" }, "Services")),
    h("div", { class: "heading" },
      h("h1", { tabindex: "-1" }, h("bdi", null, safe(one.prefix)), one.match && h("small", null, " ", h("bdi", null, safe(one.match)))),
      state(one), h("span", { class: "faint" }, `${safe(one.kind)}, version ${one.number}`),
      may && !declared && h("div", { class: "actions" },
        h("a", { class: "button", href: linkTo(one, "replace") }, "Replace"),
        one.traffic?.canary?.state === "running" ? h("button", { type: "button", onclick: () => endCanary(app, one) }, "End canary")
        : versions.versions.length > 1 && h("button", { type: "button", onclick: () => rollback(app, one, versions.versions.find((v) => v.number < one.number) ?? versions.versions.find((v) => v.number !== one.number)) }, "Roll back"),
        versions.versions.length > 1 && h("button", { type: "button", onclick: () => split(app, one, versions.versions) }, "Split traffic"),
        h("button", { type: "button", class: "danger", onclick: () => remove(app, one) }, "Remove"))),
    may && declared && h("p", { class: "notice" }, "The configuration file of the server declares this service: change it there."),
    !may && app.me && h("p", { class: "notice" }, "You may look at this service. To change it, sign in with a token that has the scope ", h("code", null, `deploy:${safe(one.prefix)}`), "."),
    one.problem && h("div", { class: "notice bad" }, h("p", null, safe(one.problem))),
    (one.warnings ?? []).map((w) => h("p", { class: "notice" }, safe(w))),
    stats && charts(stats),
    one.traffic && traffic(one.traffic),
    versionTable(app, one, versions, may && !declared),
    stats && outcomes(stats),
    log && failures(log),
    one.schedules?.length > 0 && section("Schedules", scheduleSheet(app, one.schedules.map((s) => ({ s: one, one: s })))),
    section("May use", facts(grants(one), "This service may use nothing besides its requests. Grants are options: allow, mount, kv and config.")),
    section("Options", facts(optionsOf(one), "All options have their defaults.")),
    section("Details", facts(details(one))),
    log && lines(app, log),
  ];
}

const section = (title, ...content) => h("section", { "aria-label": title }, h("h2", null, title), content);

function charts(s) {
  const d = s.series ?? { interval: 5, requests: [], errors: [], p50_us: [], p99_us: [], peak_bytes: [] };
  const seconds = d.interval || 5;
  const [now, minute, hour] = [s.windows["10s"], s.windows["1m"], s.windows["1h"]];
  return h("div", { class: "charts" },
    chart({
      title: "Requests", now: `${rate(now.rate)}/s`, top: `${rate(most(d.requests) / seconds)}/s`,
      series: [{ values: d.requests, kind: "main", filled: true }, { values: d.errors, kind: "bad", filled: true }],
      text: `Requests of the last 5 minutes: ${rate(now.rate)} a second now, ${rate(most(d.requests) / seconds)} at most; ${count(d.errors.reduce((a, b) => a + b, 0))} errors`,
      legend: `${percent(hour.errors, hour.requests)} errors in 1 h`,
    }),
    chart({
      title: "Latency", now: micros(minute.p50_us), top: micros(most(d.p99_us)),
      series: [{ values: d.p99_us, kind: "main" }, { values: d.p50_us, kind: "soft" }],
      text: `Latency of the last 5 minutes: p50 ${micros(minute.p50_us)} and p99 ${micros(minute.p99_us)} in the last minute`,
      legend: `p50; p99 ${micros(minute.p99_us)}`,
    }),
    s.kind.startsWith("wasm") && chart({
      title: "Peak memory of a request", now: bytes(minute.peak_bytes), top: bytes(most(d.peak_bytes)),
      series: [{ values: d.peak_bytes ?? [], kind: "main", filled: true }],
      text: `Largest memory of a guest in the last 5 minutes: ${bytes(most(d.peak_bytes))} of ${bytes(s.memory)}`,
      legend: `of ${bytes(s.memory)}`,
    }));
}

// share is the traffic of a version in percent.
const share = (v) => (v.weight ? `${Number(v.weight.toFixed(2))}%` : "");

function versionTable(app, one, { versions, current }, may) {
  const rows = versions.map((v) => ({
    key: `v${v.number}`,
    cells: [
      h("span", { class: v.number === current ? "current" : "" }, `${v.number}`, v.number === current && h("small", null, " current")),
      share(v),
      h("span", { title: moment(v.deployed) }, ago(v.deployed)),
      h("bdi", null, safe(v.author ?? "")),
      h("span", { class: "message", title: safe(v.message ?? "") }, h("bdi", null, safe(v.message ?? ""))),
      bytes(v.size),
      h("code", { title: safe(v.digest) }, shortDigest(v.digest)),
      v.number !== current && h("span", { class: "actions" },
        h("button", { type: "button", class: "small", onclick: () => compare(app, one, v, current) }, "Compare", h("span", { class: "unseen" }, ` version ${v.number} with ${current}`)),
        may && h("button", { type: "button", class: "small", onclick: () => rollback(app, one, v) }, "Use", h("span", { class: "unseen" }, ` version ${v.number} again`))),
    ],
  }));
  return section("Versions", sheet(["Version", "#Traffic", "Deployed", "By", "Message", "#Size", "Digest", "Action"], rows, "Versions"));
}

// What the outcomes of requests mean, for those that have failed.
const reasons = {
  ok: "the service answered",
  exit: "the guest exited without an answer",
  trap: "the guest trapped, as by unreachable code",
  "stack overflow": "the guest called itself too deeply",
  "out of memory": "the guest wanted more memory than it may have: raise memory",
  deadline: "the time limit ended it: raise timeout, or look at what it waits for",
  "work limit": "its budget of work ended it: raise work_limit",
  "bad answer": "the answer cannot be sent: the log has the reason",
  unreachable: "no upstream could be reached: is it running?",
  refused: "the request itself was wrong",
  "no capacity": "no slot was free in time: the service is overloaded",
  "rate limited": "there were more requests than its rate allows",
  "not ready": "the version could not be prepared, or was starting",
  "client gone": "the client left",
  aborted: "the connection was cut after the answer had begun",
  "host error": "the server failed: its log has the reason",
};

function outcomes(s) {
  const hour = s.windows["1h"];
  const all = Object.entries(hour.outcomes ?? {}).sort((a, b) => b[1] - a[1]);
  if (!all.length) return section("Outcomes of the last hour", h("p", { class: "faint" }, "There were no requests in the last hour."));
  return section("Outcomes of the last hour", sheet(["Outcome", "#Requests", "#Share", "Meaning"], all.map(([name, n]) => ({
    key: name,
    cells: [h("span", { class: name === "ok" ? "" : "bad" }, safe(name)), count(n), percent(n, hour.requests), reasons[name] ?? ""],
  })), "Outcomes"));
}

// traffic describes how requests are divided: sticky clients, a mirror, a canary.
function traffic({ sticky, mirror, canary }) {
  const about = [
    sticky && ["A client stays at its version by", safe(sticky)],
    mirror && ["Mirror", `${mirror.weight}% of the requests are also sent to version ${mirror.number}`],
    canary && ["Canary", h("span", { class: canary.state === "rolled back" || canary.state === "failed" ? "bad" : "" }, safe(`version ${canary.number} against ${canary.against}, ${canary.weight}%: ${canary.state}${canary.reason ? `, ${canary.reason}` : ""}`), canary.state === "running" && h("small", null, ` ends ${until(canary.ends)}`))],
    canary?.trial && ["Requests of the canary", `${count(canary.trial.requests)}, ${count(canary.trial.errors)} failed; of the other version ${count(canary.baseline?.requests ?? 0)}, ${count(canary.baseline?.errors ?? 0)} failed`],
  ].filter(Boolean);
  return about.length > 0 && section("Traffic", facts(about));
}

const clock = (time) => new Date(time).toLocaleTimeString();

// what describes an entry of the log in one line.
function what(e) {
  if (!e.record) return safe(e.text);
  const r = e.record;
  return safe([r.method, r.uri, r.status || "no answer", r.outcome === "ok" ? "" : r.outcome, e.cause || r.err].filter(Boolean).join(" "));
}

function failures(log) {
  const failed = log.filter((e) => e.failed && e.record).slice(-10).reverse();
  if (!failed.length) return null;
  return section("Last failures", sheet(["Time", "Request", "#Status", "Reason", "Request id"], failed.map((e) => ({
    key: `f${e.n}`,
    cells: [h("span", { title: moment(e.time) }, ago(e.time)), h("bdi", { class: "message", title: safe(e.record.uri) }, safe(`${e.record.method} ${e.record.uri}`)), `${e.record.status || "–"}`,
      h("span", { class: "message", title: safe(e.cause ?? e.record.err ?? "") }, h("bdi", null, safe(e.cause || e.record.err || e.record.outcome))), h("code", null, safe(e.request_id))],
  })), "Last failures"));
}

// lines is the log. It is no live region: it would talk without end.
function lines(app, log) {
  const o = app.options;
  const shown = (o.failed ? log.filter((e) => e.failed || e.level === "ERROR" || e.level === "WARN") : log).slice(-200).reverse();
  return section("Log",
    h("p", { class: "filter" }, h("label", { for: "only" }, h("input", { id: "only", type: "checkbox", onchange: (e) => { o.failed = e.target.checked; app.draw(); } }), " Warnings and failures alone")),
    shown.length ? h("ol", { class: "log", tabindex: "0", "aria-label": "Log, the latest first" }, shown.map((e) => h("li", { "data-key": `l${e.n}`, class: e.failed || e.level === "ERROR" ? "bad" : "" },
      h("time", { datetime: safe(e.time), title: moment(e.time) }, clock(e.time)), h("span", { class: "source" }, safe(e.source)), h("bdi", null, what(e)), e.request_id && h("code", null, safe(e.request_id))))) :
      h("p", { class: "faint" }, o.failed ? "There are none among the last entries." : "There are no entries. Output of the service and its requests appear here."));
}

const texts = (list) => list.map((x) => h("div", null, h("bdi", null, safe(x))));

function grants(one) {
  const kv = [one.options?.kv ?? []].flat();
  return [
    one.allow?.length && ["Calls", texts(one.allow)],
    one.mount && ["Directories", texts(Object.entries(one.mount).map(([path, dir]) => `${path} = ${dir}`))],
    kv.length && ["Key-value stores", texts(kv)],
    one.config?.length && ["Settings, values hidden", texts(one.config)],
    one.use?.length && ["Middleware", one.use.map((d) => h("div", null, h("code", { title: safe(d) }, shortDigest(d))))],
    one.use_config?.length && ["Settings of middleware", texts(one.use_config)],
  ].filter(Boolean);
}

function optionsOf(one) {
  const shown = new Set(["allow", "mount", "kv", "config", "use", "use_config", "cron"]);
  const text = (name, v) => (name === "memory" ? bytes(v) : typeof v === "object" ? JSON.stringify(v) : String(v));
  return Object.entries(one.options ?? {}).filter(([name]) => !shown.has(name)).map(([name, v]) => [h("code", null, safe(name)), h("bdi", null, safe(text(name, v)))]);
}

function details(one) {
  return [
    one.target && ["Target", h("bdi", null, safe(one.target))],
    one.abi && ["Interface", safe(one.abi)],
    one.memory > 0 && ["Memory of a request", bytes(one.memory)],
    one.timeout && ["Time limit", safe(one.timeout)],
    one.isolation && ["Isolation", safe(one.isolation) + (one.fresh_reason ? `: ${safe(one.fresh_reason)}` : "")],
    one.snapshot > 0 && ["Snapshot", bytes(one.snapshot)],
    ["Instances", `${count(one.warm)} ready, ${count(one.in_flight)} in use`],
    one.queue && ["Queue", `${count(one.queue.waiting)} waiting, ${count(one.queue.leased)} taken, room for ${count(one.queue.depth)}`],
    one.retiring && ["Earlier versions at work", `${count(one.retiring.requests)} requests of ${count(one.retiring.versions)}`],
    ["Requests of this version", `${count(one.requests)}, ${count(one.errors)} failed`],
    ["Deployed", `${moment(one.deployed)}${one.author ? ` by ${safe(one.author)}` : ""}`],
    ["Last used", ago(one.last_used)],
    ["Digest", h("code", { class: "long" }, safe(one.digest))],
    one.exports?.length && ["Exports", texts(one.exports)],
    one.imports?.length && ["Imports", texts(one.imports)],
  ].filter(Boolean);
}

function facts(list, otherwise) {
  if (!list.length) return h("p", { class: "faint" }, otherwise);
  return h("dl", { class: "facts" }, list.map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, value))));
}

