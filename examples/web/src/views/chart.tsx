// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Lines over time, in SVG.
import { T } from "../words.ts";

export interface Series {
	name: string;
	values: number[];
	tone: "a" | "b";
}

const WIDE = 600, TALL = 140;

/** A round figure at or above the largest value, so that the scale does not jump with each sample. */
export function ceiling(largest: number): number {
	if (largest <= 0)
		return 1;
	const power = 2 ** Math.ceil(Math.log2(largest * 1.05));
	return largest * 1.05 <= power * 0.75 ? power * 0.75 : power;
}

export function Chart({ title, times, series, format, small = false }:
	{ title: string; times: number[]; series: Series[]; format: (value: number) => string; small?: boolean }) {
	const top = ceiling(Math.max(0, ...series.flatMap((one) => one.values)));
	const tall = small ? 28 : TALL, first = times[0] ?? 0, span = Math.max(1, (times.at(-1) ?? 0) - first);
	const x = (at: number) => ((times[at] ?? 0) - first) * WIDE / span;
	const y = (value: number) => tall - 2 - value * (tall - 6) / top;
	const line = (one: Series) => one.values.map((value, at) => `${at ? "L" : "M"}${x(at).toFixed(1)} ${y(value).toFixed(1)}`).join("");
	const latest = series.map((one) => format(one.values.at(-1) ?? 0));
	const label = H(title, latest.join(", "));
	const picture = <svg class={`chart ${small ? "spark" : ""}`} viewBox={`0 0 ${WIDE} ${tall}`} preserveAspectRatio="none" role="img" aria-label={label}>
		{!small && [0.25, 0.5, 0.75].map((part) => <line key={part} class="grid" x1="0" x2={WIDE} y1={y(top * part)} y2={y(top * part)} />)}
		{!small && <line class="base" x1="0" x2={WIDE} y1={tall - 2} y2={tall - 2} />}
		{times.length > 1 && series.map((one) => <g key={one.name} class={`series ${one.tone}`}>
			<path class="area" d={`${line(one)}L${WIDE} ${tall - 2}L0 ${tall - 2}Z`} /><path class="line" d={line(one)} /></g>)}
	</svg>;
	if (small)
		return picture;
	return <figure>
		<figcaption><h2>{title}</h2>
			<div class="legend">{series.map((one, at) => <span key={one.name} class={one.tone}><i aria-hidden="true" />{one.name} <strong class="figure">{latest[at]}</strong></span>)}</div></figcaption>
		<div class="plot"><span class="scale figure">{format(top)}</span>{picture}</div>
		<p class="muted small axis"><span>{times.length > 1 ? T.console.health.minutes(Math.max(1, Math.round(span / 60_000))) : T.console.loading}</span><span>{T.console.health.now}</span></p>
	</figure>;
}

const H = T.console.health.chart;
