// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// The admin API: commands to $CONTROL/file-transfer/v1, answered to who asked.
import { Connection, Lost, NOT_AUTHORIZED, parseObject } from "../connection.ts";

export type Command = { command: string } & Record<string, unknown>;
export type Data = Record<string, unknown>;

export class AdminError extends Error {
	readonly word: string;
	readonly detail: string | undefined;

	constructor(word: string, detail?: string) {
		super(word);
		this.word = word;
		this.detail = detail;
	}
}

const TOPIC = "$CONTROL/file-transfer/v1";
const ANSWER_MS = 15_000;
let serial = 0;

export class Admin {
	readonly #link: Connection;
	readonly #waiting = new Map<string, (answer: Data) => void>();

	constructor(link: Connection) {
		this.#link = link;
		link.handle(`${TOPIC}/response`, (_topic, payload) => {
			const responses = parseObject(payload)?.responses;
			for (const answer of Array.isArray(responses) ? responses : [])
				if (answer && typeof answer === "object")
					this.#waiting.get(String((answer as Data).correlationData))?.(answer as Data);
		});
	}

	/** The data of one command; rejects with AdminError. */
	async do(command: string, args: Data = {}, timeout_ms = ANSWER_MS): Promise<Data> {
		const mark = `w${++serial}`;
		let timer: ReturnType<typeof setTimeout> | undefined;
		try {
			return await new Promise<Data>((resolve, reject) => {
				this.#waiting.set(mark, (answer) => typeof answer.error === "string" ?
					reject(new AdminError(answer.error, typeof answer.detail === "string" ? answer.detail : undefined)) :
					resolve((answer.data ?? {}) as Data));
				const message = JSON.stringify({ commands: [{ command, ...args, correlationData: mark }] });
				this.#link.publish(TOPIC, message).then((code) => {
					if (code === NOT_AUTHORIZED)
						reject(new AdminError("not_authorized"));
					else
						timer = setTimeout(() => reject(new AdminError("timeout")), timeout_ms);
				}, (error: unknown) => reject(error instanceof Lost ? new AdminError("timeout") : error));
			});
		} finally {
			this.#waiting.delete(mark);
			clearTimeout(timer);
		}
	}
}

/** An id as the API has it, whose bytes may be no text: then in hex. */
export interface Owner {
	client: string;
	file: string;
	/** What names it in a command. */
	names: Data;
}

export function ownerOf(entry: Data): Owner {
	const names: Data = {};
	const one = (key: string) => {
		const text = entry[key], hex = entry[`${key}_hex`];
		if (typeof text === "string") {
			names[key] = text;
			return text;
		}
		if (typeof hex === "string") {
			names[`${key}_hex`] = hex;
			return `0x${hex}`;
		}
		return "";
	};
	return { client: one("client_id"), file: one("file_id"), names };
}

const numberOf = (value: unknown): number => typeof value === "number" && Number.isFinite(value) ? value : 0;
const textOf = (value: unknown): string => typeof value === "string" ? value : "";

export interface Transfer extends Owner {
	key: string;
	name: string;
	size: number | undefined;
	state: string;
	paused: boolean;
	received: number;
	rate: number;
	begun: number;
	/** Seconds without news. */
	idle: number;
	expiresIn: number;
}

export function transferOf(entry: Data): Transfer {
	const owner = ownerOf(entry);
	return {
		...owner, key: JSON.stringify(owner.names), name: textOf(entry.name), size: typeof entry.size === "number" ? entry.size : undefined,
		state: textOf(entry.state), paused: entry.paused === true, received: numberOf(entry.received), rate: numberOf(entry.bytes_per_second),
		begun: Date.parse(textOf(entry.begun_at)) || 0, idle: numberOf(entry.idle), expiresIn: numberOf(entry.expires_in),
	};
}

export interface ClientRow {
	client: string;
	/** What names it in a command. */
	names: Data;
	transfers: number;
	received: number;
	rate: number;
	files: number;
	fileBytes: number;
	latest: string;
	paused: boolean;
	/** Bytes that it may hold; 0: no limit. */
	quota: number;
}

export function clientOf(entry: Data): ClientRow {
	const { client, names } = ownerOf(entry), limits = entry.limits as Data | undefined;
	return {
		client, names, transfers: numberOf(entry.transfers), received: numberOf(entry.received), rate: 0, files: numberOf(entry.files),
		fileBytes: numberOf(entry.file_bytes), latest: textOf(entry.latest_at), paused: entry.paused === true, quota: numberOf(limits?.client_quota),
	};
}

export interface StoredFile extends Owner {
	key: string;
	name: string;
	size: number;
	sha256: string;
	completed: string;
	expires: unknown;
	transfer: string;
}

export function fileOf(entry: Data): StoredFile {
	const owner = ownerOf(entry);
	return {
		...owner, key: JSON.stringify(owner.names), name: textOf(entry.name), size: numberOf(entry.size), sha256: textOf(entry.sha256),
		completed: textOf(entry.completed_at), expires: entry.expire_at, transfer: textOf(entry.transfer_id),
	};
}
