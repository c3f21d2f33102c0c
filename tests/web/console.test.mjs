// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// What operators see and do.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { BUILD, Device, admin, eventually, launch, once, sha256, signedIn, started } from "./lib.mjs";

let browser;
before(async () => { browser = await launch(); });
after(() => browser?.close());

const SMALL = Buffer.alloc(1000, 7);

async function fleet(t, broker, clientId, files) {
	const device = await Device.connect(broker, clientId);
	t.after(() => device.end());
	for (const [file, meta] of Object.entries(files))
		await device.begin(file, meta, SMALL);
	return device;
}

async function open(t, broker, view = "transfers") {
	const page = await signedIn(t, browser, broker, "olga");
	await page.getByRole("link", { name: "Console" }).click();
	if (view !== "transfers")
		await page.getByRole("link", { name: view }).click();
	return page;
}

test("transfers: seen, filtered, paused, aborted; the bytes are gone from the disk", async (t) => {
	const broker = await started(t);
	await fleet(t, broker, "cam-1", { f1: { name: "door.mp4", size: 4000 }, f2: { name: "yard.mp4", size: 2000 } });
	await fleet(t, broker, "gate-2", { g1: { name: "log.txt" } });
	const incoming = () => existsSync(path.join(broker.storage, "incoming/cam-1/f1"));
	await eventually(incoming, "the bytes are on the disk");
	const page = await open(t, broker);
	const row = page.locator(".transfer", { hasText: "door.mp4" });
	await row.waitFor();
	assert.equal(await row.locator(".bar").getAttribute("aria-valuenow"), "25");
	await row.locator(".c-client", { hasText: "cam-1" }).waitFor();
	await row.locator(".c-age", { hasText: /\d/ }).waitFor();
	await row.locator(".c-idle", { hasText: /\d+ s ago/ }).waitFor();
	await page.getByPlaceholder("Filter by client or name").fill("gate");
	await page.getByText("1 of 3").waitFor();
	await page.getByPlaceholder("Filter by client or name").fill("");
	await page.getByRole("button", { name: "Pause: yard.mp4" }).click();
	await page.locator(".transfer", { hasText: "yard.mp4" }).getByText("Paused").waitFor();
	assert.equal((await admin(broker, "getTransfer", { client_id: "cam-1", file_id: "f2" })).paused, true);
	await row.getByRole("button", { name: "door.mp4", exact: true }).click();
	await page.getByRole("dialog").getByText("Expires in").waitFor();
	await page.keyboard.press("Escape");
	await page.getByRole("button", { name: "Abort: door.mp4" }).click();
	await page.getByRole("dialog").getByRole("button", { name: "Abort upload" }).click();
	await page.getByText("Aborted door.mp4").waitFor();
	await row.waitFor({ state: "detached" });
	await eventually(() => !incoming(), "the bytes are gone");
	await page.getByRole("button", { name: "Pause all" }).click();
	await page.getByRole("dialog").getByRole("button", { name: "Pause all" }).click();
	await page.getByText("All uploads are paused").first().waitFor();
	assert.equal((await admin(broker, "getStatus")).all_paused, true);
	await page.getByRole("button", { name: "Resume all" }).click();
	await eventually(async () => (await admin(broker, "getStatus")).all_paused === false, "resumed");
});

