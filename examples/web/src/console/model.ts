// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// What the console shows, asked again and again while somebody looks at it: the next round begins some
// time after the one before has ended, so that a slow broker is asked less.
import { Connection, parseObject } from "../connection.ts";
import { Admin, AdminError, clientOf, fileOf, ownerOf, transferOf, type ClientRow, type Data, type StoredFile, type Transfer } from "./admin.ts";

export interface Sample {
	at: number;
	metrics: Record<string, number>;
}

export interface FleetEvent {
	key: number;
	at: string;
	type: string;
	all: Data;
}

const ROUND_MS = 2000;
/** For each so many transfers a round waits ROUND_MS longer: 10,000 of them are 10 messages. */
const ROUND_MORE = 5000;
const PAGE = 1000;
const PAGES_MAX = 50;
/** For what looks at all that there is. */
const PATIENCE_MS = 60_000;
const SAMPLES = 300;
const EVENTS = 500;
/** The broker looks at all finished files for each page of clients: it gets so many times longer to rest. */
const CLIENTS_REST = 10;
const CLIENTS_REST_MIN_MS = 5000;

export interface FileFilter {
	name: string;
	client: string;
	since: string;
	until: string;
	sort: "time" | "name" | "size";
}

export class ConsoleModel {
	transfers: Transfer[] = [];
	status: Data = {};
	samples: Sample[] = [];
	events: FleetEvent[] = [];
	eventsDenied = false;
	clientPauses = new Map<string, Data>();
	files: StoredFile[] = [];
	filesCursor: unknown;
	filesState: "idle" | "loading" | "loaded" = "idle";
	clientsCursor: unknown;
	clientsState: "idle" | "loading" | "loaded" = "idle";
	error: AdminError | undefined;
	readAt = 0;
	readonly changed = new Set<() => void>();

	readonly admin: Admin;
	readonly #link: Connection;
	#watchers = 0;
	#round: ReturnType<typeof setTimeout> | undefined;
	#running = false;
	#serial = 0;
	#filter: FileFilter = { name: "", client: "", since: "", until: "", sort: "time" };
	#listed: ClientRow[] = [];
	#clientsPattern = "";
	#clientsPages = 0;
	#clientsDue_ms = Infinity;
	#clientsShown = false;

