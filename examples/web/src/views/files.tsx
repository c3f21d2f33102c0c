// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
import { useEffect, useState } from "preact/hooks";
import type { Data, StoredFile } from "../console/admin.ts";
import type { ConsoleModel, FileFilter } from "../console/model.ts";
import * as format from "../format.ts";
import type { Session } from "../session.ts";
import { T } from "../words.ts";
import { act } from "./console.tsx";
import { OfferRow } from "./get.tsx";
import { Facts } from "./transfers.tsx";
import { Confirm, Dialog, Empty, Icon, IconButton, Name, VirtualList, toast, useChanges, useNarrow } from "./ui.tsx";

const C = T.console;
const NOTHING: FileFilter = { name: "", client: "", since: "", until: "", sort: "time" };
type Order = FileFilter["sort"];

export function Files({ session, model }: { session: Session; model: ConsoleModel }) {
	useChanges(session.downloader);
	const narrow = useNarrow();
	const [filter, setFilter] = useState<FileFilter>(NOTHING);
	/* What the list that is shown was asked by. */
	const [shown, show] = useState<FileFilter>(NOTHING);
	const search = (wanted: FileFilter) => {
		show(wanted);
		void model.loadFiles(wanted);
	};
	const [asked, ask] = useState<{ remove?: StoredFile; details?: StoredFile } | undefined>();
	useEffect(() => void model.loadFiles(NOTHING), [model]);
	const rows = model.files;
	const head = (key: Order, text: string, kind = "") => <div role="columnheader" class={kind} aria-sort={shown.sort === key ? key === "name" ? "ascending" : "descending" : "none"}>
		<button type="button" class={shown.sort === key ? "sorted" : ""} onClick={() => search({ ...shown, sort: key })}>{text}</button></div>;
	const field = (key: Exclude<keyof FileFilter, "sort">, label: string, type: "search" | "date", placeholder = "") => <label class="field">{label}
		<input {...{ type } as { type: "search" }} value={filter[key]} placeholder={placeholder} onInput={(event) => setFilter({ ...filter, [key]: event.currentTarget.value })} /></label>;
	const more = model.filesCursor ? () => { if (model.filesState === "loaded") void model.moreFiles(); } : undefined;
	return <>
		<form class="filters" onSubmit={(event) => { event.preventDefault(); search({ ...filter, sort: shown.sort }); }}>
			{field("name", C.fileSearch.name, "search", C.fileSearch.namePlaceholder)}
			{field("client", C.fileSearch.client, "search")}
			{field("since", C.fileSearch.since, "date")}
			{field("until", C.fileSearch.until, "date")}
			<div class="row end-row">
				<button type="submit" class="button primary"><Icon name="search" />{C.fileSearch.submit}</button>
				<button type="button" class="button" onClick={() => { setFilter(NOTHING); search({ ...NOTHING }); }}>{C.fileSearch.reset}</button>
			</div>
		</form>
		{session.downloader.stored.length > 0 && <ul class="card flush fetched" aria-label={C.fetched}>
			{session.downloader.stored.map((offer) => <li key={offer.path}><OfferRow offer={offer} session={session} /></li>)}</ul>}
		{rows.length === 0 ? <Empty icon="file">{model.filesState !== "loaded" ? C.loading : C.noFiles}</Empty> : <>
			<div class="card flush grow"><VirtualList rows={rows} height={narrow ? 80 : 48} keyOf={(f) => f.key} label={T.consoleTabs.files} more={more}
				columns={<div role="row" class="stored columns">{head("name", C.columns.name)}<div role="columnheader">{C.columns.client}</div>{head("size", C.columns.size, "end")}{head("time", C.columns.completed, "end")}
					<div role="columnheader"><span class="hidden">{C.columns.actions}</span></div></div>}
				row={(f) => <div class="stored" role="presentation" data-file={f.file}>
					<div role="cell" class="c-name"><button type="button" class="plain" onClick={() => ask({ details: f })}><Name text={f.name} class="strong" /></button></div>
					<div role="cell" class="c-client"><Name text={f.client} /></div>
					<div role="cell" class="end figure">{format.bytes(f.size)}</div>
					<div role="cell" class="c-when end figure muted">{format.moment(f.completed)}</div>
					<div role="cell" class="actions">
						<IconButton icon="info" label={`${C.details}: ${format.visible(f.name)}`} onClick={() => ask({ details: f })} />
						<IconButton icon="trash" danger label={`${C.delete}: ${format.visible(f.name)}`} onClick={() => ask({ remove: f })} />
					</div>
				</div>} /></div>
			<div class="row spread"><span class="muted small">{format.count(rows.length)}{model.filesCursor ? "+" : ""} · {C.sorted[shown.sort]}</span>
				{more && <button type="button" class="button small" onClick={more} disabled={model.filesState === "loading"}>{C.more}</button>}</div>
		</>}
		{asked?.remove && <Confirm title={C.deleteTitle} text={C.deleteText} action={C.confirmDelete} onClose={() => ask(undefined)}
			name={<><Name text={asked.remove.name} full /> · <Name text={asked.remove.client} full /></>}
			onConfirm={() => {
				const file = asked.remove as StoredFile;
				void act(model, C.deleted(file.name), () => model.admin.do("deleteFile", file.names)).then((done) => done && model.removeFile(file.key));
			}} />}
		{asked?.details && <Details session={session} model={model} file={asked.details} onClose={() => ask(undefined)} onDelete={() => ask({ remove: asked.details as StoredFile })} />}
	</>;
}

