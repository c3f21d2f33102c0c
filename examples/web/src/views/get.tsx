// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
import { useState } from "preact/hooks";
import type { Download, Offer } from "../download/downloader.ts";
import { BLOB_MAX, canStream } from "../download/sink.ts";
import * as format from "../format.ts";
import type { Session } from "../session.ts";
import { T } from "../words.ts";
import { Bar, Empty, Icon, IconButton, Name, Notice, VirtualList, useChanges, useNarrow } from "./ui.tsx";

export function Get({ session }: { session: Session }) {
	const { downloader, rights } = session;
	useChanges(downloader, session);
	const narrow = useNarrow();
	const [search, setSearch] = useState("");
	const wanted = search.toLowerCase();
	const shown = downloader.offers.filter((offer) => offer.path.toLowerCase().includes(wanted));
	if (rights.download === "no" || (rights.download === "silent" && !downloader.listed))
		return <main class="page" id="content" tabIndex={-1}><h1 class="hidden">{T.get.heading}</h1>
			<Notice tone={rights.download === "no" ? "bad" : "info"}>{rights.download === "no" ? T.rights.noDownload : T.rights.noDownloadAnswer}</Notice></main>;
	return <main class="page" id="content" tabIndex={-1}>
		<h1 class="hidden">{T.get.heading}</h1>
		<div class="row spread toolbar">
			<label class="search"><Icon name="search" /><span class="hidden">{T.get.search}</span>
				<input type="search" placeholder={T.get.search} value={search} onInput={(event) => {
					setSearch(event.currentTarget.value);
					if (downloader.truncated)
						void downloader.list(event.currentTarget.value).catch(() => undefined);
				}} /></label>
			<span class="muted">{downloader.listed && T.get.count(shown.length)}</span>
		</div>
		{downloader.truncated && <Notice>{T.get.more}</Notice>}
		{shown.length > 0 ? <div class="card flush grow">
			<VirtualList rows={shown} height={narrow ? 92 : 76} keyOf={(offer) => offer.path} label={T.get.heading}
				row={(offer) => <OfferRow offer={offer} session={session} />} />
		</div> : <Empty icon="down">{!downloader.listed ? T.console.loading : search ? T.get.none : T.get.empty}</Empty>}
		{!canStream() && shown.length > 0 && <p class="muted small">{T.get.bound(format.bytes(BLOB_MAX))}</p>}
	</main>;
}

function metaText(meta: Record<string, unknown> | undefined): string {
	return Object.entries(meta ?? {}).slice(0, 4).map(([key, value]) => `${key} ${typeof value === "object" ? JSON.stringify(value) : String(value)}`).join(" · ");
}

export function OfferRow({ offer, session: { downloader } }: { offer: Offer; session: Session }) {
	const found = downloader.downloads.get(offer.path);
	const download = found && (found.sha256 === offer.sha256 || (found.state !== "done" && found.state !== "failed")) ? found : undefined;
	const name = format.visible(offer.title ?? offer.path);
	const meta = metaText(offer.meta);
	const tone = download?.state === "done" ? "good" : download?.state === "failed" ? "bad" : "";
	return <div class={`upload ${tone}`} data-state={download?.state ?? "idle"}>
		<Icon name={download?.state === "done" ? "check" : download?.state === "failed" ? "warn" : "file"} class={`badge ${tone}`} />
		<div class="what">
			<div class="line"><Name text={offer.title ?? offer.path} class="strong" /><span class="muted figure">{format.bytes(offer.size)}</span></div>
			{download && download.state !== "done" && download.state !== "failed" &&
				<Bar value={format.percent(download.got, download.size)} label={T.send.progress(name)} />}
			<div class="line">{download ? <Says download={download} /> :
				<span class="muted says">{[format.moment(offer.modified), meta && format.visible(meta)].filter(Boolean).join(" · ")}</span>}
				<span class="muted figure mono wide-only" title={`${T.get.checksum} ${offer.sha256}`}>{offer.sha256.slice(0, 12)}</span></div>
		</div>
		<div class="actions">
			{!download || download.state === "done" || download.state === "failed" ? offer.title === undefined &&
				<button type="button" class="button small" onClick={() => void downloader.fetch(offer)} aria-label={`${T.get.download}: ${name}`}>
					<Icon name="down" /><span class="wide-only">{download?.state === "failed" ? T.get.retry : download ? T.get.again : T.get.download}</span></button> : <>
				{download.state === "paused" ? <IconButton icon="play" label={`${T.get.resume}: ${name}`} onClick={() => downloader.resume(download)} /> :
					<IconButton icon="pause" label={`${T.get.pause}: ${name}`} onClick={() => downloader.pause(download)} />}
				<IconButton icon="close" label={`${T.get.cancel}: ${name}`} onClick={() => downloader.cancel(download)} />
			</>}
		</div>
	</div>;
}

function Says({ download }: { download: Download }) {
	const { state } = download;
	const tone = state === "done" ? "good" : state === "failed" ? "bad" : state === "waiting" || state === "link" ? "warn" : "";
	const left = download.rate > 0 && state === "getting" ? T.send.left(format.duration((download.size - download.got) / download.rate)) : "";
	return <><span class={`says ${tone}`} title={download.message || undefined}>{download.message || (state === "idle" ? "" : T.get.state[state])}</span>
		{state === "getting" && <span class="muted figure">{[format.rate(download.rate), left].filter(Boolean).join(" · ")}</span>}</>;
}
