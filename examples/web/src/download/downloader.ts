// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Fetches what the broker offers: asks for blocks, some at a time, writes them in order, and compares the
// checksum of the whole with what was announced.
import { Answers, Refusal, type Answer } from "../answers.ts";
import { Connection, Lost, Silent, parseObject } from "../connection.ts";
import { HashStream } from "../hash/hasher.ts";
import { bytes } from "../format.ts";
import { AdminError } from "../console/admin.ts";
import { T, adminError, reason } from "../words.ts";
import { BLOB_MAX, canStream, openSink, type Sink } from "./sink.ts";

export interface Offer {
	path: string;
	/** What people call it, where that is not its path. */
	title?: string;
	size: number;
	sha256: string;
	modified: string;
	meta: Record<string, unknown> | undefined;
}

export type DownloadState =
	"idle" | "asking" | "getting" | "verifying" | "waiting" | "link" | "paused" | "done" | "failed";

/** Below it is what an operator fetches from the console: offered to this page alone, as long as it takes. */
export const CONSOLE_FOLDER = "file-transfer-console/";

export interface Download {
	path: string;
	size: number;
	sha256: string;
	state: DownloadState;
	got: number;
	rate: number;
	message: string;
	stop: "pause" | "cancel" | undefined;
}

/** Blocks on their way: more while they come soon, fewer where one is late. The broker's max_requests_per_client
 * is 64 unless set. */
const BLOCKS_FIRST = 8;
const BLOCKS_MIN = 2;
const BLOCKS_MAX = 48;
const SOON_MS = 2000;
const BLOCK_MAX = 256 << 10;
const TIMEOUT_FIRST_MS = 5000;
const TIMEOUT_MAX_MS = 40_000;
const SILENT_TRIES = 6;
const LIST_PAGES = 20;
/** The broker sees what is offered within some seconds. */
const APPEARS_MS = 60_000, APPEARS_STEP_MS = 300;

function offerOf(value: Record<string, unknown>): Offer | undefined {
	const { path, size, sha256 } = value;
	if (typeof path !== "string" || typeof size !== "number" || typeof sha256 !== "string")
		return undefined;
	return {
		path, size, sha256, modified: typeof value.modified_at === "string" ? value.modified_at : "",
		meta: value.meta && typeof value.meta === "object" && !Array.isArray(value.meta) ? value.meta as Record<string, unknown> : undefined,
	};
}

export class Downloader {
	offers: Offer[] = [];
	truncated = false;
	listed = false;
	readonly downloads = new Map<string, Download>();
	/** Fetched from the console; the latest first. */
	stored: Offer[] = [];
	readonly changed = new Set<() => void>();

	readonly #timer: ReturnType<typeof setInterval>;
	readonly #link: Connection;
	readonly #answers: Answers;
	/* Of announcements, by path and checksum: the list has no meta. */
	readonly #meta = new Map<string, Record<string, unknown>>();
	readonly #data = new Map<string, (bytes: Uint8Array) => void>();
	readonly #wake = new Map<Download, () => void>();
	#refresh: ReturnType<typeof setTimeout> | undefined;
	#prefix = "";
	/** Bytes of a block; 0: the broker has not been asked. */
	#block = 0;
	#window = BLOCKS_FIRST;
	#latency_ms = 0;