function Details({ session, model, file, onClose, onDelete }: { session: Session; model: ConsoleModel; file: StoredFile; onClose: () => void; onDelete: () => void }) {
	const [data, setData] = useState<Data | undefined>();
	useEffect(() => void model.admin.do("getFile", file.names).then(setData, () => undefined), []);
	const fetches = session.offersFiles && session.rights.download === "yes";
	const copy = (text: string) => {
		/* Only where the page came over https, or from this machine. */
		void navigator.clipboard?.writeText(text).then(() => toast(C.detail.copied));
	};
	const copied = (text: string) => <span class="row"><Name text={text} full class="mono" />
		{window.isSecureContext && <button type="button" class="link" onClick={() => copy(text)}>{C.detail.copy}</button>}</span>;
	return <Dialog title={C.details} onClose={onClose} actions={<>
		<button type="button" class="button danger" onClick={onDelete}><Icon name="trash" />{C.delete}</button>
		{fetches && <button type="button" class="button primary" onClick={() => { void session.fetchStored(file); onClose(); }}><Icon name="down" />{C.download}</button>}
	</>}>
		<p class="subject"><Name text={file.name} full /></p>
		<Facts facts={[
			[C.columns.client, <Name text={file.client} full />], [C.detail.file, <Name text={file.file} full class="mono" />],
			[C.columns.size, `${format.bytes(file.size)} (${format.count(file.size)})`], [C.columns.completed, format.moment(file.completed)],
			[C.detail.expires, file.expires === undefined || file.expires === null ? C.detail.never : format.moment(file.expires)],
			[C.detail.sha, copied(file.sha256)],
			[C.detail.path, typeof data?.path === "string" ? copied(data.path) : "–"],
			[C.detail.present, data && data.present !== null ? data.present === false ? C.detail.no : C.detail.yes : "–"],
			[C.detail.transfer, <Name text={file.transfer} full class="mono" />],
			...(data?.user_data === undefined ? [] : [[C.detail.userData, <pre class="mono data">{format.visible(JSON.stringify(data.user_data, null, 2))}</pre>] as [string, preact.ComponentChildren]]),
		]} />
		{!fetches && <p class="muted small">{C.downloadNote}</p>}
	</Dialog>;
}
