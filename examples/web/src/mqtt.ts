// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// MQTT.js' client over a WebSocket of the browser, without what it brings for other places: its own bundle has
// TCP, proxies, mini programs, timers in workers, and is twice as large. See build.mjs for what it is given instead.
import * as client from "mqtt/lib/client";
import { browserStreamBuilder } from "mqtt/lib/connect/ws";
import type { IClientOptions, MqttClient } from "mqtt";

type Maker = new (build: (client: MqttClient) => unknown, options: IClientOptions) => MqttClient;
/* A module of CommonJS: its default export is one more member. */
const Client = ((client.default as unknown as { default?: unknown }).default ?? client.default) as Maker;

export function connect(address: string, wanted: IClientOptions): MqttClient {
	const url = new URL(address);
	const options: IClientOptions = {
		...wanted, protocol: url.protocol === "wss:" ? "wss" : "ws", hostname: url.hostname,
		port: Number(url.port) || (url.protocol === "wss:" ? 443 : 80), path: url.pathname + url.search,
	};
	return new Client((one) => browserStreamBuilder(one, options as never), options);
}
