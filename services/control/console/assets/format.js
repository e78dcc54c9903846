// Numbers and texts for people. Names and messages come from anywhere: safe makes what does not print visible.

const plain = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

export const count = (n) => (n < 10000 ? plain.format(n) : short.format(n));

export function rate(n) {
  if (!n) return "0";
  return n < 10 ? n.toFixed(1) : count(Math.round(n));
}

export function bytes(n) {
  if (!n) return "0";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let i = 0;
  while (n >= 1024 && i < units.length - 1) { n /= 1024; i++; }
  return `${n < 10 && i > 0 ? n.toFixed(1).replace(".0", "") : Math.round(n)} ${units[i]}`;
}

// micros formats a duration in microseconds.
export function micros(us) {
  if (!us) return "–";
  if (us < 1000) return `${Math.round(us)} µs`;
  if (us < 1e4) return `${(us / 1e3).toFixed(1)} ms`;
  if (us < 1e6) return `${Math.round(us / 1e3)} ms`;
  return `${(us / 1e6).toFixed(us < 1e7 ? 1 : 0)} s`;
}

export function percent(part, whole) {
  if (!whole || !part) return "0";
  const p = (part / whole) * 100;
  return p < 0.1 ? "<0.1%" : p < 10 ? `${p.toFixed(1)}%` : `${Math.round(p)}%`;
}

function span(s) {
  if (s < 60) return `${Math.max(0, Math.round(s))} s`;
  if (s < 3600) return `${Math.round(s / 60)} min`;
  if (s < 48 * 3600) return `${Math.round(s / 3600)} h`;
  return `${Math.round(s / 86400)} days`;
}

// ago and until format a time in relation to now. The zero time of the server is none.
export function ago(time) {
  const t = Date.parse(time ?? "");
  if (!(t > 0)) return "never";
  return `${span((Date.now() - t) / 1000)} ago`;
}

export function until(time) {
  const t = Date.parse(time ?? "");
  if (!(t > 0)) return "–";
  return t <= Date.now() ? "now" : `in ${span((t - Date.now()) / 1000)}`;
}

export const moment = (time) => (Date.parse(time ?? "") > 0 ? new Date(time).toLocaleString() : "");

// safe returns a text in which controls and marks of direction are visible.
export function safe(text) {
  return String(text ?? "").replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

export const nameOf = (s) => (s.match ? `${s.prefix} (${s.match})` : s.prefix);
export const keyOf = (s) => `${s.prefix} ${s.match ?? ""}`;
export const shortDigest = (d) => safe(String(d ?? "").replace("sha256:", "").slice(0, 12));
