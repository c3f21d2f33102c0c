// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// A file that is larger than the memory that a page may have: minutes, and as much disk; only with LONG=1.
//
//	FT_WEB_GIB	how large; default 5
import assert from "node:assert/strict";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, statSync, truncateSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { BUILD, launch, signedIn, sleep, started } from "./lib.mjs";

const BYTES = Number(process.env.FT_WEB_GIB ?? 5) * 2 ** 30, MIB = 2 ** 20;
/* What a page may have more at any time than when it had just begun: garbage that is not collected yet. */
const HEAP_MORE = 48 * MIB, RSS_MORE = 160 * MIB;
let browser;
before(async () => { browser = await launch(); });
after(() => browser?.close());

/** Bytes in memory of all processes of the browser that show pages. */
async function pages(cdp) {
	const { processInfo } = await cdp.send("SystemInfo.getProcessInfo");
	return processInfo.filter(({ type }) => type === "renderer").reduce((sum, { id }) => {
		const kib = readFileSync(`/proc/${id}/status`, "utf8").match(/VmRSS:\s+(\d+)/)?.[1] ?? 0;
		return sum + kib * 1024;
	}, 0);
}

test("the page stays as small as it was, whatever the file", async (t) => {
	const dir = mkdtempSync(path.join(BUILD, "web-tests/large-")), source = path.join(dir, "large.bin");
	t.after(() => rmSync(dir, { recursive: true, force: true }));
	closeSync(openSync(source, "w"));
	truncateSync(source, BYTES);
	const broker = await started(t), page = await signedIn(t, browser, broker, "anna");
	const whole = await browser.newBrowserCDPSession(), cdp = await page.context().newCDPSession(page);
	await cdp.send("Performance.enable");
	const heap = async () => (await cdp.send("Performance.getMetrics")).metrics.find(({ name }) => name === "JSHeapUsedSize").value;
	await page.locator('input[data-pick="files"]').setInputFiles(source);
	const began = performance.now(), seen = [];
	for (let state = "", next = 2; state !== "done";) {
		await sleep(1000);
		const item = page.locator(".upload").first();
		state = await item.getAttribute("data-state");
		assert.notEqual(state, "failed", await item.innerText());
		const percent = Number(await item.locator(".bar").getAttribute("aria-valuenow"));
		const now = { percent, heap: await heap(), rss: await pages(whole) };
		seen.push(now);
		if (percent >= next) {
			console.log(`${percent} %: heap ${(now.heap / MIB).toFixed(0)} MiB, processes ${(now.rss / MIB).toFixed(0)} MiB`);
			next = percent + 10;
		}
	}
	/* When it has got going. */
	const first = seen.filter(({ percent }) => percent <= 2);
	const base = { heap: Math.max(...first.map((one) => one.heap)), rss: Math.max(...first.map((one) => one.rss)) };
	const most = { heap: Math.max(...seen.map((one) => one.heap)), rss: Math.max(...seen.map((one) => one.rss)) };
	t.diagnostic(`${(BYTES / 2 ** 30).toFixed(1)} GiB in ${((performance.now() - began) / 1000).toFixed(0)} s; ` +
		`heap ${(base.heap / MIB).toFixed(0)} MiB, at most ${(most.heap / MIB).toFixed(0)}; processes ${(base.rss / MIB).toFixed(0)} MiB, at most ${(most.rss / MIB).toFixed(0)}`);
	assert.equal(statSync(broker.finished().get("large.bin")).size, BYTES);
	assert.ok(most.heap - base.heap < HEAP_MORE, "the heap does not grow with the file");
	assert.ok(most.rss - base.rss < RSS_MORE, "the page's processes do not grow with the file");
});
