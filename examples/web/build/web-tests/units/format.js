// src/format.ts
var UNITS = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB"];
function bytes(n) {
  if (!Number.isFinite(n))
    return "\u2013";
  let unit = 0;
  while (n >= 1024 && unit < UNITS.length - 1) {
    n /= 1024;
    unit++;
  }
  return `${unit === 0 || n >= 100 ? Math.round(n) : n.toFixed(1)} ${UNITS[unit]}`;
}
function rate(perSecond) {
  const n = Math.max(0, Math.round(perSecond));
  return n < 1024 ? `${n} B/s` : `${bytes(n)}/s`;
}
function duration(seconds) {
  if (!Number.isFinite(seconds) || seconds < 0)
    return "\u2013";
  const s = Math.round(seconds);
  if (s < 60)
    return `${s} s`;
  const two = (n) => String(n).padStart(2, "0");
  const minutes = Math.floor(s / 60), hours = Math.floor(s / 3600);
  if (hours >= 48)
    return `${Math.floor(hours / 24)} d ${hours % 24} h`;
  if (hours > 0)
    return `${hours}:${two(minutes % 60)}:${two(s % 60)}`;
  return `${minutes}:${two(s % 60)}`;
}
function microseconds(us) {
  if (us >= 1e6)
    return `${(us / 1e6).toFixed(us >= 1e7 ? 0 : 1)} s`;
  return us >= 1e3 ? `${(us / 1e3).toFixed(us >= 1e4 ? 0 : 1)} ms` : `${Math.round(us)} \xB5s`;
}
function count(n) {
  return n.toLocaleString("en");
}
function percent(part, whole) {
  return whole > 0 ? Math.max(0, Math.min(100, part * 100 / whole)) : 0;
}
function toDate(when) {
  const date = typeof when === "number" ? new Date(when * 1e3) : typeof when === "string" ? new Date(when) : void 0;
  return date && !Number.isNaN(date.getTime()) ? date : void 0;
}
function moment(when) {
  const date = toDate(when);
  if (!date)
    return "\u2013";
  const two = (n) => String(n).padStart(2, "0");
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${two(date.getHours())}:${two(date.getMinutes())}`;
}
function clock(when) {
  const date = toDate(when);
  return date ? date.toLocaleTimeString("en-GB") : "\u2013";
}
var HIDDEN = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;
function visible(text) {
  return text.replace(HIDDEN, (c) => `\u27E8U+${c.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}\u27E9`);
}
export {
  bytes,
  clock,
  count,
  duration,
  microseconds,
  moment,
  percent,
  rate,
  toDate,
  visible
};
