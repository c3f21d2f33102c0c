// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
import { useEffect, useState } from "preact/hooks";
import type { Data, Transfer } from "../console/admin.ts";
import type { ConsoleModel } from "../console/model.ts";
import * as format from "../format.ts";
import { rangesOf } from "../upload/ranges.ts";
import { T } from "../words.ts";
import { act } from "./console.tsx";
import { Bar, Confirm, Dialog, Empty, Icon, IconButton, Name, Notice, Pill, VirtualList, useNarrow } from "./ui.tsx";

const C = T.console;

export function throughput(model: ConsoleModel): number {
	const last = model.samples.at(-1), before = model.samples.at(-2);
	if (!last || !before)
		return 0;
	const seconds = (last.at - before.at) / 1000;
	return seconds > 0 ? Math.max(0, ((last.metrics["bytes/received"] ?? 0) - (before.metrics["bytes/received"] ?? 0)) / seconds) : 0;
}

export function Tiles({ model }: { model: ConsoleModel }) {
	const status = model.status, metrics = model.samples.at(-1)?.metrics ?? {};
	const number = (value: unknown) => typeof value === "number" ? value : 0;
	const log = format.percent(number(status.log_fill), metrics["log/size"] ?? 0);
	const tiles: [string, string][] = [
		[C.tiles.active, format.count(number(status.transfers))],
		[C.tiles.rate, format.rate(throughput(model))],
		[C.tiles.finished, format.count(number(status.finished))],
		[C.tiles.free, "disk_left" in status ? format.bytes(number(status.disk_left)) : "–"],
		[C.tiles.log, `${Math.round(log)} %`],
	];
	return <dl class="tiles">{tiles.map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}</dl>;
}

type Order = "client_id" | "received" | "rate" | "idle" | "begun";
const ORDERS: Record<Order, (a: Transfer, b: Transfer) => number> = {
	client_id: (a, b) => a.client < b.client ? -1 : a.client > b.client ? 1 : 0,
	received: (a, b) => b.received - a.received,
	rate: (a, b) => b.rate - a.rate,
	idle: (a, b) => b.idle - a.idle,
	begun: (a, b) => a.begun - b.begun,
};

export function stateOf(transfer: Transfer): { text: string; tone: string } {
	if (transfer.paused)
		return { text: C.states.paused ?? "", tone: "warn" };
	return { text: C.states[transfer.state] ?? transfer.state, tone: transfer.state === "assembling" ? "info" : transfer.idle > 300 ? "quiet" : "good" };
}

export function Transfers({ model }: { model: ConsoleModel }) {
	const narrow = useNarrow();
	const [filter, setFilter] = useState("");
	const [order, setOrder] = useState<Order>("rate");
	const [asked, ask] = useState<{ abort?: Transfer; details?: Transfer; pauseAll?: true } | undefined>();
	const wanted = filter.toLowerCase();
	const rows = model.transfers.filter((t) => !wanted || t.client.toLowerCase().includes(wanted) || t.name.toLowerCase().includes(wanted)).sort(ORDERS[order]);
	const allPaused = model.status.all_paused === true;
	const head = (key: Order | undefined, text: string, kind = "") => <div role="columnheader" class={kind}
		aria-sort={key ? order === key ? "descending" : "none" : undefined}>
		{key ? <button type="button" class={order === key ? "sorted" : ""} onClick={() => setOrder(key)}>{text}</button> : text}</div>;
	const pause = (t: Transfer) => void act(model, t.paused ? C.resumed(t.name) : C.paused(t.name),
		() => model.admin.do(t.paused ? "resumeTransfer" : "pauseTransfer", t.names));
	return <>
		<Tiles model={model} />
		<div class="row spread toolbar">
			<label class="search"><Icon name="search" /><span class="hidden">{C.filter}</span>
				<input type="search" placeholder={C.filter} value={filter} onInput={(event) => setFilter(event.currentTarget.value)} /></label>
			<div class="row">
				<span class="muted figure">{C.shown(rows.length, model.transfers.length)}</span>
				{allPaused ? <button type="button" class="button small" onClick={() => void act(model, C.resumeAll, () => model.admin.do("resumeAll"))}><Icon name="play" />{C.resumeAll}</button> :
					<button type="button" class="button small" onClick={() => ask({ pauseAll: true })}><Icon name="pause" />{C.pauseAll}</button>}
			</div>
		</div>
		{allPaused && <Notice tone="warn">{C.allPaused}</Notice>}
		{rows.length === 0 ? <Empty icon="up">{model.readAt === 0 ? C.loading : filter ? C.noMatch : C.noTransfers}</Empty> :
			<div class="card flush grow"><VirtualList rows={rows} height={narrow ? 92 : 52} keyOf={(t) => t.key} label={T.consoleTabs.transfers}
				columns={<div role="row" class="transfer columns">{head("client_id", C.columns.client)}{head(undefined, C.columns.name)}{head("received", C.columns.progress)}
					{head("rate", C.columns.rate, "end")}{head("begun", C.columns.age, "end")}{head("idle", C.columns.news, "end")}<div role="columnheader"><span class="hidden">{C.columns.actions}</span></div></div>}
				row={(t) => <Row transfer={t} onPause={() => pause(t)} onAbort={() => ask({ abort: t })} onDetails={() => ask({ details: t })} />} /></div>}
		{asked?.abort && <Confirm title={C.abortTitle} text={C.abortText} action={C.confirmAbort} onClose={() => ask(undefined)}
			name={<><Name text={asked.abort.name} full /> · <Name text={asked.abort.client} full /></>}
			onConfirm={() => void act(model, C.aborted(asked.abort?.name ?? ""), () => model.admin.do("abortTransfer", asked.abort?.names))} />}
		{asked?.pauseAll && <Confirm title={C.pauseAllTitle} text={C.pauseAllText} action={C.confirmPause} onClose={() => ask(undefined)}
			onConfirm={() => void act(model, C.allPaused, () => model.admin.do("pauseAll"))} />}
		{asked?.details && <Details model={model} transfer={asked.details} onClose={() => ask(undefined)} />}
	</>;
}

