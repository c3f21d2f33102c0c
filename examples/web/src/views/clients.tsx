// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
import { useEffect, useState } from "preact/hooks";
import type { Data } from "../console/admin.ts";
import type { ClientRow, ConsoleModel } from "../console/model.ts";
import * as format from "../format.ts";
import { T } from "../words.ts";
import { act } from "./console.tsx";
import { Facts } from "./transfers.tsx";
import { Dialog, Empty, Icon, IconButton, Name, Pill, VirtualList, useNarrow } from "./ui.tsx";

const C = T.console;
type Order = "client" | "transfers" | "rate" | "files";
const ORDERS: Record<Order, (a: ClientRow, b: ClientRow) => number> = {
	client: (a, b) => a.client < b.client ? -1 : 1,
	transfers: (a, b) => b.received - a.received,
	rate: (a, b) => b.rate - a.rate,
	files: (a, b) => b.fileBytes - a.fileBytes,
};

export function Clients({ model }: { model: ConsoleModel }) {
	const narrow = useNarrow();
	const [filter, setFilter] = useState("");
	const [order, setOrder] = useState<Order>("rate");
	const [shown, show] = useState<ClientRow | undefined>();
	const wanted = filter.toLowerCase();
	const rows = model.clients.filter((c) => c.client.toLowerCase().includes(wanted)).sort(ORDERS[order]);
	const head = (key: Order, text: string, kind = "") => <div role="columnheader" class={kind} aria-sort={order === key ? key === "client" ? "ascending" : "descending" : "none"}>
		<button type="button" class={order === key ? "sorted" : ""} onClick={() => setOrder(key)}>{text}</button></div>;
	const pause = (c: ClientRow) => void act(model, c.paused ? C.resumed(c.client) : C.paused(c.client),
		() => model.admin.do(c.paused ? "resumeClient" : "pauseClient", c.names));
	return <>
		<div class="row spread toolbar">
			<label class="search"><Icon name="search" /><span class="hidden">{C.fileSearch.client}</span>
				<input type="search" placeholder={C.fileSearch.client} value={filter} onInput={(event) => setFilter(event.currentTarget.value)} /></label>
			<span class="muted figure">{format.count(rows.length)}</span>
		</div>
		{rows.length === 0 ? <Empty icon="console">{model.readAt === 0 ? C.loading : filter ? C.noMatch : C.noClients}</Empty> :
			<div class="card flush grow"><VirtualList rows={rows} height={narrow ? 80 : 48} keyOf={(c) => c.client} label={T.consoleTabs.clients}
				columns={<div role="row" class="client columns">{head("client", C.columns.client)}{head("transfers", C.columns.used, "end")}{head("files", C.columns.files, "end")}{head("rate", C.columns.rate, "end")}
					<div role="columnheader"><span class="hidden">{C.columns.actions}</span></div></div>}
				row={(c) => <div class="client" role="presentation" data-client={c.client}>
					<div role="cell" class="c-client"><button type="button" class="plain" onClick={() => show(c)}><Name text={c.client} class="strong" /></button>{c.paused && <Pill tone="warn">{C.states.paused}</Pill>}</div>
					<div role="cell" class="end figure">{c.transfers > 0 ? `${format.count(c.transfers)} · ${format.bytes(c.received)}` : "–"}</div>
					<div role="cell" class="c-files end figure muted">{c.files > 0 ? `${format.count(c.files)} · ${format.bytes(c.fileBytes)}` : "–"}</div>
					<div role="cell" class="end figure">{c.rate > 0 ? format.rate(c.rate) : "–"}</div>
					<div role="cell" class="actions">
						<IconButton icon="info" label={`${C.limits.title}: ${format.visible(c.client)}`} onClick={() => show(c)} />
						<IconButton icon={c.paused ? "play" : "pause"} label={`${c.paused ? C.resume : C.pause}: ${format.visible(c.client)}`} onClick={() => pause(c)} />
					</div>
				</div>} /></div>}
		<p class="muted small">{C.clientsNote}</p>
		{shown && <Limits model={model} client={shown} onClose={() => show(undefined)} />}
	</>;
}

/* Limits that are not bytes. */
const COUNTS = new Set(["client_rate", "max_transfers_per_client"]);

function Limits({ model, client, onClose }: { model: ConsoleModel; client: ClientRow; onClose: () => void }) {
	const [data, setData] = useState<Data | undefined>();
	useEffect(() => void model.admin.do("getLimits", client.names).then(setData, () => undefined), []);
	const value = (key: string) => {
		const limit = data?.[key];
		if (typeof limit !== "number")
			return C.limits.none;
		return COUNTS.has(key) ? format.count(limit) : key.endsWith("bandwidth") ? format.rate(limit) : format.bytes(limit);
	};
	return <Dialog title={C.limits.title} onClose={onClose} actions={
		<button type="button" class="button" onClick={() => void act(model, C.limits.reloaded, () => model.admin.do("reloadLimits"))}><Icon name="again" />{C.limits.reload}</button>}>
		<p class="subject"><Name text={client.client} full />{data?.overridden === true && <Pill tone="info">{C.limits.overridden}</Pill>}</p>
		<Facts facts={[
			...Object.entries(C.limits.names).map(([key, name]): [string, string] => [name, data ? value(key) : "–"]),
			[C.limits.used, typeof data?.storage_used === "number" ? format.bytes(data.storage_used) : "–"],
		]} />
		<p class="muted small">{C.limits.change}</p>
	</Dialog>;
}
