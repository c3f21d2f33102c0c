// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Figures, times and other people's text for people.

const UNITS = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB"];

export function bytes(n: number): string {
	if (!Number.isFinite(n))
		return "–";
	let unit = 0;
	while (n >= 1024 && unit < UNITS.length - 1) {
		n /= 1024;
		unit++;
	}
	return `${unit === 0 || n >= 100 ? Math.round(n) : n.toFixed(1)} ${UNITS[unit]}`;
}

export function rate(perSecond: number): string {
	const n = Math.max(0, Math.round(perSecond));
	return n < 1024 ? `${n} B/s` : `${bytes(n)}/s`;
}

/** 7 s, 4:07, 2:04:07, 3 d 4 h. */
export function duration(seconds: number): string {
	if (!Number.isFinite(seconds) || seconds < 0)
		return "–";
	const s = Math.round(seconds);
	if (s < 60)
		return `${s} s`;
	const two = (n: number) => String(n).padStart(2, "0");
	const minutes = Math.floor(s / 60), hours = Math.floor(s / 3600);
	if (hours >= 48)
		return `${Math.floor(hours / 24)} d ${hours % 24} h`;
	if (hours > 0)
		return `${hours}:${two(minutes % 60)}:${two(s % 60)}`;
	return `${minutes}:${two(s % 60)}`;
}

/** us, as metrics have them. */
export function microseconds(us: number): string {
	if (us >= 1e6)
		return `${(us / 1e6).toFixed(us >= 1e7 ? 0 : 1)} s`;
	return us >= 1000 ? `${(us / 1000).toFixed(us >= 10000 ? 0 : 1)} ms` : `${Math.round(us)} µs`;
}

export function count(n: number): string {
	return n.toLocaleString("en");
}

/** A limit as options have it: 10G, 512k, 7. */
export function limit(n: number): string {
	for (const [unit, letter] of [[2 ** 30, "G"], [2 ** 20, "M"], [1024, "k"]] as const)
		if (n > 0 && n % unit === 0)
			return `${n / unit}${letter}`;
	return String(n);
}

/** ... and back; undefined: the broker may know what it means. */
export function limitOf(text: string): number | undefined {
	const parts = /^(\d+)([kMG]?)$/.exec(text.trim());
	return parts ? Number(parts[1]) * ({ k: 1024, M: 2 ** 20, G: 2 ** 30 }[parts[2] as string] ?? 1) : undefined;
}

export function percent(part: number, whole: number): number {
	return whole > 0 ? Math.max(0, Math.min(100, part * 100 / whole)) : 0;
}

/** A time of the API: Unix seconds, or ISO 8601. */
export function toDate(when: unknown): Date | undefined {
	const date = typeof when === "number" ? new Date(when * 1000) :
		typeof when === "string" ? new Date(when) : undefined;
	return date && !Number.isNaN(date.getTime()) ? date : undefined;
}

export function moment(when: unknown): string {
	const date = toDate(when);
	if (!date)
		return "–";
	const two = (n: number) => String(n).padStart(2, "0");
	return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ` +
		`${two(date.getHours())}:${two(date.getMinutes())}`;
}

export function clock(when: unknown): string {
	const date = toDate(when);
	return date ? date.toLocaleTimeString("en-GB") : "–";
}

/* Controls; marks that turn the direction of what follows, or join and hide; lone surrogates. */
const HIDDEN = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

/** Text of others with what cannot be seen made visible, so that no name looks like another. */
export function visible(text: string): string {
	return text.replace(HIDDEN, (c) => `⟨U+${c.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`);
}
