// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Files that people send.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { BUILD, admin, eventually, launch, once, sha256, signedIn, signIn, started } from "./lib.mjs";

let browser, dir;
before(async () => {
	browser = await launch();
	mkdirSync(path.join(BUILD, "web-tests"), { recursive: true });
	dir = mkdtempSync(path.join(BUILD, "web-tests/files-"));
});
after(async () => {
	await browser?.close();
	rmSync(dir, { recursive: true, force: true });
});

function file(name, bytes) {
	const full = path.join(dir, name);
	writeFileSync(full, randomBytes(bytes));
	return full;
}

const pick = (page, files) => page.locator('input[data-pick="files"]').setInputFiles(files);
const progress = (page) => page.locator(".upload .bar").first().getAttribute("aria-valuenow").then(Number);
const done = (page, name) => page.locator('.upload[data-state="done"]', { hasText: name }).waitFor();
const same = (broker, name, source) => assert.equal(sha256(readFileSync(broker.finished().get(name))), sha256(readFileSync(source)));

test("100 MiB arrive whole though the broker is killed in the middle", async (t) => {
	const broker = await started(t, { plugin: { client_bandwidth: "40M" } });
	const page = await signedIn(t, browser, broker, "anna");
	const source = file("film.bin", 100 << 20);
	await pick(page, source);
	await eventually(async () => await progress(page) >= 20, "a fifth is sent");
	await broker.kill9();
	await page.getByText("The broker is out of reach").waitFor();
	assert.equal(await page.locator('.upload[data-state="done"]').count(), 0);
	await broker.start();
	await page.getByText("Connected").waitFor();
	await done(page, "film.bin");
	same(broker, "film.bin", source);
	const metrics = await admin(broker, "getMetrics");
	assert.equal(metrics["transfers/resumed"], 1);
	assert.ok(metrics["bytes/received"] < 90 << 20, "what was held is not sent again");
});

test("after a reload the same file goes on where it was", async (t) => {
	const broker = await started(t, { plugin: { client_bandwidth: "4M" } });
	const page = await signedIn(t, browser, broker, "anna");
	const source = file("reload.bin", 12 << 20);
	utimesSync(source, 1700000000, 1700000000);
	await pick(page, source);
	await eventually(async () => await progress(page) >= 30, "a third is sent");
	page.on("dialog", (dialog) => dialog.accept());
	await page.reload();
	await signIn(page, "anna");
	const left = page.locator(".interrupted");
	await left.getByText("reload.bin").waitFor();
	assert.match(await left.innerText(), /Pick the same files again/);
	assert.ok(Number((await left.innerText()).match(/(\d+) % is there/)[1]) >= 25);
	await pick(page, source);
	await done(page, "reload.bin");
	assert.equal(await left.count(), 0);
	same(broker, "reload.bin", source);
	const metrics = await admin(broker, "getMetrics");
	assert.equal(metrics["transfers/resumed"], 1);
	assert.ok(metrics["bytes/duplicate"] < 1 << 20, `what was held is not sent again: ${metrics["bytes/duplicate"]}`);
});

test("1,000 small files in one drop", once, async (t) => {
	const broker = await started(t);
	const page = await signedIn(t, browser, broker, "anna");
	await page.locator(".dropzone").evaluate((zone) => {
		const transfer = new DataTransfer();
		for (let n = 0; n < 1000; n++)
			transfer.items.add(new File([`content of ${n}`.repeat(n % 50)], `note ${n} #${n % 7}.txt`, { lastModified: 1e12 + n }));
		zone.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
	});
	await page.getByText("1000 of 1000 files").waitFor();
	assert.ok(await page.locator(".upload").count() < 60, "only rows in sight exist");
	const finished = broker.finished();
	assert.equal(finished.size, 1000);
	for (const n of [0, 1, 499, 999])
		assert.equal(readFileSync(finished.get(`note ${n} #${n % 7}.txt`), "utf8"), `content of ${n}`.repeat(n % 50));
});

test("a folder keeps where its files lay", once, async (t) => {
	const broker = await started(t);
	const page = await signedIn(t, browser, broker, "anna");
	mkdirSync(path.join(dir, "photos/2026"), { recursive: true });
	file("photos/a.jpg", 300_000);
	file("photos/2026/a.jpg", 10);
	file("photos/2026/empty.txt", 0);
	await page.locator('input[data-pick="folder"]').setInputFiles(path.join(dir, "photos"));
	await page.getByText("3 of 3 files").waitFor();
	const manifests = readdirSync(path.join(broker.storage, "files"), { recursive: true }).filter((name) => name.endsWith(".manifest.json"))
		.map((name) => JSON.parse(readFileSync(path.join(broker.storage, "files", name), "utf8")).user_data.path).sort();
	assert.deepEqual(manifests, ["photos/2026/a.jpg", "photos/2026/empty.txt", "photos/a.jpg"]);
});

test("paused, resumed, cancelled", async (t) => {
	const broker = await started(t, { plugin: { client_bandwidth: "2M" } });
	const page = await signedIn(t, browser, broker, "anna");
	/* Long enough for what is on its way when it is paused, and then some. */
	const source = file("slow.bin", 64 << 20);
	await pick(page, source);
	await eventually(async () => await progress(page) >= 10, "it has begun");
	await page.getByRole("button", { name: "Pause: slow.bin" }).click();
	await page.locator('.upload[data-state="paused"]').waitFor();
	const held = (await admin(broker, "listTransfers")).transfers[0].received;
	assert.ok(held > 0);
	await page.getByRole("button", { name: "Resume: slow.bin" }).click();
	await page.locator('.upload[data-state="sending"], .upload[data-state="waiting"]').waitFor();
	await page.getByRole("button", { name: "Cancel: slow.bin" }).click();
	await eventually(async () => (await admin(broker, "listTransfers")).transfers.length === 0, "the broker has forgotten it");
	assert.equal(await page.locator(".upload").count(), 0);
});

test("what the broker has already is not sent again, another content is", once, async (t) => {
	const broker = await started(t);
	const page = await signedIn(t, browser, broker, "anna");
	const drop = (text) => page.locator(".dropzone").evaluate((zone, content) => {
		const transfer = new DataTransfer();
		transfer.items.add(new File([content], "same.txt", { lastModified: 1e12 }));
		zone.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
	}, text);
	await drop("one");
	await page.getByText("1 of 1 file").waitFor();
	/* Same name, size and time, but not the same bytes: the first id is another file's. */
	await drop("two");
	await page.getByText("2 of 2 files").waitFor();
	assert.equal((await admin(broker, "listFiles")).files.length, 2);
});

test("names that the broker takes for nobody's are told before anything is sent", once, async (t) => {
	const broker = await started(t);
	const page = await signedIn(t, browser, broker, "anna");
	await page.locator(".dropzone").evaluate((zone) => {
		const transfer = new DataTransfer();
		transfer.items.add(new File(["x"], "ä".repeat(121)));
		transfer.items.add(new File(["x"], "a:b"));
		zone.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
	});
	await page.getByText("longer than 240 bytes").waitFor();
	await page.getByText("no names with :").waitFor();
	assert.equal((await admin(broker, "getStatus")).transfers, 0);
});