function Row({ transfer: t, onPause, onAbort, onDetails }: { transfer: Transfer; onPause: () => void; onAbort: () => void; onDetails: () => void }) {
	const state = stateOf(t), name = format.visible(t.name);
	return <div class="transfer" role="presentation" data-client={t.client}>
		<div role="cell" class="c-client"><Name text={t.client} class="strong" /></div>
		<div role="cell" class="c-name"><button type="button" class="plain" onClick={onDetails}><Name text={t.name} /></button></div>
		<div role="cell" class="c-progress">
			{t.size !== undefined ? <Bar value={format.percent(t.received, t.size)} label={T.send.progress(name)} tone={t.paused ? "warn" : ""} /> : <div class="bar unknown" />}
			<span class="muted figure small">{format.bytes(t.received)}{t.size !== undefined && ` / ${format.bytes(t.size)}`}</span></div>
		<div role="cell" class="c-rate end figure">{t.paused ? <Pill tone="warn">{state.text}</Pill> : t.state === "assembling" ? <Pill tone="info">{state.text}</Pill> : t.rate > 0 ? format.rate(t.rate) : "–"}</div>
		<div role="cell" class="c-age end figure muted">{t.begun ? format.duration((Date.now() - t.begun) / 1000) : "–"}</div>
		<div role="cell" class="c-idle end figure muted">{C.ago(format.duration(t.idle))}</div>
		<div role="cell" class="actions">
			<IconButton icon={t.paused ? "play" : "pause"} label={`${t.paused ? C.resume : C.pause}: ${name}`} onClick={onPause} />
			<IconButton icon="close" danger label={`${C.abort}: ${name}`} onClick={onAbort} />
		</div>
	</div>;
}

export function Facts({ facts }: { facts: [string, preact.ComponentChildren][] }) {
	return <dl class="facts">{facts.map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}</dl>;
}

function Details({ model, transfer, onClose }: { model: ConsoleModel; transfer: Transfer; onClose: () => void }) {
	const [data, setData] = useState<Data | undefined>();
	useEffect(() => void model.admin.do("getTransfer", transfer.names).then(setData, () => undefined), []);
	const have = rangesOf(data?.have), size = transfer.size ?? have.reduce((end, [offset, length]) => Math.max(end, offset + length), 0);
	return <Dialog title={C.details} onClose={onClose}>
		<p class="subject"><Name text={transfer.name} full /></p>
		<svg class="ranges" viewBox="0 0 1000 10" preserveAspectRatio="none" role="img" aria-label={C.detail.ranges}>
			<rect class="empty-range" width="1000" height="10" />
			{size > 0 && have.map(([offset, length]) => <rect key={offset} x={offset * 1000 / size} width={Math.max(1, length * 1000 / size)} height="10" />)}
		</svg>
		<Facts facts={[
			[C.columns.client, <Name text={transfer.client} full />], [C.detail.file, <Name text={transfer.file} full class="mono" />],
			[C.detail.ranges, `${format.bytes(transfer.received)}${transfer.size === undefined ? "" : ` / ${format.bytes(transfer.size)}`}`],
			[C.detail.begun, format.moment(transfer.begun / 1000)], [C.columns.news, C.ago(format.duration(transfer.idle))],
			[C.detail.expiresIn, format.duration(transfer.expiresIn)], [C.columns.state, stateOf(transfer).text],
		]} />
	</Dialog>;
}
