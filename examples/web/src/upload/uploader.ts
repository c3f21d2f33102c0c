// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Sends files: a queue, of which some are on their way at once, and share one window. An item has one
// state, which only set() changes; each item on its way is one run of #drive(), that asks the broker
// what it holds, sends the rest, and believes nothing but the answer to `fin`.
import { Answers, Refusal } from "../answers.ts";
import { Connection, Lost, Silent } from "../connection.ts";
import { hashBytes, hashFile } from "../hash/hasher.ts";
import { T, reason } from "../words.ts";
import { Pace } from "./pace.ts";
import { SMALL, fitsPut, identity, nameFault, patience, remedy, type Source } from "./plan.ts";
import { gaps, rangesOf, total, type Range } from "./ranges.ts";
import { Memory, type Remembered } from "./remembered.ts";
import { Slots } from "./slots.ts";

export type UploadState =
	"queued" | "asking" | "sending" | "finishing" | "waiting" | "link" | "paused" | "done" | "failed";

export interface Upload extends Source {
	readonly key: number;
	file: File;
	id: string;
	state: UploadState;
	/** Bytes that the broker holds. */
	held: number;
	/** What is told to people beside the state. */
	message: string;
	/** ms of Date.now(); the next try of a waiting one. */
	retryAt: number;
	hadAlready: boolean;
	/** Bytes per second, lately. */
	rate: number;
	/** Asked to stop: what its run throws when it next looks. */
	stop: "pause" | "cancel" | undefined;
	/** Makes another id, where the first one belongs to another file. */
	salt: string;
	/** The checksum of the whole, which is computed while segments are sent. */
	hash: { sum: Promise<string>; drop: () => void } | undefined;
}

/** Thrown where an item was paused or cancelled. */
class Stopped extends Error {}

const TOGETHER = 16;
const FIN_MS = 15_000;
const MISMATCHES_MAX = 2;
/** What is larger is remembered over a reload. */
const REMEMBER_BYTES = 1 << 20;

export class Uploader {
	items: Upload[] = [];
	unfinished: (Remembered & { held: number })[] = [];
	/** Bytes per second, of all. */
	rate = 0;
	readonly changed = new Set<() => void>();

	readonly #timer: ReturnType<typeof setInterval>;
	readonly #link: Connection;
	readonly #answers: Answers;
	readonly #memory: Memory;
	readonly #pace = new Pace();
	readonly #slots = new Slots();
	readonly #wake = new Map<Upload, () => void>();
	#serial = 0;
	#active = 0;
	#acked = 0;
	#ackedOf = new Map<Upload, number>();
	#rateAt = performance.now();

	constructor(link: Connection, answers: Answers, account: string) {
		this.#link = link;
		this.#answers = answers;
		this.#memory = new Memory(account);
		this.#slots.bytes = () => this.#pace.window;
		link.changed.add(() => {
			if (link.state === "online") {
				this.#slots.messages = Math.max(1, Math.min(link.receiveMaximum, 20) - 1);
				this.#pace.packetLimit(link.maximumPacketSize);
			} else if (link.state === "waiting") {
				this.#pace.lost();
			}
		});
		this.#timer = setInterval(() => this.#measure(), 1000);
	}