	constructor(link: Connection, answers: Answers, user: string) {
		this.#link = link;
		this.#answers = answers;
		link.handle("$file-data/", (topic, payload) => {
			/* $file-data/{client id}/{offset}/{path}, and a client id may have slashes. */
			const rest = topic.slice("$file-data/".length + link.clientId.length + 1);
			this.#data.get(rest)?.(payload);
		});
		link.handle("$file-offer/", (_topic, payload) => {
			const value = parseObject(payload), offer = value && offerOf(value);
			if (offer?.meta)
				this.#meta.set(`${offer.path}\n${offer.sha256}`, offer.meta);
			clearTimeout(this.#refresh);
			this.#refresh = setTimeout(() => void this.list(this.#prefix).catch(() => undefined), 500);
		});
		void link.subscribe("$file-offer/all/#");
		if (!/[+#]/.test(link.clientId))
			void link.subscribe(`$file-offer/client/${link.clientId}/#`);
		if (user && !/[+#/]/.test(user))
			void link.subscribe(`$file-offer/user/${user}/#`);
		this.#timer = setInterval(() => this.#measure(), 1000);
	}

	/** The person has signed out. */
	end(): void {
		clearInterval(this.#timer);
	}

	/** Reads what is offered below a prefix. Rejects as Answers.ask() does. */
	async list(prefix = ""): Promise<void> {
		this.#prefix = prefix;
		const found: Offer[] = [];
		let after = "", truncated = false;
		for (let page = 0; page < LIST_PAGES; page++) {
			const question = { ...(prefix ? { prefix } : {}), ...(after ? { after } : {}) };
			const { all } = await this.#answers.ask("$file-get/list", Object.keys(question).length ? JSON.stringify(question) : "", 5000);
			if (prefix !== this.#prefix)
				return;
			const files = Array.isArray(all.files) ? all.files : [];
			for (const file of files) {
				const offer = file && typeof file === "object" ? offerOf(file as Record<string, unknown>) : undefined;
				if (offer && !offer.path.startsWith(CONSOLE_FOLDER))
					found.push({ ...offer, meta: this.#meta.get(`${offer.path}\n${offer.sha256}`) });
			}
			truncated = all.truncated === true;
			after = found.at(-1)?.path ?? "";
			if (!truncated || files.length === 0)
				break;
		}
		this.offers = found;
		this.truncated = truncated;
		this.listed = true;
		this.#tell();
	}

	/** Resolves when the broker has begun to offer this. */
	async #appears(path: string): Promise<void> {
		for (const end = Date.now() + APPEARS_MS; ;)
			try {
				await this.#answers.ask(`$file-get/info/${path}`);
				return;
			} catch (error) {
				if (!(error instanceof Refusal) || error.word !== "no_such_file" || Date.now() > end)
					throw error;
				await new Promise((resolve) => setTimeout(resolve, APPEARS_STEP_MS));
			}
	}

	/** Fetches what is offered by `prepare`, once a place for it is chosen: that needs the person's click. */
	async fetchStored(offer: Offer, prepare: () => Promise<unknown>): Promise<void> {
		await this.fetch(offer, async () => {
			this.stored = [offer, ...this.stored];
			await prepare();
			await this.#appears(offer.path);
		});
	}

	async fetch(offer: Offer, prepare?: () => Promise<void>): Promise<void> {
		const running = this.downloads.get(offer.path);
		if (running && running.state !== "done" && running.state !== "failed")
			return;
		const download: Download = { path: offer.path, size: offer.size, sha256: offer.sha256, state: "asking", got: 0, rate: 0, message: "", stop: undefined };
		if (!canStream() && offer.size > BLOB_MAX) {
			download.state = "failed";
			download.message = T.get.tooLarge(bytes(BLOB_MAX));
			this.downloads.set(offer.path, download);
			return this.#tell();
		}
		const sink = await openSink(offer.title ?? offer.path.split("/").at(-1) ?? "file");
		if (!sink)
			return;
		this.downloads.set(offer.path, download);
		this.#tell();
		try {
			await prepare?.();
		} catch (error) {
			await sink.abandon();
			return this.#set(download, "failed", error instanceof AdminError ? adminError(error.word, error.detail) :
				error instanceof Refusal ? reason(error.word, error.code, error.detail) : T.get.silent);
		}
		await this.#drive(download, sink);
	}

	pause(download: Download): void {
		download.stop = "pause";
		this.#wake.get(download)?.();
	}

	resume(download: Download): void {
		download.stop = undefined;
		this.#wake.get(download)?.();
	}

	cancel(download: Download): void {
		download.stop = "cancel";
		this.#wake.get(download)?.();
	}

	#tell(): void {
		for (const call of this.changed)
			call();
	}

	#set(download: Download, state: DownloadState, message = ""): void {
		download.state = state;
		download.message = message;
		this.#tell();
	}

	#seen = new Map<Download, number>();
	#measure(): void {
		let any = false;
		for (const download of this.downloads.values()) {
			if (download.state === "done" || download.state === "failed")
				continue;
			any = true;
			const before = this.#seen.get(download) ?? 0;
			const fresh = Math.max(0, download.got - before);
			download.rate = download.rate === 0 ? fresh : download.rate * 0.7 + fresh * 0.3;
			this.#seen.set(download, download.got);
		}
		if (any)
			this.#tell();
	}

	async #drive(download: Download, sink: Sink): Promise<void> {
		let restarts = 0, hash = new HashStream(), written = 0;
		try {
			for (;;) {
				try {
					if (this.#link.state !== "online") {
						this.#set(download, "link");
						await this.#link.online();
					}
					if (this.#block === 0) {
						const { all } = await this.#answers.ask(`$file-get/info/${download.path}`);
						this.#block = Math.max(256, Math.min(BLOCK_MAX, Number(all.max_block) || 65536));
					}
					this.#set(download, "getting");
					written = await this.#blocks(download, written, async (data) => {
						hash.update(data);
						try {
							await sink.write(data);
						} catch {
							throw new Error(T.get.unwritable);
						}
					}, (at) => written = at);
					if (download.stop === "cancel") {
						await sink.abandon();
						this.downloads.delete(download.path);
						return this.#tell();
					}
					if (download.stop === "pause") {
						this.#set(download, "paused");
						await this.#until(download, () => download.stop !== "pause");
						continue;
					}
					this.#set(download, "verifying");
					if (await hash.end() !== download.sha256) {
						await sink.abandon();
						return this.#set(download, "failed", T.get.damaged);
					}
					await sink.finish();
					return this.#set(download, "done");
				} catch (error) {
					if (error instanceof Lost) {
						if (this.#link.state === "off")
							return;
						continue;
					}
					if (error instanceof Silent)
						throw new Error(T.get.silent);
					if (!(error instanceof Refusal))
						throw error;
					const text = reason(error.word, error.code, error.detail);
					const fresh = error.answer?.all;
					if (error.word === "file_changed" && fresh && typeof fresh.sha256 === "string" && typeof fresh.size === "number" && ++restarts < 5) {
						download.sha256 = fresh.sha256;
						download.size = fresh.size;
						download.got = written = 0;
						await sink.restart();
						hash.drop();
						hash = new HashStream();
						void this.list(this.#prefix).catch(() => undefined);
					} else if (error.word === "block_too_large" && typeof fresh?.max_block === "number" && fresh.max_block < this.#block) {
						this.#block = fresh.max_block;
					} else if (error.code === 0x97 || error.code === 0x80) {
						this.#set(download, "waiting", text);
						await this.#until(download, () => download.stop !== undefined, error.retryAfter * 1000);
					} else {
						await sink.abandon();
						return this.#set(download, "failed", text);
					}
				}
			}
		} catch (error) {
			hash.drop();
			await sink.abandon().catch(() => undefined);
			this.#set(download, "failed", error instanceof Error ? error.message : String(error));
		}
	}

	async #until(download: Download, ready: () => boolean, at_most_ms = Infinity): Promise<void> {
		const end = Date.now() + at_most_ms;
		while (!ready() && Date.now() < end)
			await new Promise<void>((resolve) => {
				this.#wake.set(download, resolve);
				setTimeout(resolve, Math.min(1000, Math.max(0, end - Date.now())));
			});
		this.#wake.delete(download);
	}

	/** Blocks from `start` to the end, in order; resolves early where the download is to stop. */
	#blocks(download: Download, start: number, write: (data: Uint8Array) => Promise<void>, reached: (at: number) => void): Promise<number> {
		return new Promise((resolve, reject) => {
			let next = start, written = start, writing = false, over = false;
			let draining: Promise<void> = Promise.resolve();
			const asked = new Map<number, { at_ms: number; wait_ms: number; tries: number; length: number; off: () => void; key: string }>();
			const arrived = new Map<number, Uint8Array>();
			const { path, size, sha256 } = download;
			const finish = (error?: unknown) => {
				if (over)
					return;
				over = true;
				clearInterval(timer);
				this.#wake.delete(download);
				this.#link.changed.delete(watch);
				for (const one of asked.values()) {
					one.off();
					this.#data.delete(one.key);
				}
				/* A write that is under way counts, too. */
				void draining.then(() => {
					download.got = written;
					if (error === undefined)
						resolve(written);
					else
						reject(error);
				});
			};
			const publish = (offset: number, length: number) => {
				this.#link.publish(`$file-get/${offset}/${length}/${path}`, sha256).catch(finish);
			};
			const pump = () => {
				if (over)
					return;
				if (download.stop !== undefined)
					return finish();
				while (download.stop === undefined && next < size && asked.size + arrived.size < this.#window) {
					const offset = next, length = Math.min(this.#block, size - offset), key = `${offset}/${path}`;
					next += length;
					const off = this.#answers.on(`$file-get/${offset}/${length}/${path}`, (answer: Answer) => {
						if (answer.code !== 0)
							finish(new Refusal(answer.word, answer.code, answer));
					});
					asked.set(offset, { at_ms: performance.now(), wait_ms: Math.max(TIMEOUT_FIRST_MS, 4 * this.#latency_ms), tries: 0, length, off, key });
					this.#data.set(key, (data) => {
						const one = asked.get(offset);
						if (!one || data.length !== length)
							return;
						one.off();
						asked.delete(offset);
						this.#data.delete(key);
						const took = performance.now() - one.at_ms;
						this.#latency_ms = this.#latency_ms * 0.8 + took * 0.2;
						if (took < SOON_MS)
							this.#window = Math.min(BLOCKS_MAX, this.#window + 1);
						arrived.set(offset, data.slice());
						download.got += length;
						if (!writing)
							draining = drain();
					});
					publish(offset, length);
				}
				if (written >= size)
					finish();
			};
			const drain = async () => {
				writing = true;
				try {
					for (let data = arrived.get(written); data && !over; data = arrived.get(written)) {
						arrived.delete(written);
						await write(data);
						written += data.length;
						reached(written);
						pump();
					}
				} catch (error) {
					finish(error);
				} finally {
					writing = false;
				}
				pump();
			};
			const watch = () => {
				if (this.#link.state !== "online")
					finish(new Lost("connection lost"));
			};
			const timer = setInterval(() => {
				const now = performance.now();
				for (const [offset, one] of asked) {
					if (now - one.at_ms < one.wait_ms)
						continue;
					if (++one.tries > SILENT_TRIES)
						return finish(new Silent(path));
					this.#window = Math.max(BLOCKS_MIN, this.#window >> 1);
					one.at_ms = now;
					one.wait_ms = Math.min(TIMEOUT_MAX_MS, one.wait_ms * 2);
					publish(offset, one.length);
				}
			}, 1000);
			this.#link.changed.add(watch);
			this.#wake.set(download, pump);
			pump();
		});
	}
}
