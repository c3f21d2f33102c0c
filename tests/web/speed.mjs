// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// How fast blocks come over WebSockets, by their size and how many are asked for at once: node speed.mjs [MIB]
// FT_BROKER and FT_BUILD as in lib.mjs.
import { randomBytes } from "node:crypto";
import mqtt from "mqtt";
import { Broker, PASSWORDS, eventually, version } from "./lib.mjs";

const size = Number(process.argv[2] ?? 4) << 20;
const broker = await new Broker().start();
broker.offer("speed.bin", randomBytes(size));
try {
	for (const [kind, url] of [["websockets", `ws://127.0.0.1:${broker.wsPort}/mqtt`], ["tcp", `mqtt://127.0.0.1:${broker.port}`]]) {
		const clientId = `speed-${kind}`, waiting = new Map();
		const client = await mqtt.connectAsync(url, { clientId, username: "anna", password: PASSWORDS.anna, protocolVersion: 5, reconnectPeriod: 0,
			properties: { receiveMaximum: 1000 } });
		let offered = false;
		client.on("message", (topic, payload) => {
			if (topic.startsWith("$file-offer/"))
				offered = true;
			else
				waiting.get(Number(topic.split("/")[2]))?.(payload);
		});
		await client.subscribeAsync("$file-offer/all/#", { qos: 1 });
		await eventually(() => offered, "the file is offered");
		for (const block of [64 << 10, 256 << 10])
			for (const window of [2, 8, 48]) {
				const began = performance.now();
				let next = 0, blocks = 0;
				const one = async () => {
					for (let offset = next; offset < size; offset = next) {
						next += block;
						const arrived = new Promise((resolve) => waiting.set(offset, resolve));
						client.publish(`$file-get/${offset}/${Math.min(block, size - offset)}/speed.bin`, "", { qos: 1 });
						await arrived;
						waiting.delete(offset);
						blocks++;
					}
				};
				await Promise.all(Array.from({ length: window }, one));
				const seconds = (performance.now() - began) / 1000;
				console.log(`${version()} ${kind.padEnd(10)} ${String(block >> 10).padStart(3)} KiB, ${String(window).padStart(2)} at once: ` +
					`${(size / seconds / 1e6).toFixed(2).padStart(7)} MB/s, ${(blocks / seconds).toFixed(0).padStart(5)} blocks/s`);
			}
		client.end(true);
	}
} finally {
	await broker.remove();
}
process.exit(0);
