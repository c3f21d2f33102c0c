// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
import type { ConsoleModel, Sample } from "../console/model.ts";
import * as format from "../format.ts";
import { T } from "../words.ts";
import { Chart, type Series } from "./chart.tsx";
import { Facts, Tiles } from "./transfers.tsx";
import { Bar, Name } from "./ui.tsx";

const H = T.console.health;

/** Growth of a counter per second, at each sample but the first. A broker's restart sets it to 0. */
function growth(samples: Sample[], key: string): number[] {
	return samples.slice(1).map((sample, n) => {
		const before = samples[n] as Sample, seconds = (sample.at - before.at) / 1000;
		const more = (sample.metrics[key] ?? 0) - (before.metrics[key] ?? 0);
		return seconds > 0 && more > 0 ? more / seconds : 0;
	});
}

function values(samples: Sample[], key: string): number[] {
	return samples.slice(1).map((sample) => sample.metrics[key] ?? 0);
}

export function Health({ model }: { model: ConsoleModel }) {
	const { samples, status } = model;
	const times = samples.slice(1).map((sample) => sample.at);
	const now = samples.at(-1)?.metrics ?? {};
	const number = (value: unknown) => typeof value === "number" ? value : 0;
	const refusals = Object.entries(now).filter(([key, value]) => key.startsWith("refusals/") && value > 0)
		.map(([key, value]) => ({ word: key.slice("refusals/".length), count: value })).sort((a, b) => b.count - a.count);
	const most = refusals[0]?.count ?? 1;
	const received: Series[] = [
		{ name: H.received, values: growth(samples, "bytes/received"), tone: "a" },
		{ name: H.downloads, values: growth(samples, "downloads/bytes"), tone: "b" }];
	const latency: Series[] = [
		{ name: H.p99, values: values(samples, "latency/fin/p99"), tone: "b" },
		{ name: H.p50, values: values(samples, "latency/fin/p50"), tone: "a" }];
	const free = number(status.disk_free), left = number(status.disk_left), logSize = now["log/size"] ?? 0;
	return <>
		<Tiles model={model} />
		<div class="panels">
			<section class="card"><Chart title={H.throughput} times={times} series={received} format={format.rate} /></section>
			<section class="card"><Chart title={H.latency} times={times} series={latency} format={format.microseconds} /></section>
			<section class="card">
				<h2>{H.refusals}</h2>
				{refusals.length === 0 ? <p class="muted">{H.noRefusals}</p> :
					<ul class="ranking">{refusals.slice(0, 8).map(({ word, count }) => <li key={word}>
						<Name text={word} class="mono" /><Bar value={count * 100 / most} label={word} tone="warn" /><span class="figure">{format.count(count)}</span></li>)}</ul>}
			</section>
			<section class="card">
				<h2>{H.disk}</h2>
				<ul class="ranking short">
					<li><span>{H.logFill}</span><Bar value={format.percent(now["log/fill"] ?? 0, logSize)} label={H.logFill} />
						<span class="figure">{format.bytes(now["log/fill"] ?? 0)} / {format.bytes(logSize)}</span></li>
					<li><span>{H.disk}</span><Chart title={`${H.disk} ${H.free}`} times={times} series={[{ name: H.free, values: values(samples, "disk/free"), tone: "a" }]} format={format.bytes} small />
						<span class="figure">{format.bytes(free)} {H.free}</span></li>
				</ul>
				<Facts facts={[
					[T.console.tiles.free, "disk_left" in status ? format.bytes(left) : "–"], [H.fsync, format.microseconds(now["latency/fsync/p99"] ?? 0)],
					[H.quota, format.bytes(now["quota/used"] ?? 0)], [H.memory, format.bytes(number(status.memory))],
					[H.version, String(status.version ?? "–")], [H.uptime, format.duration(number(status.uptime))],
				]} />
			</section>
		</div>
	</>;
}
