// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// What is decided without a browser. FT_UNITS is the folder where these were bundled to.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { ROOT } from "./lib.mjs";

const from = (name) => import(path.join(process.env.FT_UNITS, `${name}.js`));
const { gaps, rangesOf, total } = await from("upload/ranges");
const { Pace, SEGMENT_MAX, SEGMENT_MIN } = await from("upload/pace");
const { Slots } = await from("upload/slots");
const { fitsPut, identity, nameFault, patience, remedy } = await from("upload/plan");
const { bytes, duration, limit, limitOf, microseconds, visible } = await from("format");
const { knows, reason } = await from("words");
const { webSocketPort } = await from("broker");
const { ceiling } = await from("views/chart");
const { changeOf } = await from("console/limits");

test("gaps are what is not held", () => {
	assert.deepEqual(gaps([], 10), [[0, 10]]);
	assert.deepEqual(gaps([[0, 10]], 10), []);
	assert.deepEqual(gaps([[2, 3], [7, 1]], 10), [[0, 2], [5, 2], [8, 2]]);
	assert.deepEqual(gaps([[0, 4], [20, 5]], 10), [[4, 6]]);
	assert.deepEqual(gaps([], 0), []);
	assert.equal(total([[1, 2], [5, 6]]), 8);
});

test("ranges of a broker that makes no sense are none", () => {
	assert.deepEqual(rangesOf("no"), []);
	assert.deepEqual(rangesOf([[1, 2], [1], ["1", 2], [-1, 2], [0, 1.5], null]), [[1, 2]]);
});

test("a segment takes a twentieth of a second, within bounds", () => {
	const run = (rate) => {
		const pace = new Pace();
		for (let at = 0, sent = 0; at < 60_000; at += 10)
			for (; sent < rate * at / 1000; sent += pace.segment)
				pace.acked(pace.segment, at);
		return pace;
	};
	assert.equal(run(10_000).segment, SEGMENT_MIN);
	assert.equal(run(1e9).segment, SEGMENT_MAX);
	const middle = run(4 << 20).segment;
	assert.ok(middle >= 128 << 10 && middle <= 256 << 10, `${middle}`);
	const pace = run(1e9);
	pace.packetLimit(100_512);
	assert.equal(pace.segment, 100_000);
	pace.tooLarge(100_000);
	assert.equal(pace.segment, 50_000);
	pace.lost();
	assert.ok(pace.segment <= 50_000);
});

test("a link is kept busy, however long its answers take", () => {
	/* So many bytes a second, and so long until an answer: what is sent waits for what was sent before it. */
	const run = (rate, delay_ms) => {
		const pace = new Pace(), flying = [];
		let free = 0, used = 0, bytes = 0;
		for (let at = 0; at < 120_000; at++) {
			while (flying[0]?.at <= at) {
				const one = flying.shift();
				used -= one.size;
				pace.acked(one.size, at, at - one.sent);
				if (at >= 90_000)
					bytes += one.size;
			}
			while (flying.length < 19 && (flying.length === 0 || used + pace.segment <= pace.window)) {
				const size = pace.segment;
				free = Math.max(free, at) + size * 1000 / rate;
				flying.push({ at: free + delay_ms, sent: at, size });
				used += size;
			}
		}
		return bytes / 30 / rate;
	};
	for (const [rate, delay_ms] of [[50_000, 20], [1 << 20, 20], [1 << 20, 500], [1 << 20, 3000], [200_000, 5000], [4 << 20, 1500]]) {
		const share = run(rate, delay_ms);
		assert.ok(share > 0.7, `${rate} bytes a second, answers after ${delay_ms} ms: ${share.toFixed(2)} of it is used`);
	}
});

test("slots let so many messages and bytes through, in order, and the first always", async () => {
	const slots = new Slots(), order = [];
	slots.messages = 2;
	slots.bytes = () => 100;
	const ask = (name, size) => slots.take(size).then(() => order.push(name));
	void ask("huge", 500);
	void ask("b", 60);
	void ask("c", 60);
	await Promise.resolve();
	await Promise.resolve();
	assert.deepEqual(order, ["huge"]);
	slots.give(500);
	await new Promise((resolve) => setImmediate(resolve));
	assert.deepEqual(order, ["huge", "b"]);
	slots.give(60);
	await new Promise((resolve) => setImmediate(resolve));
	assert.deepEqual(order, ["huge", "b", "c"]);
});

test("the id is of path, name, size and time", () => {
	const source = { name: "a", path: "", size: 1, modified: 2 };
	const all = [source, { ...source, path: "x/a" }, { ...source, size: 2 }, { ...source, modified: 3 }, { ...source, name: "b" }].map((s) => identity(s));
	assert.equal(new Set([...all, identity(source, "salt")]).size, 6);
	assert.equal(identity(source), identity({ ...source }));
});

