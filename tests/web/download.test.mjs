// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Files that people fetch.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { eventually, launch, sha256, signedIn, started } from "./lib.mjs";

let browser;
before(async () => { browser = await launch(); });
after(() => browser?.close());

/* As in browsers that have no way to write to a file as it comes; and the choice of a place needs a person. */
const withoutPicker = (page) => page.evaluate(() => { window.showSaveFilePicker = undefined; });
/* A place is chosen, as a person would; what is written there is a real file of the browser's. */
const withPicker = (page) => page.evaluate(() => {
	window.showSaveFilePicker = async ({ suggestedName }) => (await navigator.storage.getDirectory()).getFileHandle(suggestedName, { create: true });
});
const inBrowser = (page, name) => page.evaluate(async (wanted) => {
	const handle = await (await navigator.storage.getDirectory()).getFileHandle(wanted);
	const sum = await crypto.subtle.digest("SHA-256", await (await handle.getFile()).arrayBuffer());
	return [...new Uint8Array(sum)].map((b) => b.toString(16).padStart(2, "0")).join("");
}, name);

async function shop(t, browser_, options, files) {
	const broker = await started(t, options);
	for (const [name, data] of Object.entries(files))
		broker.offer(name, data);
	const page = await signedIn(t, browser_, broker, "anna");
	await page.getByRole("link", { name: "Get" }).click();
	for (const name of Object.keys(files))
		await page.locator(".upload", { hasText: name }).waitFor();
	return { broker, page };
}

test("a file is fetched, verified and saved", async (t) => {
	const data = randomBytes(1_500_001);
	const { page } = await shop(t, browser, {}, { "app-7.bin": data, "models/empty": "", "models/small.txt": "small" });
	await withoutPicker(page);
	const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Download: app-7.bin" }).click()]);
	assert.equal(download.suggestedFilename(), "app-7.bin");
	assert.equal(sha256(readFileSync(await download.path())), sha256(data));
	await page.getByText("Saved, checksum verified").waitFor();
	const [empty] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Download: models/empty" }).click()]);
	assert.equal(readFileSync(await empty.path()).length, 0);
});

test("a file goes to disk as it comes, over a broker that is killed meanwhile", async (t) => {
	const data = randomBytes(4 << 20);
	const { broker, page } = await shop(t, browser, { plugin: { client_download_bandwidth: "1M" } }, { "large.bin": data });
	await withPicker(page);
	await page.getByRole("button", { name: "Download: large.bin" }).click();
	await eventually(async () => Number(await page.locator(".upload .bar").getAttribute("aria-valuenow")) >= 25, "a quarter is there");
	await broker.kill9();
	await page.getByText("The broker is out of reach").waitFor();
	broker.log = "";
	await broker.start();
	await page.getByText("Saved, checksum verified").waitFor();
	assert.equal(await inBrowser(page, "large.bin"), sha256(data));
	/* Blocks that are late are asked for twice, those that were there are not. */
	assert.match(broker.log, /\$file-get\/[1-9]\d*\/\d+\/large\.bin/);
	assert.doesNotMatch(broker.log, /\$file-get\/0\/\d+\/large\.bin/);
});

test("a file that is replaced meanwhile is never mixed with the old one", async (t) => {
	const fresh = randomBytes(1 << 20);
	const { broker, page } = await shop(t, browser, { plugin: { client_download_bandwidth: "1M" } }, { "app.bin": randomBytes(6 << 20) });
	await withPicker(page);
	await page.getByRole("button", { name: "Download: app.bin" }).click();
	await eventually(async () => Number(await page.locator(".upload .bar").getAttribute("aria-valuenow")) >= 20, "a fifth is there");
	broker.offer("app.bin", fresh);
	await page.getByText("Saved, checksum verified").waitFor();
	assert.equal(await inBrowser(page, "app.bin"), sha256(fresh));
});

test("what is offered and taken back is seen at once; searched; paused and cancelled", async (t) => {
	const { broker, page } = await shop(t, browser, { plugin: { client_download_bandwidth: "1M" } }, { "a/one.bin": randomBytes(3 << 20), "b/two.txt": "2" });
	broker.offer("c/three.txt", "3");
	await page.locator(".upload", { hasText: "c/three.txt" }).waitFor();
	await page.getByPlaceholder("Search").fill("TWO");
	await page.getByText("1 file", { exact: true }).waitFor();
	assert.equal(await page.locator(".upload").count(), 1);
	await page.getByPlaceholder("Search").fill("");
	await withPicker(page);
	await page.getByRole("button", { name: "Download: a/one.bin" }).click();
	await page.getByRole("button", { name: "Pause: a/one.bin" }).click();
	await page.getByText("Paused").waitFor();
	await page.getByRole("button", { name: "Resume: a/one.bin" }).click();
	await page.locator('.upload[data-state="getting"]').waitFor();
	await page.getByRole("button", { name: "Cancel: a/one.bin" }).click();
	await page.getByRole("button", { name: "Download: a/one.bin" }).waitFor();
});
