// Elements, and patches of them. All text becomes text nodes: no string is parsed as markup.

const svgNames = new Set(["svg", "path", "line", "rect", "g", "title"]);
const svgNamespace = "http://www.w3.org/2000/svg";

// h returns an element. Properties that begin with "on" are handlers; false, null and undefined are left out.
export function h(name, props, ...children) {
  const el = svgNames.has(name) ? document.createElementNS(svgNamespace, name) : document.createElement(name);
  for (const [key, value] of Object.entries(props ?? {})) {
    if (value === false || value === null || value === undefined) continue;
    if (key.startsWith("on")) el[key] = value;
    else el.setAttribute(key, value === true ? "" : value);
  }
  append(el, children);
  return el;
}

function append(el, children) {
  for (const child of children) {
    if (Array.isArray(child)) append(el, child);
    else if (child !== null && child !== undefined && child !== false && child !== "") el.append(child);
  }
}

const handlers = ["onclick", "onsubmit", "oninput", "onchange"];

// morph makes el look like next and keeps its nodes, so that focus, selection, scroll positions and what is typed stay.
// Children are matched by data-key, or by their place.
export function morph(el, next) {
  syncAttributes(el, next);
  for (const name of handlers) if (el[name] !== next[name]) el[name] = next[name];
  if (el.dataset?.own !== undefined) return; // its children are not of this rendering
  const keyed = new Map();
  for (const child of el.childNodes) if (child.dataset?.key) keyed.set(child.dataset.key, child);
  let at = el.firstChild;
  for (const wanted of [...next.childNodes]) {
    const key = wanted.dataset?.key;
    let match = key ? keyed.get(key) : at && !at.dataset?.key ? at : null;
    if (match && match.nodeName !== wanted.nodeName) match = null;
    if (!match) {
      el.insertBefore(wanted, at);
      continue;
    }
    if (match === at) at = at.nextSibling;
    else el.insertBefore(match, at);
    keyed.delete(key);
    if (match.nodeType === Node.TEXT_NODE) {
      if (match.data !== wanted.data) match.data = wanted.data;
    } else morph(match, wanted);
  }
  while (at) {
    const gone = at;
    at = at.nextSibling;
    gone.remove();
  }
}

function syncAttributes(el, next) {
  const open = el.nodeName === "DETAILS"; // the user opens and closes them
  for (const { name } of [...el.attributes]) {
    if (!next.hasAttribute(name) && !(open && name === "open")) el.removeAttribute(name);
  }
  for (const { name, value } of next.attributes) {
    if (el.getAttribute(name) !== value && !(open && name === "open")) el.setAttribute(name, value);
  }
}

// say announces the result of an action to screen readers, and shows it for a while.
let silence;
export function say(text, bad) {
  const p = document.getElementById("said");
  p.textContent = text;
  p.className = bad ? "bad" : "";
  clearTimeout(silence);
  silence = setTimeout(() => { p.textContent = ""; }, 8000);
}
