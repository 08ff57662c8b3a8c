// How values of the API look. Numbers of 64 bits come as texts, and what is 0, false or
// empty is left out.

export const count = (n) => Number(n ?? 0).toLocaleString("en");

export const short = (key) => `${key.slice(0, 8)}…${key.slice(-4)}`;

export function time(milliseconds) {
  const ms = Number(milliseconds ?? 0);
  return ms === 0 ? "never" : new Date(ms).toISOString().replace("T", " ").slice(0, 19) + " UTC";
}

export function bytes(n) {
  let value = Number(n ?? 0);
  for (const unit of ["B", "KiB", "MiB", "GiB"]) {
    if (value < 1024 || unit === "GiB") return `${value < 10 && unit !== "B" ? value.toFixed(1) : Math.round(value)} ${unit}`;
    value /= 1024;
  }
}

export function seconds(s) {
  if (s === Infinity) return "more than 30 s";
  if (s >= 1) return `${s} s`;
  return s >= 0.001 ? `${+(s * 1e3).toPrecision(3)} ms` : `${+(s * 1e6).toPrecision(3)} µs`;
}

export function duration(s) {
  const all = Number(s ?? 0);
  if (all < 120) return `${all} s`;
  return all < 7200 ? `${Math.round(all / 60)} minutes` : `${Math.round(all / 3600)} hours`;
}

export const rate = (n) => (n >= 10 || n === 0 ? Math.round(n).toLocaleString("en") : n.toFixed(1));

// word is the last part of the name of an enumeration's value, in small letters.
export const word = (value, prefix) => (value ?? "").replace(prefix, "").toLowerCase().replaceAll("_", " ");