test("names that no broker takes", () => {
	assert.equal(nameFault("ok.txt"), undefined);
	assert.equal(nameFault("ä".repeat(120)), undefined);
	assert.equal(nameFault("ä".repeat(121)), "nameTooLong");
	for (const name of ["", ".", "..", "a:b", "a\\b", "a\nb", "x.manifest.json"])
		assert.equal(nameFault(name), "badName", name);
	assert.ok(fitsPut({ name: "a", path: "", size: 10, modified: 0 }, 1000));
	for (const odd of [{ name: "a+b" }, { name: "a#b" }, { path: "x/a" }, { size: 1001 }])
		assert.ok(!fitsPut({ name: "a", path: "", size: 10, modified: 0, ...odd }, 1000));
});

test("each word of the protocol has a remedy and a sentence", () => {
	const page = readFileSync(path.join(ROOT, "docs/protocol.md"), "utf8") + readFileSync(path.join(ROOT, "docs/downloads.md"), "utf8");
	const table = page.split("\n").filter((line) => /^\| `/.test(line) && /\(0x|0x[0-9]/.test(line)).map((line) => line.split("|")[1]).join(" ");
	const words = [...table.matchAll(/`([a-z_]+)`/g)].map((m) => m[1]).filter((word) => !["size", "sha256", "max_block", "invalid_report"].includes(word));
	assert.ok(words.length > 20, "the tables are found");
	assert.deepEqual(words.filter((word) => !knows(word)), []);
	assert.equal(remedy("disk_full", 0x97), "wait");
	assert.equal(remedy("a_later_word", 0x97), "wait");
	assert.equal(remedy("a_later_word", 0x80), "wait");
	assert.equal(remedy("a_later_word", 0x83), "give-up");
	assert.equal(remedy("a_later_word", 0x10), "restart");
	assert.equal(remedy("already_complete", 0x83), "new-id");
	assert.equal(patience(0x97, 7, 1), 7);
	assert.deepEqual([1, 2, 3, 10].map((n) => patience(0x80, 1, n)), [2, 4, 8, 60]);
	assert.match(reason("disk_full", 0x97, "<b>"), /disk is full.*The broker says: <b>/);
});

test("figures, and text that hides", () => {
	assert.deepEqual([0, 1023, 1024, 150 * 1024, 5 * 2 ** 30].map(bytes), ["0 bytes", "1023 bytes", "1.0 KiB", "150 KiB", "5.0 GiB"]);
	assert.deepEqual([5, 65, 3700, 200_000, NaN].map(duration), ["5 s", "1:05", "1:01:40", "2 d 7 h", "–"]);
	assert.deepEqual([50, 1500, 2_500_000].map(microseconds), ["50 µs", "1.5 ms", "2.5 s"]);
	assert.equal(visible("a\u202Eb\u0000\u200Bc\uD800"), "a⟨U+202E⟩b⟨U+0000⟩⟨U+200B⟩c⟨U+D800⟩");
	assert.equal(visible("naïve 😀 שלום"), "naïve 😀 שלום");
	assert.deepEqual([0, 1, 100, 90].map(ceiling), [1, 1.5, 128, 96]);
});

test("a limit is written as options have it, and an override has only what is otherwise", () => {
	for (const [n, text] of [[0, "0"], [7, "7"], [1024, "1k"], [5 * 2 ** 20, "5M"], [10 * 2 ** 30, "10G"], [1025, "1025"]]) {
		assert.equal(limit(n), text);
		assert.equal(limitOf(text), n);
	}
	assert.equal(limitOf(" 3k "), 3072);
	for (const odd of ["", "3X", "-1", "1.5", "k"])
		assert.equal(limitOf(odd), undefined);
	const options = { client_quota: 1 << 20, client_rate: 5 };
	const same = { client_quota: "1M", client_rate: "5", max_file_size: "" };
	assert.equal(changeOf(same, options, false), undefined);
	assert.deepEqual(changeOf(same, options, true), { remove: true });
	assert.deepEqual(changeOf({ ...same, client_rate: "" }, options, false), { limits: { client_rate: null } });
	assert.deepEqual(changeOf({ ...same, max_file_size: "2k" }, options, true), { limits: { max_file_size: 2048 }, unset: ["client_quota", "client_rate"] });
	assert.deepEqual(changeOf({ ...same, max_file_size: "a lot" }, options, false), { limits: { max_file_size: "a lot" } });
});

test("the port of WebSockets is that of a listener like the page's", () => {
	const answer = { listeners: [{ port: 1, protocol: "mqtt" }, { port: 2, protocol: "websockets", tls: true }, { port: 3, protocol: "websockets", tls: false }] };
	assert.equal(webSocketPort(answer, true), 2);
	assert.equal(webSocketPort(answer, false), 3);
	assert.equal(webSocketPort({ listeners: [answer.listeners[2]] }, true), undefined);
	for (const odd of [null, {}, { listeners: "x" }, { listeners: [null, { protocol: "websockets", port: "8" }] }])
		assert.equal(webSocketPort(odd, false), undefined);
});