	/** The person has signed out. */
	end(): void {
		clearInterval(this.#timer);
	}

	/** What an earlier visit has left unfinished, and how much of it the broker has. */
	async recall(): Promise<void> {
		const all = this.#memory.all();
		this.unfinished = [];
		for (const one of all) {
			if (this.items.some((item) => item.id === one.id))
				continue;
			try {
				const { all: status } = await this.#answers.ask(`$file/${one.id}/status`);
				if (status.state === "receiving")
					this.unfinished.push({ ...one, held: Number(status.received) || 0 });
				else
					this.#memory.remove(one.id);
			} catch {
				/* It is asked again at the next visit. */
			}
			this.#tell();
		}
	}

	forget(id: string): void {
		this.#memory.remove(id);
		this.unfinished = this.unfinished.filter((one) => one.id !== id);
		void this.#answers.ask(`$file/${id}/abort`).catch(() => undefined);
		this.#tell();
	}

	add(files: { file: File; path: string }[]): void {
		const begun = new Set(this.items.filter((i) => i.state !== "failed" && i.state !== "done").map((i) => identity(i)));
		for (const { file, path } of files) {
			const source = { name: file.name, path, size: file.size, modified: file.lastModified };
			if (begun.has(identity(source)))
				continue;
			begun.add(identity(source));
			const item: Upload = { ...source, key: ++this.#serial, file, id: "", state: "queued", held: 0, message: "", retryAt: 0,
				hadAlready: false, rate: 0, stop: undefined, salt: "", hash: undefined };
			const fault = nameFault(file.name);
			if (fault) {
				item.state = "failed";
				item.message = T.send[fault];
			}
			this.items.push(item);
		}
		this.#fill();
		this.#tell();
	}

	pause(item: Upload): void {
		if (item.state === "done" || item.state === "failed" || item.state === "paused")
			return;
		if (item.state === "queued")
			return this.#set(item, "paused");
		item.stop = "pause";
		this.#wake.get(item)?.();
	}

	resume(item: Upload): void {
		if (item.stop === "pause")
			item.stop = undefined;
		if (item.state === "paused" || item.state === "failed") {
			item.salt = "";
			this.#set(item, "queued");
			this.#fill();
		}
	}

	cancel(item: Upload): void {
		this.items = this.items.filter((other) => other !== item);
		this.#memory.remove(item.id);
		if (item.state === "queued" || item.state === "done" || item.state === "failed" || item.state === "paused") {
			if (item.id && item.state !== "done")
				void this.#answers.ask(`$file/${item.id}/abort`).catch(() => undefined);
		} else {
			item.stop = "cancel";
			this.#wake.get(item)?.();
		}
		this.#tell();
	}

	pauseAll(): void {
		this.items.forEach((item) => this.pause(item));
	}

	resumeAll(): void {
		this.items.filter((item) => item.state === "paused" || item.stop === "pause").forEach((item) => this.resume(item));
	}

	clear(): void {
		this.items = this.items.filter((item) => item.state !== "done");
		this.#tell();
	}

	get busy(): boolean {
		return this.items.some((item) => item.state !== "done" && item.state !== "failed" && item.state !== "paused");
	}

	#tell(): void {
		for (const call of this.changed)
			call();
	}

