// Changes: forms and questions. Each shows the server's own words if it refuses.
import { h, say } from "./dom.js";
import { get, mayDeploy, post, Refusal } from "./api.js";
import { bytes, nameOf, safe } from "./format.js";

const key = (s) => ({ prefix: s.prefix, match: s.match });

// What a service can be, with the field that makes it so.
const kinds = [
  { name: "A WebAssembly module", field: "module", options: ["memory", "timeout", "allow", "kv"] },
  { name: "A proxy to another server", field: "upstream", placeholder: "http://127.0.0.1:9000", options: ["timeout"] },
  { name: "Files of a directory", field: "static", placeholder: "a directory below the server's --root", options: ["cache_control"] },
  { name: "A redirect", field: "redirect", placeholder: "https://new.example.com/base", options: [] },
  { name: "A queue for workers", field: "queue", options: ["depth", "timeout"] },
];

const optional = {
  memory: { label: "Memory of a request", placeholder: "the server's --memory, such as 16MiB" },
  timeout: { label: "Time limit", placeholder: "the server's --timeout, such as 10s" },
  allow: { label: "May call", placeholder: "https://api.example.com, one on each line", lines: true },
  kv: { label: "Key-value stores", placeholder: "sessions, one on each line", lines: true },
  cache_control: { label: "Cache-Control", placeholder: "max-age=3600" },
  depth: { label: "Requests that may wait", placeholder: "1000" },
};

// field returns a labelled input, with a place for what the server says about it.
function field(name, label, input, help) {
  input.id = `f-${name}`;
  input.name = name;
  input.setAttribute("aria-describedby", `e-${name}${help ? ` h-${name}` : ""}`);
  return h("div", { class: "field" }, h("label", { for: input.id }, label), input,
    help && h("p", { id: `h-${name}`, class: "faint" }, help), h("p", { id: `e-${name}`, class: "error" }));
}

const input = (props) => h("input", { type: "text", autocomplete: "off", spellcheck: "false", autocapitalize: "off", ...props });

// addForm returns the form that adds a service, or replaces the given one.
export function addForm(app, old) {
  const prefix = input({ required: true, placeholder: "hello" });
  const match = input({ placeholder: "Host: api.example.com" });
  if (old) {
    prefix.value = old.prefix;
    match.value = old.match ?? "";
    prefix.readOnly = match.readOnly = true;
  }
  const kind = h("select", null, kinds.map((k, i) => h("option", { value: i }, k.name)));
  const message = input({ placeholder: "what has changed", maxlength: 500 });
  const main = h("div");
  const more = h("div");
  const summary = h("div", { class: "notice bad", role: "alert", hidden: true });
  const bar = h("progress", { max: 100, value: 0, "aria-label": "Upload" });
  const stage = h("span");
  const progress = h("p", { class: "progress", hidden: true }, bar, " ", stage);
  const button = h("button", { class: "primary" }, old ? "Replace" : "Add");
  const form = h("form", { class: "wide", novalidate: true },
    summary,
    !old && field("kind", "What it is", kind),
    main,
    field("prefix", "Prefix", prefix, old ? "" : "The first part of its paths: hello serves /hello and all below."),
    field("match", "Match", match, old ? "" : "Optional: a header and the beginning of its value, where services share a prefix."),
    more,
    field("message", "Message", message, "Optional: shown beside the version."),
    progress,
    h("p", { class: "actions" }, button, h("a", { class: "button quiet", href: old ? `#/service?${new URLSearchParams(old)}` : "#/" }, "Cancel")));
  let drop = null;
  const shape = () => {
    const k = kinds[kind.value || 0];
    drop = k.field === "module" ? fileDrop() : null;
    const value = drop ? null : input(k.field === "queue" ? { value: "true", readonly: true } : { placeholder: k.placeholder, required: true });
    main.replaceChildren(drop ? field("module", "Module", drop.file, "") : field(k.field, k.name, value));
    if (drop) main.firstChild.append(drop.zone);
    more.replaceChildren(k.options.length ? h("details", null, h("summary", null, old ? "Options (those left empty stay as they are)" : "Options"),
      k.options.map((o) => field(o, optional[o].label, optional[o].lines ? h("textarea", { rows: 3, placeholder: optional[o].placeholder, spellcheck: "false" }) : input({ placeholder: optional[o].placeholder })))) : "");
  };
  kind.onchange = shape;
  shape();
  const clear = () => {
    summary.hidden = true;
    for (const e of form.querySelectorAll(".error")) e.textContent = "";
    for (const i of form.querySelectorAll("[aria-invalid]")) i.removeAttribute("aria-invalid");
  };
  const refuse = (e) => showRefusal(form, summary, e);
  form.onsubmit = async (event) => {
    event.preventDefault();
    clear();
    const body = new FormData();
    for (const el of form.querySelectorAll("input[name], textarea[name]")) {
      if (el.type === "file") { if (el.files[0]) body.append(el.name, el.files[0]); } else if (el.tagName === "TEXTAREA") {
        for (const line of el.value.split("\n")) if (line.trim()) body.append(el.name, line.trim());
      } else if (el.value.trim()) body.append(el.name, el.value.trim());
    }
    if (drop && !old && !drop.file.files[0]) return refuse(new Refusal(400, { detail: "choose a module", violations: ["module is missing: choose a file, or drop one"], fields: ["module"] }));
    if (!mayDeploy(app.scopes)) return refuse(new Refusal(403, { detail: "you may not deploy: sign in with a token that may" }));
    button.disabled = true;
    progress.hidden = false;
    stage.textContent = "Sending …";
    try {
      const answer = await post("/services/add", {}, body, (part) => {
        bar.value = part * 100;
        stage.textContent = part < 1 ? `${Math.round(part * 100)}% sent` : "Sent. The server compiles …";
        if (part >= 1) bar.removeAttribute("value");
      });
      say(`${safe(nameOf(answer))} serves version ${answer.number}.`);
      app.go(`#/service?${new URLSearchParams({ prefix: answer.prefix, ...(answer.match ? { match: answer.match } : {}) })}`);
    } catch (e) {
      if (!app.failed(e)) refuse(e);
    } finally {
      button.disabled = false;
      progress.hidden = true;
      bar.value = 0;
    }
    return undefined;
  };
  return form;
}

