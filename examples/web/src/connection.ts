// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// One MQTT 5 session with the broker that this page came from, made again whenever it is lost. Each
// connection begins clean, and nothing is repeated behind the caller's back: what had no PUBACK when
// the link broke is rejected with Lost, and whoever sent it asks the broker what it holds.
import type { IClientOptions, MqttClient } from "mqtt";
import { connect } from "./mqtt.ts";

export interface Login {
	user: string;
	password: string;
	clientId: string;
}

export type LinkState = "off" | "connecting" | "online" | "waiting" | "refused" | "taken";

/** The connection was lost before the broker acknowledged. */
export class Lost extends Error {}
/** The broker did not answer in time, though the connection stands. */
export class Silent extends Error {}

export type Handler = (topic: string, payload: Uint8Array) => void;

const RETRY_FIRST_MS = 500;
const RETRY_MAX_MS = 15_000;
/** Of MQTT 5's reason codes. */
const SESSION_TAKEN_OVER = 0x8e;
export const NOT_AUTHORIZED = 0x87;

/**
 * Browsers send a large message in several frames, and Mosquitto 2.1.2 that has read a part of one answers with a broken
 * frame of its own. Messages that browsers leave whole are right everywhere: MQTT's packets may span several.
 */
const MESSAGE_MAX = 32 << 10;
class WholeFrames extends WebSocket {
	override send(data: string | ArrayBufferLike | Blob | ArrayBufferView<ArrayBufferLike>): void {
		if (!ArrayBuffer.isView(data))
			return super.send(data as ArrayBuffer);
		const all = new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength);
		for (let at = 0; at < all.length; at += MESSAGE_MAX)
			super.send(all.subarray(at, at + MESSAGE_MAX));
	}
}

const encoder = new TextEncoder();
export const decoder = new TextDecoder();

export class Connection {
	state: LinkState = "off";
	/** Why it was refused: MQTT's reason code; 0: it could not be reached. */
	refusal = 0;
	/** When the next attempt is, in ms of Date.now(). */
	retryAt = 0;
	/** Messages that the broker allows on their way. */
	receiveMaximum = 20;
	maximumPacketSize: number | undefined;
	clientId: string;
	readonly changed = new Set<() => void>();

	readonly #url: string;
	readonly #login: Login;
	#client: MqttClient | undefined;
	#timer: ReturnType<typeof setTimeout> | undefined;
	#retry_ms = RETRY_FIRST_MS;
	#wasOnline = false;
	readonly #handlers: [prefix: string, handler: Handler][] = [];
	readonly #filters = new Map<string, 0 | 1>();
	readonly #denied = new Set<string>();
	readonly #pending = new Set<(error: Error) => void>();
	/* Mosquitto 2.0 does not tell a WebSockets client that another has taken its session: the pages tell each other. */
	readonly #others = typeof BroadcastChannel === "undefined" ? undefined : new BroadcastChannel("file-transfer");
	#waiting: { resolve: () => void; reject: (error: Error) => void }[] = [];

	constructor(url: string, login: Login) {
		this.#url = url;
		this.#login = login;
		this.clientId = login.clientId;
		addEventListener("online", this.#hurry);
		this.#others?.addEventListener("message", (event: MessageEvent<unknown>) => {
			if (event.data !== this.clientId || this.state === "off")
				return;
			clearTimeout(this.#timer);
			this.#drop();
			this.#set("taken");
		});
	}

	/** Whether it has ever been accepted. */
	get wasOnline(): boolean {
		return this.#wasOnline;
	}

