// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// The broker's answers to commands on $file/ and $file-get/: each names the topic it answers.
import { Connection, Lost, NOT_AUTHORIZED, Silent, parseObject } from "./connection.ts";

export interface Answer {
	topic: string;
	code: number;
	word: string;
	detail: string | undefined;
	retryAfter: number;
	all: Record<string, unknown>;
}

/** The broker said no. */
export class Refusal extends Error {
	readonly word: string;
	readonly code: number;
	readonly detail: string | undefined;
	/** Seconds. */
	readonly retryAfter: number;
	readonly answer: Answer | undefined;

	constructor(word: string, code: number, answer?: Answer) {
		super(word);
		this.word = word;
		this.code = code;
		this.detail = answer?.detail;
		this.retryAfter = answer?.retryAfter ?? 1;
		this.answer = answer;
	}
}

/* After a PUBACK that says no: how long the answer with the exact word may take. */
const EXACT_MS = 2500;
const ANSWER_MS = 20_000;

export class Answers {
	readonly #link: Connection;
	readonly #waiting = new Map<string, Set<(answer: Answer) => void>>();

	constructor(link: Connection) {
		this.#link = link;
		link.handle("$file-response/", (_topic, payload) => {
			const all = parseObject(payload);
			if (!all || typeof all.topic !== "string" || typeof all.reason_code !== "number")
				return;
			const answer: Answer = {
				topic: all.topic, code: all.reason_code, word: String(all.reason_description ?? ""), all,
				detail: typeof all.detail === "string" ? all.detail : undefined,
				retryAfter: typeof all.retry_after === "number" ? Math.max(0.2, Math.min(3600, all.retry_after)) : 1,
			};
			for (const call of [...this.#waiting.get(answer.topic) ?? []])
				call(answer);
		});
	}

	on(topic: string, call: (answer: Answer) => void): () => void {
		const calls = this.#waiting.get(topic) ?? new Set();
		this.#waiting.set(topic, calls.add(call));
		return () => {
			calls.delete(call);
			if (calls.size === 0)
				this.#waiting.delete(topic);
		};
	}

	/**
	 * Publishes a command, and resolves with its answer if that is a success. Rejects with Refusal,
	 * Lost, or Silent when nothing comes for `timeout_ms` after the PUBACK.
	 */
	async ask(topic: string, payload: Uint8Array | string = "", timeout_ms = ANSWER_MS): Promise<Answer> {
		let off = () => undefined as void, timer: ReturnType<typeof setTimeout> | undefined;
		let quiet = () => undefined as void;
		const answered = new Promise<Answer>((resolve, reject) => {
			off = this.on(topic, (answer) => answer.code === 0 ? resolve(answer) :
				reject(new Refusal(answer.word, answer.code, answer)));
			const watch = () => {
				if (this.#link.state !== "online")
					reject(new Lost("connection lost"));
			};
			this.#link.changed.add(watch);
			quiet = () => void this.#link.changed.delete(watch);
			this.#link.publish(topic, payload).then((code) => {
				const wait = code >= 0x80 ? EXACT_MS : timeout_ms;
				timer = setTimeout(() => reject(code >= 0x80 ?
					new Refusal(code === NOT_AUTHORIZED ? "not_authorized" : "", code) : new Silent(topic)), wait);
			}, reject);
		});
		try {
			return await answered;
		} finally {
			off();
			quiet();
			clearTimeout(timer);
		}
	}
}
