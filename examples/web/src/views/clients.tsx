// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
import { useEffect, useState } from "preact/hooks";
import type { ClientRow } from "../console/admin.ts";
import type { ConsoleModel } from "../console/model.ts";
import * as format from "../format.ts";
import { T } from "../words.ts";
import { act } from "./console.tsx";
import { Limits } from "./limits.tsx";
import { Bar, Empty, Icon, IconButton, Name, Pill, VirtualList, useNarrow } from "./ui.tsx";

const C = T.console;
type Order = "client" | "transfers" | "rate" | "files" | "quota";
const held = (c: ClientRow) => c.received + c.fileBytes;
const ORDERS: Record<Order, (a: ClientRow, b: ClientRow) => number> = {
	client: (a, b) => a.client < b.client ? -1 : 1,
	transfers: (a, b) => b.received - a.received,
	rate: (a, b) => b.rate - a.rate,
	files: (a, b) => b.fileBytes - a.fileBytes,
	quota: (a, b) => format.percent(held(b), b.quota) - format.percent(held(a), a.quota),
};

export function Clients({ model }: { model: ConsoleModel }) {
	const narrow = useNarrow();
	const [filter, setFilter] = useState("");
	const [order, setOrder] = useState<Order>("client");
	const [shown, show] = useState<ClientRow | undefined>();
	useEffect(() => {
		/* Not for each letter: the broker looks at all that it has. */
		let stop = () => undefined as void;
		const timer = setTimeout(() => { stop = model.watchClients(filter); }, filter ? 300 : 0);
		return () => {
			clearTimeout(timer);
			stop();
		};
	}, [model, filter]);
	const rows = model.clients.sort(ORDERS[order]);
	const head = (key: Order, text: string, kind = "") => <div role="columnheader" class={kind} aria-sort={order === key ? key === "client" ? "ascending" : "descending" : "none"}>
		<button type="button" class={order === key ? "sorted" : ""} onClick={() => setOrder(key)}>{text}</button></div>;
	const pause = (c: ClientRow) => void act(model, c.paused ? C.resumed(c.client) : C.paused(c.client),
		() => model.admin.do(c.paused ? "resumeClient" : "pauseClient", c.names));
	const more = model.clientsCursor ? () => model.moreClients() : undefined;
	return <>
		<div class="row spread toolbar">
			<label class="search"><Icon name="search" /><span class="hidden">{C.fileSearch.client}</span>
				<input type="search" placeholder={C.fileSearch.client} value={filter} onInput={(event) => setFilter(event.currentTarget.value)} /></label>
			<span class="muted figure">{format.count(rows.length)}{more ? "+" : ""}</span>
		</div>
		{rows.length === 0 ? <Empty icon="console">{model.clientsState !== "loaded" ? C.loading : filter ? C.noMatch : C.noClients}</Empty> :
			<div class="card flush grow"><VirtualList rows={rows} height={narrow ? 80 : 48} keyOf={(c) => JSON.stringify(c.names)} label={T.consoleTabs.clients} more={more}
				columns={<div role="row" class="client columns">{head("client", C.columns.client)}{head("transfers", C.columns.used, "end")}{head("files", C.columns.files, "end")}{head("quota", C.columns.quota)}{head("rate", C.columns.rate, "end")}
					<div role="columnheader"><span class="hidden">{C.columns.actions}</span></div></div>}
				row={(c) => <div class="client" role="presentation" data-client={c.client}>
					<div role="cell" class="c-client"><button type="button" class="plain" onClick={() => show(c)}><Name text={c.client} class="strong" /></button>{c.paused && <Pill tone="warn">{C.states.paused}</Pill>}</div>
					<div role="cell" class="c-open end figure">{c.transfers > 0 ? `${format.count(c.transfers)} · ${format.bytes(c.received)}` : "–"}</div>
					<div role="cell" class="c-files end figure muted">{c.files > 0 ? `${format.count(c.files)} · ${format.bytes(c.fileBytes)}` : "–"}</div>
					<div role="cell" class="c-quota figure small">{c.quota > 0 ? <>
						<Bar value={format.percent(held(c), c.quota)} label={C.quotaUsed(format.visible(c.client))} tone={held(c) >= c.quota * 0.9 ? "bad" : ""} />
						<span class="muted">{C.quotaOf(format.bytes(held(c)), format.bytes(c.quota))}</span></> : <span class="muted">{C.limits.none}</span>}</div>
					<div role="cell" class="c-rate end figure">{c.rate > 0 ? format.rate(c.rate) : "–"}</div>
					<div role="cell" class="actions">
						<IconButton icon="info" label={`${C.limits.title}: ${format.visible(c.client)}`} onClick={() => show(c)} />
						<IconButton icon={c.paused ? "play" : "pause"} label={`${c.paused ? C.resume : C.pause}: ${format.visible(c.client)}`} onClick={() => pause(c)} />
					</div>
				</div>} /></div>}
		{shown && <Limits model={model} client={shown} onClose={() => show(undefined)} />}
	</>;
}
