// Charts as SVG, each with a text for those who do not see it.
import { h } from "./dom.js";
import { safe } from "./format.js";

const width = 100;
const height = 28;

function points(values, top, high) {
  const step = width / Math.max(1, values.length - 1);
  return values.map((v, i) => `${(i * step).toFixed(1)} ${(high - 1 - (v / top) * (high - 2)).toFixed(1)}`);
}

// spark returns a small chart of series, each {values, kind}. The kind is a class: main, soft or bad.
export function spark(series, text, high = height) {
  const top = Math.max(1, ...series.flatMap((s) => s.values));
  const marks = [];
  for (const { values, kind, filled } of series) {
    if (!values.length || (kind === "bad" && !values.some(Boolean))) continue;
    const line = points(values, top, high);
    if (filled) marks.push(h("path", { class: `area ${kind}`, d: `M0 ${high}L${line.join("L")}L${width} ${high}Z` }));
    marks.push(h("path", { class: `line ${kind}`, d: `M${line.join("L")}` }));
  }
  return h("svg", { class: "spark", viewBox: `0 0 ${width} ${high}`, preserveAspectRatio: "none", role: "img", "aria-label": text },
    h("line", { class: "base", x1: 0, x2: width, y1: high - 0.5, y2: high - 0.5 }), marks);
}

// chart returns a large chart with its title, its value now, and its scale.
export function chart({ title, now, top, series, text, legend }) {
  return h("figure", { class: "chart" },
    h("figcaption", null, h("span", { class: "what" }, title), h("strong", null, now), legend && h("span", { class: "legend" }, legend)),
    h("div", { class: "plot" }, h("span", { class: "scale", "aria-hidden": "true" }, top), spark(series, text, 56)),
    h("div", { class: "axis", "aria-hidden": "true" }, h("span", null, "5 min ago"), h("span", null, "now")));
}

// The slab is drawn with at most this many cells; beyond, a cell stands for several slots.
const maxCells = 1536;
const cellSize = 12;
const cellGap = 3;
const hues = 6;

// slabOf returns the groups of cells: services by name, other uses, and what is empty.
export function slabOf(slots, services) {
  const groups = [];
  let counted = 0;
  for (const s of services) {
    if (!s.kind.startsWith("wasm")) continue;
    const busy = Math.min(s.in_flight, Math.max(0, slots.used - counted));
    const ready = Math.min(s.warm, Math.max(0, slots.used - counted - busy));
    counted += busy + ready;
    if (busy + ready) groups.push({ name: s.name, key: s.key, busy, ready });
  }
  groups.sort((a, b) => b.busy + b.ready - a.busy - a.ready || (a.key < b.key ? -1 : 1));
  const rest = slots.used - counted;
  return { groups, rest: Math.max(0, rest), empty: Math.max(0, slots.total - Math.max(slots.used, counted)), total: slots.total };
}

// slab returns the drawing: cells in rows of as many columns as fit.
export function slab(parts, columns, chosen) {
  const per = Math.max(1, Math.ceil(parts.total / maxCells));
  const paths = new Map();
  let at = 0;
  const put = (name, n) => {
    let d = paths.get(name) ?? "";
    for (let i = Math.ceil(n / per); i > 0; i--, at++) {
      const x = (at % columns) * (cellSize + cellGap) + 0.5;
      const y = Math.floor(at / columns) * (cellSize + cellGap) + 0.5;
      d += `M${x} ${y}h${cellSize - 1}v${cellSize - 1}h-${cellSize - 1}z`;
    }
    paths.set(name, d);
  };
  parts.groups.forEach((g, i) => {
    const hue = `hue${i < hues ? i : "x"}${chosen && chosen !== g.key ? " dim" : ""}`;
    put(`busy ${hue}`, g.busy);
    put(`ready ${hue}`, g.ready);
  });
  put("other", parts.rest);
  put("empty", parts.empty);
  const rows = Math.max(1, Math.ceil(at / columns));
  const text = `${parts.total} slots: ` + [...parts.groups.slice(0, 8).map((g) => `${safe(g.name)} ${g.busy} in use and ${g.ready} ready`),
    `${parts.empty} empty`].join(", ");
  const w = columns * (cellSize + cellGap);
  return {
    per,
    drawing: h("svg", { class: "slab", viewBox: `0 0 ${w} ${rows * (cellSize + cellGap)}`, width: w, height: rows * (cellSize + cellGap), role: "img", "aria-label": text },
      [...paths].map(([name, d]) => d && h("path", { class: `cell ${name}`, d }))),
  };
}

export const hueOf = (i) => `hue${i < hues ? i : "x"}`;
export const columnsFor = (pixels) => Math.max(8, Math.floor(pixels / (cellSize + cellGap)));