	start = (): void => {
		clearTimeout(this.#timer);
		this.#drop();
		this.#set("connecting");
		const options: IClientOptions = {
			protocolVersion: 5, clean: true, clientId: this.clientId, reconnectPeriod: 0, connectTimeout: 15_000,
			keepalive: 30, resubscribe: false, queueQoSZero: false, timerVariant: "native", forceNativeWebSocket: true,
			/* The window bounds what is on its way; the stream's own bound would wait whole seconds. */
			browserBufferSize: 64 << 20, browserBufferTimeout: 20,
			createWebsocket: (url, protocols) => new WholeFrames(url, protocols),
			properties: { sessionExpiryInterval: 0, receiveMaximum: 1000 },
		};
		if (this.#login.user) {
			options.username = this.#login.user;
			options.password = this.#login.password as never;
		}
		const client = connect(this.#url, options);
		this.#client = client;
		let refusal = 0, taken = false;
		client.on("connect", (connack) => {
			if (client !== this.#client)
				return;
			this.receiveMaximum = connack.properties?.receiveMaximum ?? 65535;
			this.maximumPacketSize = connack.properties?.maximumPacketSize;
			this.clientId = connack.properties?.assignedClientIdentifier ?? this.clientId;
			this.#retry_ms = RETRY_FIRST_MS;
			this.#wasOnline = true;
			this.refusal = 0;
			this.#others?.postMessage(this.clientId);
			for (const [filter, qos] of this.#filters)
				void this.#subscribe(filter, qos);
			this.#set("online");
			for (const waiter of this.#waiting.splice(0))
				waiter.resolve();
		});
		client.on("message", (topic, payload) => {
			if (client !== this.#client)
				return;
			for (const [prefix, handler] of this.#handlers)
				if (topic.startsWith(prefix))
					handler(topic, payload);
		});
		client.on("disconnect", (packet) => {
			taken = packet.reasonCode === SESSION_TAKEN_OVER;
		});
		client.on("error", (error) => {
			refusal = (error as { code?: unknown }).code as number;
		});
		client.on("close", () => {
			if (client === this.#client)
				this.#closed(typeof refusal === "number" ? refusal : 0, taken);
		});
	};

	stop(): void {
		clearTimeout(this.#timer);
		removeEventListener("online", this.#hurry);
		this.#others?.close();
		this.#drop();
		this.#set("off");
		for (const waiter of this.#waiting.splice(0))
			waiter.reject(new Lost("signed out"));
	}

	/** Resolves when the connection stands. */
	online(): Promise<void> {
		if (this.state === "online")
			return Promise.resolve();
		return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
	}

	/** Calls for each message whose topic begins so. */
	handle(prefix: string, handler: Handler): () => void {
		const entry: [string, Handler] = [prefix, handler];
		this.#handlers.push(entry);
		return () => {
			const at = this.#handlers.indexOf(entry);
			if (at >= 0)
				this.#handlers.splice(at, 1);
		};
	}

	/** Subscribes now and after each reconnection; false if the broker does not allow it. */
	async subscribe(filter: string, qos: 0 | 1 = 1): Promise<boolean> {
		this.#filters.set(filter, qos);
		if (this.state === "online")
			await this.#subscribe(filter, qos);
		return !this.#denied.has(filter);
	}

	/** Publishes with QoS 1. Resolves with the PUBACK's code; rejects with Lost. */
	publish(topic: string, payload: Uint8Array | string = ""): Promise<number> {
		return new Promise((resolve, reject) => {
			const client = this.#client;
			if (!client || this.state !== "online")
				return reject(new Lost("not connected"));
			this.#pending.add(reject);
			const data = typeof payload === "string" ? encoder.encode(payload) : payload;
			client.publish(topic, data as never, { qos: 1 }, (error, packet) => {
				if (!this.#pending.delete(reject))
					return;
				const code = (error as { code?: unknown } | null)?.code ?? (packet as { reasonCode?: number } | undefined)?.reasonCode;
				if (error && typeof code !== "number")
					reject(new Lost(error.message));
				else
					resolve(typeof code === "number" ? code : 0);
			});
		});
	}

	/** Publishes with QoS 0: no more is known than that it was handed to the connection. */
	tell(topic: string, payload: string): void {
		this.#client?.publish(topic, payload, { qos: 0 });
	}

	#hurry = (): void => {
		if (this.state === "waiting")
			this.start();
	};

	#set(state: LinkState): void {
		this.state = state;
		for (const call of this.changed)
			call();
	}

	#subscribe(filter: string, qos: 0 | 1): Promise<void> {
		return new Promise((resolve) => {
			this.#client?.subscribe(filter, { qos }, (_error, granted, packet) => {
				const codes = (packet as { granted?: number[] } | undefined)?.granted ?? granted?.map((g) => g.qos) ?? [];
				if (codes.some((code) => code >= 128))
					this.#denied.add(filter);
				else
					this.#denied.delete(filter);
				resolve();
			});
		});
	}

	#drop(): void {
		const client = this.#client;
		this.#client = undefined;
		if (client) {
			client.on("error", () => undefined);
			client.end(true);
		}
		for (const reject of [...this.#pending])
			reject(new Lost("connection lost"));
		this.#pending.clear();
	}

	#closed(refusal: number, taken: boolean): void {
		this.#drop();
		this.refusal = refusal;
		if (taken)
			return this.#set("taken");
		if (refusal >= 0x80 && refusal !== 0x88 && refusal !== 0x89 && refusal !== 0x97 || (refusal >= 1 && refusal <= 5))
			return this.#set("refused");
		if (!this.#wasOnline)
			return this.#set("refused");
		this.retryAt = Date.now() + this.#retry_ms;
		this.#timer = setTimeout(this.start, this.#retry_ms);
		this.#retry_ms = Math.min(RETRY_MAX_MS, this.#retry_ms * 2);
		this.#set("waiting");
	}
}

/** A JSON object, or undefined: what comes from others may be anything. */
export function parseObject(payload: Uint8Array): Record<string, unknown> | undefined {
	try {
		const value: unknown = JSON.parse(decoder.decode(payload));
		return value && typeof value === "object" && !Array.isArray(value) ? value as Record<string, unknown> : undefined;
	} catch {
		return undefined;
	}
}