// showRefusal puts what the server says beside the fields that it is about, and the rest at the top.
function showRefusal(form, summary, e) {
  let first = null;
  const rest = [];
  (e.violations ?? []).forEach((text, i) => {
    const el = e.fields[i] && form.querySelector(`[name="${CSS.escape(e.fields[i])}"]`);
    if (!el) { rest.push(text); return; }
    const place = form.querySelector(`#e-${CSS.escape(e.fields[i])}`);
    place.textContent = safe(place.textContent ? `${place.textContent}; ${text}` : text);
    el.setAttribute("aria-invalid", "true");
    el.closest("details")?.setAttribute("open", "");
    first ??= el;
  });
  summary.replaceChildren(...[h("p", null, safe(e.message)), rest.length > 0 && h("ul", null, rest.map((v) => h("li", null, safe(v)))),
    e.requestID && h("p", { class: "faint" }, "Request ", h("code", null, safe(e.requestID)))].filter(Boolean));
  summary.hidden = false;
  (first ?? summary).focus();
  summary.scrollIntoView({ block: "nearest" });
}

// fileDrop returns a file input and a zone onto which a file can be dropped.
function fileDrop() {
  const file = h("input", { type: "file", accept: ".wasm,application/wasm" });
  const zone = h("p", { class: "drop" }, "or drop a .wasm file here");
  const show = () => { const f = file.files[0]; zone.textContent = f ? `${safe(f.name)}, ${bytes(f.size)}` : "or drop a .wasm file here"; };
  file.onchange = show;
  zone.ondragover = (e) => { e.preventDefault(); zone.classList.add("over"); };
  zone.ondragleave = () => zone.classList.remove("over");
  zone.ondrop = (e) => {
    e.preventDefault();
    zone.classList.remove("over");
    if (e.dataTransfer.files.length) { file.files = e.dataTransfer.files; show(); }
  };
  return { file, zone };
}

// ask opens a dialog. act is called when the user agrees; what it throws is shown there.
function ask(app, { title, content, agree, danger, act }) {
  const dialog = document.getElementById("dialog");
  const problem = h("p", { class: "error", role: "alert" });
  const yes = agree && h("button", { type: "button", class: danger ? "danger" : "primary" }, agree);
  const no = h("button", { type: "button", class: "quiet", onclick: () => dialog.close() }, agree ? "Cancel" : "Close");
  if (yes) {
    yes.onclick = async () => {
      yes.disabled = true;
      problem.textContent = "";
      try {
        await act();
        dialog.close();
      } catch (e) {
        if (app.failed(e)) dialog.close();
        else problem.textContent = safe([e.message, ...(e.violations ?? [])].join("; ") + (e.requestID ? ` (request ${e.requestID})` : ""));
      } finally {
        yes.disabled = false;
      }
    };
  }
  dialog.replaceChildren(h("h2", { id: "dialog-title" }, title), ...[content].flat(), problem, h("p", { class: "actions" }, ...[no, yes].filter(Boolean)));
  dialog.onclose = () => dialog.replaceChildren();
  dialog.showModal();
  no.focus();
}