test("files: searched, looked at, deleted on the disk", once, async (t) => {
	const broker = await started(t, { plugin: { max_transfers_per_client: 1000 } });
	const device = await fleet(t, broker, "cam-1", {});
	/* Their sizes go up and down. */
	await Promise.all(Array.from({ length: 250 }, (_, n) => device.send(`$file/f${n}/put/photo-${String(n).padStart(3, "0")}.jpg`, Buffer.alloc(1000 + n * 7 % 250))));
	await eventually(async () => (await admin(broker, "listFiles", { limit: 1000 })).files.length === 250, "all are in the catalog");
	const newest = (await admin(broker, "listFiles", { limit: 1 })).files[0].name;
	const page = await open(t, broker, "Files");
	const first = (name) => page.locator(".slot:first-child .stored", { hasText: name }).waitFor();
	await first(newest);
	/* The second page comes by scrolling. */
	const toEnd = () => page.locator(".scroll").evaluate((box) => box.scrollTo(0, box.scrollHeight));
	const whole = async (order) => {
		await toEnd();
		await page.getByText(`250 · ${order}`).waitFor();
		await toEnd();
	};
	await whole("the newest first");
	await page.getByRole("columnheader", { name: "Name" }).getByRole("button").click();
	await first("photo-000.jpg");
	await whole("by name");
	await page.locator(".stored", { hasText: "photo-249.jpg" }).waitFor();
	await page.getByRole("columnheader", { name: "Size" }).getByRole("button").click();
	await first("photo-107.jpg");
	await whole("the largest first");
	await page.locator(".stored", { hasText: "photo-000.jpg" }).waitFor();
	await page.getByLabel("Name").fill("photo-00?.jpg");
	await page.getByRole("button", { name: "Search" }).click();
	await page.getByText("10 · the largest first").waitFor();
	const target = broker.finished().get("photo-003.jpg");
	await page.getByRole("button", { name: "Details: photo-003.jpg" }).click();
	await page.getByRole("dialog").getByText("files/cam-1/f3/photo-003.jpg").waitFor();
	await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
	await page.getByRole("dialog").getByRole("button", { name: "Delete file" }).click();
	await page.getByText("Deleted photo-003.jpg").waitFor();
	assert.ok(!existsSync(target));
	await page.getByText("9 · the largest first").waitFor();
});

test("a file's details have what its client said of it", async (t) => {
	const broker = await started(t);
	const device = await fleet(t, broker, "cam-1", { f1: { name: "door.mp4", user_data: { place: "yard <b>\u202E", shots: [1, 2] } } });
	await device.send("$file/f1/fin/1000");
	await eventually(async () => (await admin(broker, "listFiles")).files.length === 1, "it is in the catalog");
	const page = await open(t, broker, "Files");
	await page.getByRole("button", { name: "Details: door.mp4" }).click();
	const dialog = page.getByRole("dialog");
	await dialog.getByText('"place": "yard <b>⟨U+202E⟩"').waitFor();
	await dialog.getByText("files/cam-1/f1/door.mp4").waitFor();
	await dialog.getByText(sha256(SMALL)).waitFor();
});

test("a finished file is fetched from the console, and offered to nobody else", async (t) => {
	const broker = await started(t);
	if (!await admin(broker, "listOffers").catch(() => undefined))
		return t.skip("this plugin does not offer files by command");
	const data = randomBytes(700_001);
	const device = await fleet(t, broker, "cam-1", {});
	await device.send("$file/f1/put/door <b>.mp4", data);
	await eventually(async () => (await admin(broker, "listFiles")).files.length === 1, "it is in the catalog");
	const page = await open(t, broker, "Files");
	await page.evaluate(() => { window.showSaveFilePicker = undefined; });
	await page.getByRole("button", { name: "Details: door <b>.mp4" }).click();
	const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("dialog").getByRole("button", { name: "Download" }).click()]);
	assert.equal(download.suggestedFilename(), "door _b_.mp4");
	assert.equal(sha256(readFileSync(await download.path())), sha256(data));
	await page.getByText("Saved, checksum verified").waitFor();
	await eventually(async () => (await admin(broker, "listOffers")).offers.length === 0, "it is offered no more");
	assert.equal(sha256(readFileSync(broker.finished().get("door <b>.mp4"))), sha256(data));
});

