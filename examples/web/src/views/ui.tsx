// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// What all views are made of.
import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useReducer, useRef, useState } from "preact/hooks";
import { visible } from "../format.ts";
import { T } from "../words.ts";

const REDRAW_MS = 100;

/** Draws again when the thing says that it has changed, ten times a second at most. */
export function useChanges(...things: ({ changed: Set<() => void> } | undefined)[]): void {
	const [, draw] = useReducer<number, void>((n) => n + 1, 0);
	useEffect(() => {
		let timer: ReturnType<typeof setTimeout> | undefined, last = 0;
		const changed = () => {
			timer ??= setTimeout(() => {
				timer = undefined;
				last = performance.now();
				draw();
			}, Math.max(0, last + REDRAW_MS - performance.now()));
		};
		things.forEach((thing) => thing?.changed.add(changed));
		/* What has changed since this was drawn, and before anybody listened. */
		changed();
		return () => {
			clearTimeout(timer);
			things.forEach((thing) => thing?.changed.delete(changed));
		};
	}, things);
}

/** Draws again each second. */
export function useClock(): void {
	const [, draw] = useReducer<number, void>((n) => n + 1, 0);
	useEffect(() => {
		const timer = setInterval(() => draw(), 1000);
		return () => clearInterval(timer);
	}, []);
}

export function useNarrow(): boolean {
	const query = matchMedia("(max-width: 760px)");
	const [narrow, set] = useState(query.matches);
	useEffect(() => {
		const change = () => set(query.matches);
		query.addEventListener("change", change);
		return () => query.removeEventListener("change", change);
	}, []);
	return narrow;
}

const ICONS = {
	up: "M12 19V5m0 0-6 6m6-6 6 6", down: "M12 5v14m0 0 6-6m-6 6-6-6", pause: "M9 5v14M15 5v14", play: "M7 5l12 7-12 7z",
	close: "M6 6l12 12M18 6 6 18", check: "M5 13l4 4L19 7", warn: "M12 8v5m0 3.5v.01M12 3 2.5 20h19z", again: "M4 12a8 8 0 1 1 2.3 5.6M4 12V6m0 6h6",
	file: "M7 3h7l5 5v13H7zM14 3v5h5", folder: "M3 6h6l2 2h10v11H3z", clock: "M12 7v5l3 2m6-2a9 9 0 1 1-18 0 9 9 0 0 1 18 0z",
	trash: "M4 7h16M9 7V4h6v3m-8 0 1 13h8l1-13", info: "M12 11v6m0-9.5v.01M21 12a9 9 0 1 1-18 0 9 9 0 0 1 18 0z", out: "M14 4h5v16h-5M4 12h11m0 0-4-4m4 4-4 4",
	search: "M20 20l-4.5-4.5M17 10.5a6.5 6.5 0 1 1-13 0 6.5 6.5 0 0 1 13 0z", console: "M4 5h16v14H4zM7 10l3 2.5L7 15m5 0h4",
};
export type IconName = keyof typeof ICONS;

export function Icon({ name, class: extra = "" }: { name: IconName; class?: string }) {
	return <svg class={`icon ${extra}`} viewBox="0 0 24 24" aria-hidden="true" focusable="false"><path d={ICONS[name]} /></svg>;
}

/** Text that others have chosen: shown as it is, its direction its own, what hides made visible. */
export function Name({ text, class: extra = "", full = false }: { text: string; class?: string; full?: boolean }) {
	const shown = visible(text);
	return <bdi class={`name ${full ? "" : "cut"} ${extra}`} title={full ? undefined : shown}>{shown}</bdi>;
}

export function IconButton({ icon, label, onClick, danger = false, disabled = false }:
	{ icon: IconName; label: string; onClick: () => void; danger?: boolean; disabled?: boolean }) {
	return <button type="button" class={`icon-button ${danger ? "danger" : ""}`} aria-label={label} title={label} onClick={onClick} disabled={disabled}>
		<Icon name={icon} />
	</button>;
}

export function Bar({ value, label, tone = "" }: { value: number; label: string; tone?: string }) {
	return <div class={`bar ${tone}`} role="progressbar" aria-label={label} aria-valuemin={0} aria-valuemax={100} aria-valuenow={Math.floor(value)}>
		<div style={{ width: `${value}%` }} />
	</div>;
}

export function Pill({ tone, children }: { tone: string; children: ComponentChildren }) {
	return <span class={`pill ${tone}`}>{children}</span>;
}

export function Empty({ icon, children }: { icon: IconName; children: ComponentChildren }) {
	return <div class="empty"><Icon name={icon} /><p>{children}</p></div>;
}