export function remove(app, s) {
  const name = safe(nameOf(s));
  ask(app, {
    title: `Remove ${name}?`,
    content: h("p", null, "Its paths answer 404 from then on, and its versions are deleted. Requests in progress end as usual."),
    agree: `Remove ${name}`,
    danger: true,
    act: async () => {
      await post("/services/remove", key(s));
      say(`${name} is removed.`);
      app.go("#/");
    },
  });
}

export function rollback(app, s, to) {
  const name = safe(nameOf(s));
  ask(app, {
    title: `Use version ${to.number} of ${name} again?`,
    content: [h("p", null, `All requests go to version ${to.number} from then on. Version ${s.number} stays among the versions.`), to.message && h("p", { class: "faint" }, h("bdi", null, safe(to.message)))].filter(Boolean),
    agree: `Use version ${to.number}`,
    act: async () => {
      await post("/services/rollback", { ...key(s), generation: to.generation });
      say(`${name} serves version ${to.number} again.`);
      app.refresh();
    },
  });
}

// endCanary asks whether to end a trial. The server rolls back what is on trial before anything else.
export function endCanary(app, s) {
  const [name, canary] = [safe(nameOf(s)), s.traffic.canary];
  ask(app, {
    title: `End the canary of ${name}?`,
    content: h("p", null, `All requests go to version ${canary.against} again. Version ${canary.number} stays among the versions.`),
    agree: "End canary",
    act: async () => {
      await post("/services/rollback", key(s));
      say(`All requests to ${name} go to version ${canary.against} again.`);
      app.refresh();
    },
  });
}

// split asks for the shares of versions.
export function split(app, s, versions) {
  const name = safe(nameOf(s));
  const sum = h("p", { role: "status", class: "faint" });
  const rows = versions.slice(0, 8).map((v) => {
    const share = h("input", { id: `s-${v.number}`, type: "number", min: 0, max: 100, step: "any", inputmode: "decimal" });
    share.value = v.weight ? String(Number(v.weight.toFixed(2))) : "0";
    share.oninput = total;
    return { v, share, row: h("div", { class: "share" }, h("label", { for: share.id }, `Version ${v.number} `, v.message && h("small", null, h("bdi", null, safe(v.message)))), share, "%") };
  });
  function total() {
    const all = rows.reduce((n, r) => n + (Number(r.share.value) || 0), 0);
    sum.textContent = Math.abs(all - 100) < 0.005 ? "Together 100%." : `Together ${Number(all.toFixed(2))}%: the shares have to be 100% together.`;
  }
  total();
  ask(app, {
    title: `Divide the requests to ${name}`,
    content: [h("p", null, "Each version gets its share of the requests. A version without a share is only kept."), ...rows.map((r) => r.row), sum],
    agree: "Divide",
    act: async () => {
      await post("/services/split", { ...key(s), sticky: s.traffic?.sticky, split: rows.filter((r) => Number(r.share.value) > 0).map((r) => `${r.v.number}=${r.share.value}`) });
      say(`The requests to ${name} are divided.`);
      app.refresh();
    },
  });
}

export async function compare(app, s, from, to) {
  let content;
  try {
    const d = await get("/services/diff", { ...key(s), from: from.number, to });
    content = d.changes?.length ? h("ul", { class: "diff" }, d.changes.map((c) => h("li", null, h("bdi", null, safe(c))))) : h("p", null, "They do not differ.");
  } catch (e) {
    if (app.failed(e)) return;
    content = h("p", { class: "error" }, safe(e.message));
  }
  ask(app, { title: `From version ${from.number} to ${to} of ${safe(nameOf(s))}`, content });
}

export function trigger(app, s, one) {
  const name = safe(nameOf(s));
  ask(app, {
    title: `Run ${safe(one.schedule)} of ${name} now?`,
    content: h("p", null, "The service gets the request of the schedule once more. Its times stay as they are."),
    agree: "Run now",
    act: async () => {
      const run = await post("/services/trigger", { ...key(s), schedule: one.schedule });
      const bad = run.outcome !== "ok";
      say(`${name}: ${safe(run.outcome)}${run.status ? `, status ${run.status}` : ""}${run.detail ? `, ${safe(run.detail)}` : ""}.`, bad);
      app.refresh();
    },
  });
}