test("clients: who holds how much of which quota, and limits that are changed", async (t) => {
	const limits = path.join(BUILD, "web-tests", `limits-${process.pid}.json`);
	writeFileSync(limits, JSON.stringify({ overrides: [{ client: "cam-*", client_quota: "2M" }] }));
	t.after(() => rmSync(limits, { force: true }));
	const broker = await started(t, { plugin: { limits_file: limits, client_quota: "10M" } });
	await fleet(t, broker, "cam-1", { f1: { name: "door.mp4", size: 4000 } });
	const gate = await fleet(t, broker, "gate-2", {});
	await gate.send("$file/p1/put/log.txt", Buffer.alloc(1 << 20));
	await eventually(async () => (await admin(broker, "listClients")).clients.length === 2, "the broker knows both");
	const page = await open(t, broker, "Clients");
	const row = (name) => page.locator(".client[data-client]", { hasText: name });
	await row("gate-2").getByText("1.0 MiB of 10.0 MiB").waitFor();
	await row("gate-2").getByText("1 · 1.0 MiB").waitFor();
	await row("cam-1").getByText("1000 bytes of 2.0 MiB").waitFor();
	assert.equal(await row("gate-2").getByRole("progressbar").getAttribute("aria-valuenow"), "10");
	/* One client gets an override of its own. */
	await page.getByRole("button", { name: "Limits: gate-2" }).click();
	const dialog = page.getByRole("dialog");
	await eventually(async () => await dialog.getByLabel("Quota", { exact: true }).inputValue() === "10M", "what counts now is in the form");
	await dialog.getByLabel("Largest file").fill("3X");
	await dialog.getByRole("button", { name: "Save" }).click();
	await page.locator(".toast", { hasText: "max_file_size" }).waitFor();
	await dialog.getByLabel("Largest file").fill("512k");
	await dialog.getByLabel("Quota", { exact: true }).fill("4M");
	await page.keyboard.press("Enter");
	await page.getByText("Limits of gate-2 are changed").waitFor();
	await row("gate-2").getByText("1.0 MiB of 4.0 MiB").waitFor();
	assert.deepEqual(JSON.parse(readFileSync(limits, "utf8")).overrides.find((one) => one.client === "gate-2"), { client: "gate-2", client_quota: 4 << 20, max_file_size: 512 << 10 });
	await gate.send("$file/p2/put/more.txt", Buffer.alloc(600 << 10));
	assert.equal((await gate.answer("$file/p2/put/more.txt")).reason_description, "file_too_large");
	/* All that an override matches already. */
	await page.getByRole("button", { name: "Limits: cam-1" }).click();
	await dialog.getByLabel("all that match cam-*").check();
	await dialog.getByLabel("Quota", { exact: true }).fill("");
	await dialog.getByRole("button", { name: "Save" }).click();
	await page.getByText("Limits of cam-* are changed").waitFor();
	assert.equal((await admin(broker, "getLimits", { client_id: "cam-9" })).client_quota, undefined);
	/* And back to what the options say. */
	await page.getByRole("button", { name: "Limits: gate-2" }).click();
	await dialog.getByRole("button", { name: "As the broker's options say" }).click();
	await row("gate-2").getByText("1.0 MiB of 10.0 MiB").waitFor();
	await page.getByPlaceholder("Client id").fill("te-");
	await row("cam-1").waitFor({ state: "detached" });
	assert.equal(await row("gate-2").count(), 1);
});

test("clients, their limits and pauses; health; events", async (t) => {
	const broker = await started(t, { plugin: { client_quota: "10M", max_file_size: "5M" } });
	const device = await fleet(t, broker, "cam-1", { f1: { name: "door.mp4", size: 4000 } });
	const page = await open(t, broker, "Clients");
	await page.locator(".client", { hasText: "cam-1" }).waitFor();
	await page.getByRole("button", { name: "Limits: cam-1" }).click();
	const dialog = page.getByRole("dialog");
	await dialog.getByText("10.0 MiB").waitFor();
	await dialog.getByText("5.0 MiB").waitFor();
	await page.keyboard.press("Escape");
	await page.getByRole("button", { name: "Pause: cam-1" }).click();
	await page.locator(".client", { hasText: "cam-1" }).getByText("Paused", { exact: true }).waitFor();
	await device.send("$file/f1/1000", SMALL);
	assert.equal((await device.answer("$file/f1/1000")).reason_description, "paused");
	await page.getByRole("link", { name: "Health" }).click();
	await page.getByText("paused").waitFor();
	for (const chart of [/^Throughput: .*\/s/, /^Until a file is verified and visible: /, /^Disk free: .*iB/])
		await page.getByRole("img", { name: chart }).waitFor();
	await page.getByRole("progressbar", { name: "Log" }).waitFor();
	await page.getByRole("link", { name: "Clients" }).click();
	await page.getByRole("button", { name: "Resume: cam-1" }).click();
	await page.getByText("Resumed cam-1").waitFor();
	await page.getByRole("link", { name: "Events" }).click();
	await device.send("$file/p1/put/hello.txt", "hello");
	await page.locator(".event", { hasText: "hello.txt" }).first().waitFor();
	await page.locator(".event", { hasText: "completed" }).waitFor();
});