	constructor(link: Connection, admin: Admin) {
		this.#link = link;
		this.admin = admin;
		link.handle("$file-event/", (_topic, payload) => {
			const all = parseObject(payload);
			if (!all)
				return;
			const type = typeof all.type === "string" ? all.type : typeof all.event === "string" ? all.event : "";
			this.events = [{ key: ++this.#serial, at: typeof all.at === "string" ? all.at : new Date().toISOString(), type, all },
				...this.events].slice(0, EVENTS);
			this.tell();
		});
		void link.subscribe("$file-event/#").then((allowed) => {
			this.eventsDenied = !allowed;
			this.tell();
		});
	}

	/** Keeps asking until the returned function is called. */
	watch(): () => void {
		this.#watchers++;
		if (!this.#running)
			void this.#ask();
		return () => void this.#watchers--;
	}

	/** Asks now. */
	refresh(): void {
		if (!this.#running)
			void this.#ask();
	}

	tell(): void {
		for (const call of this.changed)
			call();
	}

	async loadFiles(filter: FileFilter): Promise<void> {
		this.#filter = filter;
		this.files = [];
		this.filesCursor = undefined;
		await this.moreFiles();
	}

	async moreFiles(): Promise<void> {
		const filter = this.#filter;
		const day = (text: string, end: number) => text ? { at: Math.floor(new Date(`${text}T00:00`).getTime() / 1000) + end } : undefined;
		const since = day(filter.since, 0), until = day(filter.until, 86399);
		/* A pattern, or a part of the name. */
		const name = filter.name && !/[*?[]/.test(filter.name) ? `*${filter.name}*` : filter.name;
		this.filesState = "loading";
		this.tell();
		try {
			const fresh: StoredFile[] = [];
			for (let page = 0; page < 10 && fresh.length < 200; page++) {
				const data = await this.admin.do("listFiles", {
					limit: 200, ...(filter.sort !== "time" ? { sort: filter.sort } : {}), ...(name ? { name } : {}), ...(filter.client ? { client_id: filter.client } : {}),
					...(since ? { since: since.at } : {}), ...(until ? { until: until.at } : {}),
					...(this.filesCursor ? { cursor: this.filesCursor } : {}),
				}, PATIENCE_MS);
				if (filter !== this.#filter)
					return;
				fresh.push(...list(data.files).map(fileOf));
				this.filesCursor = data.cursor;
				if (!data.cursor)
					break;
			}
			this.files = [...this.files, ...fresh];
			this.error = undefined;
		} catch (error) {
			this.error = error instanceof AdminError ? error : new AdminError("timeout");
		}
		this.filesState = "loaded";
		this.tell();
	}

	removeFile(key: string): void {
		this.files = this.files.filter((file) => file.key !== key);
		this.tell();
	}

	/** Those that the broker has told of, with what their uploads do now. */
	get clients(): ClientRow[] {
		const rates = new Map<string, number>();
		for (const transfer of this.transfers)
			rates.set(transfer.client, (rates.get(transfer.client) ?? 0) + transfer.rate);
		return this.#listed.map((row) => ({ ...row, rate: rates.get(row.client) ?? 0, paused: this.clientPauses.has(row.client) }));
	}

	/** Asks for clients whose ids hold the text, and again from time to time until the returned function is called. */
	watchClients(part: string): () => void {
		this.#clientsPattern = part ? `*${part.replace(/[*?[\\]/g, "\\$&")}*` : "";
		this.#clientsPages = 1;
		this.#clientsShown = true;
		this.clientsState = "loading";
		void this.#readClients();
		return () => {
			this.#clientsShown = false;
			this.#clientsDue_ms = Infinity;
		};
	}

	moreClients(): void {
		if (this.clientsState !== "loaded")
			return;
		this.#clientsPages++;
		this.clientsState = "loading";
		void this.#readClients();
	}

	/* A pattern that has changed meanwhile has asked on its own. */
	async #readClients(): Promise<void> {
		const pattern = this.#clientsPattern, pages = this.#clientsPages, began = performance.now();
		this.#clientsDue_ms = Infinity;
		try {
			const found: ClientRow[] = [];
			let cursor: unknown;
			for (let page = 0; page < pages; page++) {
				const data = await this.admin.do("listClients", { limit: PAGE, ...(pattern ? { client: pattern } : {}), ...(cursor ? { cursor } : {}) }, PATIENCE_MS);
				found.push(...list(data.clients).map(clientOf));
				cursor = data.cursor;
				if (!cursor)
					break;
			}
			if (pattern !== this.#clientsPattern || pages !== this.#clientsPages)
				return;
			this.#listed = found;
			this.clientsCursor = cursor;
			this.error = undefined;
		} catch (error) {
			this.error = error instanceof AdminError ? error : new AdminError("timeout");
		}
		this.clientsState = "loaded";
		const now = performance.now();
		if (this.#clientsShown)
			this.#clientsDue_ms = now + Math.max(CLIENTS_REST_MIN_MS, (now - began) * CLIENTS_REST);
		this.tell();
	}

	async #ask(): Promise<void> {
		clearTimeout(this.#round);
		this.#running = true;
		try {
			if (this.#link.state === "online" && !document.hidden && this.#watchers > 0)
				await this.#readAll();
		} finally {
			this.#running = false;
			if (this.#link.state !== "off")
				this.#round = setTimeout(() => void this.#ask(), ROUND_MS * (1 + this.transfers.length / ROUND_MORE));
		}
	}

	async #readAll(): Promise<void> {
		try {
			const [status, metrics, pauses] = await Promise.all([
				this.admin.do("getStatus"), this.admin.do("getMetrics"), this.admin.do("listPauses")]);
			this.status = status;
			const numbers: Record<string, number> = {};
			for (const [key, value] of Object.entries(metrics))
				if (typeof value === "number")
					numbers[key] = value;
			this.samples = [...this.samples.slice(1 - SAMPLES), { at: Date.now(), metrics: numbers }];
			this.clientPauses = new Map(list(pauses.pauses).filter((p) => p.scope === "client").map((p) => {
				const owner = ownerOf(p);
				return [owner.client, owner.names] as const;
			}));
			const transfers: Transfer[] = [];
			const seen = new Set<string>();
			let cursor: unknown;
			for (let page = 0; page < PAGES_MAX; page++) {
				const data = await this.admin.do("listTransfers", { limit: PAGE, ...(cursor ? { cursor } : {}) });
				for (const entry of list(data.transfers)) {
					const transfer = transferOf(entry);
					if (!seen.has(transfer.key)) {
						seen.add(transfer.key);
						transfers.push(transfer);
					}
				}
				cursor = data.cursor;
				if (!cursor)
					break;
			}
			this.transfers = transfers;
			if (performance.now() >= this.#clientsDue_ms)
				await this.#readClients();
			this.readAt = Date.now();
			this.error = undefined;
		} catch (error) {
			this.error = error instanceof AdminError ? error : new AdminError("timeout");
		}
		this.tell();
	}
}

function list(value: unknown): Data[] {
	return Array.isArray(value) ? value.filter((entry): entry is Data => entry !== null && typeof entry === "object") : [];
}
