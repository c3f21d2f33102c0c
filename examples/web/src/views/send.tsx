// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
import { useEffect, useRef, useState } from "preact/hooks";
import * as format from "../format.ts";
import type { Session } from "../session.ts";
import type { Upload } from "../upload/uploader.ts";
import { T } from "../words.ts";
import { Bar, Empty, Icon, IconButton, Name, Notice, VirtualList, useChanges, useClock, useNarrow } from "./ui.tsx";

interface Picked {
	file: File;
	path: string;
}

/** Files of what was dropped, folders with all that is below them. */
async function dropped(items: DataTransferItemList): Promise<Picked[]> {
	const found: Picked[] = [];
	const entries = [...items].filter((item) => item.kind === "file").map((item) => ({ entry: item.webkitGetAsEntry(), file: item.getAsFile() }));
	const walk = async (entry: FileSystemEntry): Promise<void> => {
		if (entry.isFile) {
			const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
			const path = entry.fullPath.replace(/^\//, "");
			found.push({ file, path: path.includes("/") ? path : "" });
			return;
		}
		const reader = (entry as FileSystemDirectoryEntry).createReader();
		for (;;) {
			/* Some at a time, until there are no more. */
			const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
			if (some.length === 0)
				return;
			for (const one of some)
				await walk(one);
		}
	};
	for (const { entry, file } of entries) {
		if (entry)
			await walk(entry);
		else if (file)
			found.push({ file, path: "" });
	}
	return found;
}

function picked(files: FileList | null): Picked[] {
	return [...files ?? []].map((file) => ({ file, path: file.webkitRelativePath.includes("/") ? file.webkitRelativePath : "" }));
}

export function Send({ session }: { session: Session }) {
	const { uploader, rights } = session;
	useChanges(uploader, session, session.link);
	useClock();
	const narrow = useNarrow();
	const [over, setOver] = useState(false);
	const files = useRef<HTMLInputElement>(null), folder = useRef<HTMLInputElement>(null);
	useEffect(() => {
		folder.current?.setAttribute("webkitdirectory", "");
		const leave = (event: BeforeUnloadEvent) => {
			if (uploader.busy)
				event.preventDefault();
		};
		addEventListener("beforeunload", leave);
		return () => removeEventListener("beforeunload", leave);
	}, []);
	const take = (input: HTMLInputElement) => {
		uploader.add(picked(input.files));
		input.value = "";
	};
	const drop = async (event: DragEvent) => {
		event.preventDefault();
		setOver(false);
		if (event.dataTransfer)
			uploader.add(await dropped(event.dataTransfer.items));
	};
	const items = uploader.items;
	return <main class="page" id="content" tabIndex={-1}>
		<h1 class="hidden">{T.send.heading}</h1>
		{rights.upload === "no" && <Notice tone="bad">{T.rights.noUpload}</Notice>}
		{rights.upload === "silent" && <Notice tone="bad">{T.rights.noUploadAnswer}</Notice>}
		{rights.upload !== "no" && <section class={`dropzone ${over ? "over" : ""}`} aria-label={T.send.drop}
			onDragOver={(event) => { event.preventDefault(); setOver(true); }} onDragLeave={() => setOver(false)} onDrop={(event) => void drop(event)}>
			<Icon name="up" class="large" />
			<p class="lead">{T.send.drop}</p>
			<div class="row center">
				<button type="button" class="button primary" onClick={() => files.current?.click()}><Icon name="file" />{T.send.files}</button>
				<button type="button" class="button" onClick={() => folder.current?.click()}><Icon name="folder" />{T.send.folder}</button>
			</div>
			<p class="muted small">{T.send.note}</p>
			<input ref={files} type="file" multiple hidden data-pick="files" aria-label={T.send.files} onChange={(event) => take(event.currentTarget)} />
			<input ref={folder} type="file" multiple hidden data-pick="folder" aria-label={T.send.folder} onChange={(event) => take(event.currentTarget)} />
		</section>}
		{uploader.unfinished.length > 0 && <section class="card interrupted">
			<h2>{T.send.unfinished(uploader.unfinished.length)}</h2>
			<p class="muted">{T.send.unfinishedHelp}</p>
			<ul>{uploader.unfinished.map((one) => <li key={one.id}>
				<Name text={one.path || one.name} /><span class="muted figure">{format.bytes(one.size)}</span>
				<span class="muted figure">{T.send.held(Math.floor(format.percent(one.held, one.size)))}</span>
				<IconButton icon="close" label={`${T.send.forget}: ${format.visible(one.name)}`} onClick={() => uploader.forget(one.id)} />
			</li>)}</ul>
		</section>}
		{items.length > 0 && <Overall session={session} />}
		{items.length > 0 ? <div class="card flush grow">
			<VirtualList rows={items} height={narrow ? 108 : 78} keyOf={(item) => item.key} label={T.send.heading}
				row={(item) => <Row item={item} session={session} />} />
		</div> : rights.upload === "yes" && <Empty icon="up">{T.send.empty}</Empty>}
	</main>;
}

function Overall({ session: { uploader } }: { session: Session }) {
	const items = uploader.items;
	const counted = items.filter((item) => item.state !== "failed");
	const size = counted.reduce((sum, item) => sum + item.size, 0), held = counted.reduce((sum, item) => sum + item.held, 0);
	const done = items.filter((item) => item.state === "done").length;
	const left = uploader.rate > 0 && uploader.busy ? (size - held) / uploader.rate : NaN;
	const anyPaused = items.some((item) => item.state === "paused");
	return <section class="overall" aria-label={T.send.overall(done, items.length)}>
		<div class="row spread">
			<p class="figures"><strong>{T.send.overall(done, items.length)}</strong>
				<span class="muted">{format.bytes(held)} / {format.bytes(size)}</span>
				{uploader.busy && <span class="muted">{format.rate(uploader.rate)}</span>}
				{Number.isFinite(left) && <span class="muted">{T.send.left(format.duration(left))}</span>}</p>
			<div class="row">
				{uploader.busy && <button type="button" class="button small" onClick={() => uploader.pauseAll()}><Icon name="pause" />{T.send.pauseAll}</button>}
				{anyPaused && <button type="button" class="button small" onClick={() => uploader.resumeAll()}><Icon name="play" />{T.send.resumeAll}</button>}
				{done > 0 && <button type="button" class="button small" onClick={() => uploader.clear()}>{T.send.clear}</button>}
			</div>
		</div>
		<Bar value={size > 0 ? format.percent(held, size) : done === items.length ? 100 : 0} label={T.send.overall(done, items.length)} />
	</section>;
}

const TONES: Record<string, string> = { done: "good", failed: "bad", waiting: "warn", link: "warn", paused: "quiet" };

function Row({ item, session: { uploader } }: { item: Upload; session: Session }) {
	const tone = TONES[item.state] ?? "";
	const name = format.visible(item.name);
	const left = item.rate > 0 ? T.send.left(format.duration((item.size - item.held) / item.rate)) : "";
	const seconds = Math.max(0, Math.ceil((item.retryAt - Date.now()) / 1000));
	const says = item.state === "waiting" ? `${item.message} ${T.send.again(seconds)}` :
		item.state === "failed" ? item.message : item.state === "done" && item.hadAlready ? T.send.had : T.send.state[item.state];
	return <div class={`upload ${tone}`} data-state={item.state}>
		<Icon name={item.state === "done" ? "check" : item.state === "failed" ? "warn" : item.state === "paused" ? "pause" : "file"} class={`badge ${tone}`} />
		<div class="what">
			<div class="line"><Name text={item.path || item.name} class="strong" /><span class="muted figure">{format.bytes(item.size)}</span></div>
			<Bar value={item.state === "done" ? 100 : format.percent(item.held, item.size)} label={T.send.progress(name)} tone={tone} />
			<div class="line"><span class={`says ${tone}`} title={says}>{says}</span>
				{item.state === "sending" && <span class="muted figure">{[item.rate > 0 ? format.rate(item.rate) : "", left].filter(Boolean).join(" · ")}</span>}
				{item.state !== "done" && item.state !== "failed" && item.state !== "queued" && <span class="muted figure">{Math.floor(format.percent(item.held, item.size))} %</span>}</div>
		</div>
		<div class="actions">
			{item.state === "paused" && <IconButton icon="play" label={`${T.send.resume}: ${name}`} onClick={() => uploader.resume(item)} />}
			{item.state === "failed" && <IconButton icon="again" label={`${T.send.retry}: ${name}`} onClick={() => uploader.resume(item)} />}
			{!["paused", "failed", "done"].includes(item.state) && <IconButton icon="pause" label={`${T.send.pause}: ${name}`} onClick={() => uploader.pause(item)} />}
			<IconButton icon="close" label={`${item.state === "done" ? T.send.remove : T.send.cancel}: ${name}`} onClick={() => uploader.cancel(item)} />
		</div>
	</div>;
}