test("10,000 transfers: a list of which only what is in sight exists, and which scrolls", once, async (t) => {
	const broker = await started(t, { plugin: { max_transfers: 10000, max_transfers_per_client: 10000, max_memory: "128M" } });
	const device = await fleet(t, broker, "many", {});
	for (let n = 0; n < 10_000; n += 500)
		await Promise.all(Array.from({ length: 500 }, (_, k) => device.send(`$file/t${n + k}/init`, `{"name":"part ${n + k}","size":1000}`)));
	const page = await open(t, broker);
	await page.getByText("10,000", { exact: true }).first().waitFor();
	await page.locator(".transfer[data-client]").first().waitFor();
	assert.ok(await page.locator(".slot").count() < 60);
	/* Through all of it in 100 steps, each drawn: rows are there at every step, and a step costs a few frames at most. */
	const steps = await page.locator(".scroll").evaluate(async (box) => {
		const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
		const took = [];
		let empty = 0;
		for (let step = 1; step <= 100; step++) {
			const began = performance.now();
			box.scrollTop = (box.scrollHeight - box.clientHeight) * step / 100;
			await frame();
			await frame();
			took.push(performance.now() - began);
			const { top, bottom } = box.getBoundingClientRect();
			const inSight = [...box.querySelectorAll(".slot")].filter((slot) => {
				const place = slot.getBoundingClientRect();
				return place.bottom > top && place.top < bottom;
			}).length;
			if (inSight < (bottom - top) / 52 - 2)
				empty++;
		}
		return { empty, median: took.sort((a, b) => a - b)[50] };
	});
	assert.ok(steps.empty <= 3, `${steps.empty} steps of 100 without rows`);
	t.diagnostic(`median of a step: ${steps.median.toFixed(0)} ms`);
});

test("hostile ids, names and data are text, everywhere", once, async (t) => {
	const broker = await started(t);
	const evil = '<img src=x onerror="window.pwned=1">', turn = "\u202Egpj.exe\u202C", long = "Ω".repeat(120);
	const device = await fleet(t, broker, evil, { [evil]: { name: `${evil.replaceAll("/", "")}`, size: 5000, user_data: { note: evil } } });
	await device.begin("turn", { name: turn }, SMALL);
	await device.begin("long", { name: long }, SMALL);
	await fleet(t, broker, `rtl-\u202E${"x".repeat(200)}`, { z: { name: "z" } });
	const offered = "<img src=x onerror=window.pwned=1>\u202Egpj";
	broker.offer(offered, "x");
	const page = await open(t, broker);
	await page.getByText("⟨U+202E⟩gpj.exe⟨U+202C⟩").waitFor();
	await page.locator(".transfer .name", { hasText: "onerror" }).first().waitFor();
	await page.getByRole("button", { name: /^<img/ }).first().click();
	await page.getByRole("dialog").waitFor();
	await page.keyboard.press("Escape");
	for (const view of ["Clients", "Health", "Events"]) {
		await page.getByRole("link", { name: view }).click();
		if (view === "Events") {
			await device.send("$file/u1/init", JSON.stringify({ name: evil, user_data: { note: evil, turn } }));
			await device.send("$file/u1/fin/0");
			await page.locator(".event .about", { hasText: "onerror" }).first().waitFor();
		}
		assert.equal(await page.locator("#app img").count(), 0);
	}
	await page.getByRole("link", { name: "Files" }).click();
	await page.locator(".stored", { hasText: "onerror" }).waitFor();
	await page.getByRole("button", { name: /^Details: <img/ }).click();
	await page.keyboard.press("Escape");
	await page.getByRole("button", { name: /^Delete: <img/ }).click();
	await page.getByRole("dialog").getByRole("button", { name: "Delete file" }).click();
	await page.locator(".toast", { hasText: "onerror" }).waitFor();
	await page.getByRole("link", { name: "Clients" }).click();
	await page.getByRole("button", { name: /^Limits: <img/ }).click();
	await page.getByRole("dialog").getByText("onerror").waitFor();
	await page.keyboard.press("Escape");
	await page.getByRole("link", { name: "Get" }).click();
	await page.locator(".upload", { hasText: "⟨U+202E⟩gpj" }).waitFor();
	await page.getByRole("link", { name: "Send" }).click();
	await page.locator(".dropzone").evaluate((zone, name) => {
		const transfer = new DataTransfer();
		transfer.items.add(new File(["x"], name));
		zone.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
	}, offered);
	await page.getByText("1 of 1 file").waitFor();
	await page.locator('.upload[data-state="done"]', { hasText: "⟨U+202E⟩gpj" }).waitFor();
	assert.equal(await page.evaluate(() => window.pwned), undefined);
	assert.equal(await page.locator("#app img").count(), 0);
	/* Nothing of it makes the page wider. */
	assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
	assert.deepEqual(page.complaints, []);
});