	#set(item: Upload, state: UploadState, message = ""): void {
		item.state = state;
		item.message = message;
		if (state !== "sending")
			item.rate = 0;
		this.#tell();
	}

	#measure(): void {
		const now = performance.now(), seconds = (now - this.#rateAt) / 1000;
		this.#rateAt = now;
		const smooth = (old: number, fresh: number) => old === 0 ? fresh : old * 0.7 + fresh * 0.3;
		const fresh = this.#acked / seconds;
		this.rate = fresh === 0 && !this.busy ? 0 : smooth(this.rate, fresh);
		this.#acked = 0;
		if (this.#slots.used === 0)
			this.#pace.idle();
		for (const item of this.items)
			if (item.state === "sending")
				item.rate = smooth(item.rate, (this.#ackedOf.get(item) ?? 0) / seconds);
		this.#ackedOf.clear();
		if (this.busy)
			this.#tell();
	}

	#fill(): void {
		for (const item of this.items) {
			if (this.#active >= TOGETHER)
				return;
			if (item.state !== "queued")
				continue;
			this.#active++;
			this.#set(item, "asking");
			void this.#drive(item).finally(() => {
				this.#active--;
				this.#fill();
			});
		}
	}

	/** An item from the queue until it is done, has failed, or is paused. */
	async #drive(item: Upload): Promise<void> {
		let tries = 0, mismatches = 0, silent = 0, first = true;
		try {
			item.id = (await hashBytes(new TextEncoder().encode(identity(item, item.salt)))).slice(0, 32);
			this.unfinished = this.unfinished.filter((one) => one.id !== item.id);
			if (item.size > REMEMBER_BYTES)
				this.#memory.add({ id: item.id, name: item.name, path: item.path, size: item.size, modified: item.modified });
			for (;;) {
				try {
					this.#look(item);
					if (this.#link.state !== "online") {
						this.#set(item, "link");
						await this.#interruptible(item, this.#link.online());
					}
					if (item.size <= SMALL && first)
						await this.#sendSmall(item);
					else
						await this.#send(item);
					this.#memory.remove(item.id);
					return this.#set(item, "done");
				} catch (error) {
					first = false;
					if (error instanceof Lost) {
						if (this.#link.state === "off")
							return;
					} else if (error instanceof Silent) {
						if (++silent > 3)
							return this.#set(item, "failed", T.rights.noUploadAnswer);
					} else if (error instanceof Refusal) {
						const wants = remedy(error.word, error.code);
						const text = reason(error.word, error.code, error.detail);
						if (wants === "give-up")
							return this.#set(item, "failed", text);
						if (wants === "restart" && ++mismatches > MISMATCHES_MAX)
							return this.#set(item, "failed", text);
						if (error.word === "file_checksum_mismatch") {
							/* Or the file has changed since: it is read again, too. */
							item.hash?.drop();
							item.hash = undefined;
							await this.#answers.ask(`$file/${item.id}/abort`);
						}
						if (wants === "new-id") {
							if (item.salt)
								return this.#set(item, "failed", text);
							item.salt = await this.#interruptible(item, this.#checksum(item));
							this.#memory.remove(item.id);
							item.id = (await hashBytes(new TextEncoder().encode(identity(item, item.salt)))).slice(0, 32);
						}
						tries++;
						if (wants === "wait")
							await this.#sleep(item, patience(error.code, error.retryAfter, tries), text);
					} else {
						throw error;
					}
				}
			}
		} catch (error) {
			if (!(error instanceof Stopped))
				return this.#set(item, "failed", error instanceof DOMException ? T.send.changed : String(error));
			if (item.stop === "cancel")
				void this.#answers.ask(`$file/${item.id}/abort`).catch(() => undefined);
			item.stop = undefined;
			this.#set(item, "paused");
		} finally {
			item.hash?.drop();
			item.hash = undefined;
		}
	}

	/** In one message where the name allows, else init, segment and fin behind each other. */
	async #sendSmall(item: Upload): Promise<void> {
		const data = new Uint8Array(await item.file.arrayBuffer());
		if (data.length !== item.size)
			throw new DOMException("changed", "NotReadableError");
		const sum = await hashBytes(data);
		await this.#slots.take(data.length);
		try {
			this.#look(item);
			this.#set(item, "sending");
			if (fitsPut(item, this.#pace.segment)) {
				await this.#answers.ask(`$file/${item.id}/put/${item.name}/${sum}`, data, FIN_MS);
			} else {
				await this.#answers.ask(`$file/${item.id}/init`, this.#meta(item, sum));
				if (data.length > 0 && data.length <= this.#pace.segment)
					await this.#segmentTaken(item, 0, data);
				else if (data.length > 0)
					return await this.#send(item);
				await this.#answers.ask(`$file/${item.id}/fin/${item.size}/${sum}`, "", FIN_MS);
			}
			item.held = item.size;
			this.#acked += item.size;
		} finally {
			this.#slots.give(data.length);
		}
	}

	/** Asks what is held, sends the rest, and has it verified. */
	async #send(item: Upload): Promise<void> {
		this.#set(item, "asking");
		const { all } = await this.#answers.ask(`$file/${item.id}/init`, this.#meta(item));
		if (all.state === "complete") {
			item.hadAlready = item.held === 0;
			item.held = item.size;
			return;
		}
		const have = rangesOf(all.have);
		let missing = all.state === "assembling" ? [] : gaps(have, item.size);
		item.held = item.size - total(missing);
		const sum = this.#checksum(item);
		for (;;) {
			await this.#sendRanges(item, missing);
			this.#set(item, "finishing");
			try {
				await this.#fin(item, await this.#interruptible(item, sum));
				item.held = item.size;
				return;
			} catch (error) {
				if (!(error instanceof Refusal) || error.word !== "incomplete")
					throw error;
				missing = rangesOf(error.answer?.all.missing);
				if (missing.length === 0)
					throw error;
				item.held = item.size - total(missing);
			}
		}
	}

	/** Large files take their time; the question is repeated, which does no harm. */
	async #fin(item: Upload, sum: string): Promise<void> {
		for (;;) {
			try {
				await this.#interruptible(item, this.#answers.ask(`$file/${item.id}/fin/${item.size}/${sum}`, "", FIN_MS));
				return;
			} catch (error) {
				if (!(error instanceof Silent))
					throw error;
				const { all } = await this.#answers.ask(`$file/${item.id}/status`);
				if (all.state !== "assembling" && all.state !== "complete")
					throw error;
			}
		}
	}

	async #sendRanges(item: Upload, ranges: Range[]): Promise<void> {
		if (ranges.length === 0)
			return;
		this.#set(item, "sending");
		const flying = new Set<Promise<void>>();
		let failure: unknown;
		try {
			for (const [offset, length] of ranges) {
				for (let at = offset; at < offset + length;) {
					const size = Math.min(this.#pace.segment, offset + length - at);
					await this.#slots.take(size);
					const one = this.#readAndSend(item, at, size, () => failure).catch((error: unknown) => {
						failure ??= error;
					}).finally(() => {
						flying.delete(one);
						this.#slots.give(size);
					});
					flying.add(one);
					if (failure !== undefined)
						throw failure;
					at += size;
				}
			}
		} finally {
			await Promise.all(flying);
		}
		if (failure !== undefined)
			throw failure;
	}

	/** Several are read at a time, too: a browser takes some milliseconds for each. */
	async #readAndSend(item: Upload, at: number, size: number, failure: () => unknown): Promise<void> {
		this.#look(item);
		const data = new Uint8Array(await item.file.slice(at, at + size).arrayBuffer());
		if (data.length !== size)
			throw new DOMException("changed", "NotReadableError");
		if (failure() === undefined)
			await this.#segmentTaken(item, at, data);
	}

	/** Sends a segment until it is taken: a pause that the broker asks for is for this segment alone. */
	async #segmentTaken(item: Upload, at: number, data: Uint8Array): Promise<void> {
		for (let tries = 1; ; tries++) {
			try {
				await this.#segmentAcked(item, at, data);
				if (item.state === "waiting")
					this.#set(item, "sending");
				return;
			} catch (error) {
				if (!(error instanceof Refusal) || (error.code !== 0x97 && error.word !== "checksum_mismatch"))
					throw error;
				const seconds = patience(error.code, error.retryAfter, tries);
				item.retryAt = Date.now() + seconds * 1000;
				if (item.state === "sending" || item.state === "waiting")
					this.#set(item, "waiting", reason(error.word, error.code, error.detail));
				/* Not at the same moment as all the others. */
				await this.#unlessStopped(item, seconds * 1000 + Math.random() * 300);
			}
		}
	}

	/** Sleeps; looks now and then whether the item is to stop, or the link has gone. */
	async #unlessStopped(item: Upload, ms: number): Promise<void> {
		for (const end = Date.now() + ms; Date.now() < end;) {
			this.#look(item);
			if (this.#link.state !== "online")
				throw new Lost("connection lost");
			await new Promise((resolve) => setTimeout(resolve, Math.min(100, end - Date.now())));
		}
	}

	/** Success of a segment is its PUBACK; an answer comes only where something is wrong. */
	async #segmentAcked(item: Upload, at: number, data: Uint8Array): Promise<void> {
		const topic = `$file/${item.id}/${at}`, began_ms = performance.now();
		let refused: (error: Refusal) => void = () => undefined;
		const refusal = new Promise<never>((_resolve, reject) => refused = reject);
		refusal.catch(() => undefined);
		const off = this.#answers.on(topic, (answer) => {
			if (answer.code !== 0)
				refused(new Refusal(answer.word, answer.code, answer));
		});
		try {
			const code = await Promise.race([this.#link.publish(topic, data), refusal]);
			if (code >= 0x80) {
				/* The answer has the exact word, if there is one. */
				await Promise.race([refusal, new Promise((resolve) => setTimeout(resolve, 2500))]);
				throw new Refusal(code === 0x87 ? "not_authorized" : "", code);
			}
		} catch (error) {
			if (error instanceof Refusal && error.word === "segment_too_large") {
				if (data.length <= 1024)
					throw new Refusal("segment_too_large", 0x83, error.answer);
				this.#pace.tooLarge(data.length);
			}
			throw error;
		} finally {
			off();
		}
		item.held = Math.min(item.size, item.held + data.length);
		this.#acked += data.length;
		this.#ackedOf.set(item, (this.#ackedOf.get(item) ?? 0) + data.length);
		this.#pace.acked(data.length, performance.now(), performance.now() - began_ms);
	}

	#meta(item: Upload, checksum?: string): string {
		return JSON.stringify({
			name: item.name, size: item.size, responses: "errors",
			...(checksum ? { checksum } : {}),
			...(item.path ? { user_data: { path: item.path } } : {}),
		});
	}

	/** Of the whole file; computed once for as long as the item is on its way. */
	#checksum(item: Upload): Promise<string> {
		if (!item.hash) {
			item.hash = hashFile(item.file);
			item.hash.sum.catch(() => undefined);
		}
		return item.hash.sum;
	}

	#look(item: Upload): void {
		if (item.stop)
			throw new Stopped();
	}

	/** Waits for something, or until the item is paused or cancelled. */
	async #interruptible<Value>(item: Upload, wait: Promise<Value>): Promise<Value> {
		this.#look(item);
		const stopped = new Promise<never>((_resolve, reject) => this.#wake.set(item, () => reject(new Stopped())));
		try {
			return await Promise.race([wait, stopped]);
		} finally {
			this.#wake.delete(item);
		}
	}

	async #sleep(item: Upload, seconds: number, text: string): Promise<void> {
		item.retryAt = Date.now() + seconds * 1000;
		this.#set(item, "waiting", text);
		await this.#interruptible(item, new Promise((resolve) => setTimeout(resolve, seconds * 1000)));
	}
}