export function Notice({ tone = "info", children }: { tone?: "info" | "warn" | "bad"; children: ComponentChildren }) {
	return <div class={`notice ${tone}`} role={tone === "info" ? "status" : "alert"}><Icon name={tone === "info" ? "info" : "warn"} /><div>{children}</div></div>;
}

/** Rows of one height, of which only those in sight exist. */
export function VirtualList<Row>({ rows, height, row, keyOf, label, columns, more }: {
	rows: readonly Row[]; height: number; row: (one: Row, at: number) => ComponentChildren; keyOf: (one: Row) => string | number;
	label: string; columns?: ComponentChildren; more?: (() => void) | undefined;
}) {
	const box = useRef<HTMLDivElement>(null);
	const [view, setView] = useState({ top: 0, tall: 800 });
	useLayoutEffect(() => {
		const element = box.current;
		if (!element)
			return;
		const measure = () => setView({ top: element.scrollTop, tall: element.clientHeight });
		measure();
		const observer = new ResizeObserver(measure);
		observer.observe(element);
		element.addEventListener("scroll", measure, { passive: true });
		return () => {
			observer.disconnect();
			element.removeEventListener("scroll", measure);
		};
	}, []);
	const first = Math.max(0, Math.min(rows.length, Math.floor(view.top / height) - 6));
	const last = Math.min(rows.length, Math.ceil((view.top + view.tall) / height) + 6);
	useEffect(() => {
		if (more && rows.length > 0 && last >= rows.length)
			more();
	}, [last, rows.length]);
	const table = columns !== undefined;
	return <div class="list" role={table ? "table" : undefined} aria-label={table ? label : undefined} aria-rowcount={table ? rows.length + 1 : undefined}>
		{table && <div role="rowgroup" class="head">{columns}</div>}
		<div class="scroll" ref={box} tabIndex={0} role={table ? "rowgroup" : "region"} aria-label={table ? undefined : label}>
			<div class="inner" role={table ? "presentation" : "list"} style={{ height: `${rows.length * height}px` }}>
				{rows.slice(first, last).map((one, n) =>
					<div key={keyOf(one)} class="slot" role={table ? "row" : "listitem"} aria-rowindex={table ? first + n + 2 : undefined}
						aria-setsize={table ? undefined : rows.length} aria-posinset={table ? undefined : first + n + 1}
						style={{ transform: `translateY(${(first + n) * height}px)`, height: `${height}px` }}>
						{row(one, first + n)}
					</div>)}
			</div>
		</div>
	</div>;
}

/** A dialog of the browser's own: it keeps the focus, and Escape closes it. */
export function Dialog({ title, onClose, children, actions }: { title: string; onClose: () => void; children: ComponentChildren; actions?: ComponentChildren }) {
	const box = useRef<HTMLDialogElement>(null);
	useEffect(() => {
		const before = document.activeElement as HTMLElement | null;
		box.current?.showModal();
		return () => before?.focus?.();
	}, []);
	return <dialog ref={box} aria-labelledby="dialog-title" onCancel={(event) => { event.preventDefault(); onClose(); }}
		onClick={(event) => { if (event.target === box.current) onClose(); }}>
		<div class="dialog">
			<header><h2 id="dialog-title">{title}</h2><IconButton icon="close" label={T.console.close} onClick={onClose} /></header>
			<div class="dialog-body">{children}</div>
			{actions && <footer>{actions}</footer>}
		</div>
	</dialog>;
}

export function Confirm({ title, text, name, action, onClose, onConfirm }: {
	title: string; text: string; name?: ComponentChildren; action: string; onClose: () => void; onConfirm: () => void;
}) {
	return <Dialog title={title} onClose={onClose} actions={<>
		<button type="button" class="button" onClick={onClose}>{T.console.cancel}</button>
		<button type="button" class="button danger" onClick={() => { onClose(); onConfirm(); }}>{action}</button>
	</>}>
		{name && <p class="subject">{name}</p>}
		<p>{text}</p>
	</Dialog>;
}

/* One line that comes and goes, and is read aloud. */
let say: (text: string, tone?: "good" | "bad") => void = () => undefined;
export const toast: typeof say = (text, tone) => say(text, tone);

export function Toasts() {
	const [shown, show] = useState<{ text: string; tone: string } | undefined>();
	useEffect(() => {
		let timer: ReturnType<typeof setTimeout> | undefined;
		say = (text, tone = "good") => {
			clearTimeout(timer);
			show({ text, tone });
			timer = setTimeout(() => show(undefined), 6000);
		};
		return () => clearTimeout(timer);
	}, []);
	return <div class="toasts" role="status" aria-live="polite">{shown && <div class={`toast ${shown.tone}`}>{visible(shown.text)}</div>}</div>;
}
