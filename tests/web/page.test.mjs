// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// The page as such: what it weighs, what it asks for, who can use it, and what it says when it cannot go on.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:http";
import path from "node:path";
import { after, before, test } from "node:test";
import { gzipSync } from "node:zlib";
import { BUILD, Device, PAGE, eventually, launch, once, open, signedIn, signIn, started, version } from "./lib.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
let browser;
before(async () => { browser = await launch(); });
after(() => browser?.close());

const drop = (page, name, bytes) => page.locator(".dropzone").evaluate((zone, [named, size]) => {
	const transfer = new DataTransfer();
	transfer.items.add(new File([new Uint8Array(size)], named, { lastModified: 1e12 }));
	zone.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
}, [name, bytes]);

test("all of it is less than 150 KiB compressed", once, () => {
	const total = readdirSync(PAGE).reduce((sum, name) => sum + gzipSync(readFileSync(path.join(PAGE, name)), { level: 9 }).length, 0);
	assert.ok(total > 10_000 && total < 150 * 1024, `${total} bytes`);
});

test("nobody but the broker is asked for anything, whatever the page is made to do", async (t) => {
	const broker = await started(t);
	broker.offer("a.bin", randomBytes(1000));
	const page = await signedIn(t, browser, broker, "olga");
	await drop(page, "a.txt", 100);
	await page.getByText("1 of 1 file").waitFor();
	await page.getByRole("link", { name: "Console" }).click();
	const strangers = page.requests.map((url) => new URL(url)).filter(({ protocol, port, hostname }) => protocol !== "blob:" && protocol !== "data:" &&
		!(hostname === "127.0.0.1" && [broker.pagePort, broker.wsPort].includes(Number(port))));
	assert.deepEqual(strangers.map(String), []);
	assert.deepEqual(page.complaints, []);
	/* What a script that got into the page would try. */
	let visited = 0;
	const stranger = createServer((_request, response) => { visited++; response.end(); });
	await new Promise((resolve) => stranger.listen(0, "127.0.0.1", resolve));
	t.after(() => stranger.close());
	const port = stranger.address().port;
	const tried = await page.evaluate(async (to) => {
		const failed = [];
		await fetch(`http://127.0.0.1:${to}/`, { mode: "no-cors" }).catch(() => failed.push("fetch"));
		await new Promise((resolve) => { const image = new Image(); image.onerror = () => { failed.push("image"); resolve(); }; image.onload = resolve; image.src = `http://127.0.0.1:${to}/x.png`; });
		await new Promise((resolve) => { try { const socket = new WebSocket(`ws://127.0.0.1:${to}/`); socket.onerror = () => { failed.push("websocket"); resolve(); }; } catch { failed.push("websocket"); resolve(); } });
		try { new Function("return 1")(); } catch { failed.push("eval"); }
		return failed;
	}, port);
	assert.deepEqual(tried, ["fetch", "image", "websocket", "eval"]);
	assert.equal(visited, 0);
});

for (const scheme of ["light", "dark"])
	test(`axe finds nothing, ${scheme}`, once, async (t) => {
		const limits = path.join(BUILD, "web-tests", `axe-${scheme}-${process.pid}.json`);
		writeFileSync(limits, JSON.stringify({ overrides: [{ client: "cam-*", client_quota: "2M" }] }));
		t.after(() => rmSync(limits, { force: true }));
		const broker = await started(t, { plugin: { limits_file: limits } });
		broker.offer("app.bin", randomBytes(1000));
		const device = await Device.connect(broker, "cam-1");
		t.after(() => device.end());
		await device.begin("f1", { name: "door.mp4", size: 4000 }, Buffer.alloc(1000));
		await device.send("$file/p1/put/a.txt", "hello");
		for (const viewport of [{ width: 1280, height: 800 }, { width: 390, height: 844 }]) {
			const page = await open(t, browser, broker, { context_options: { colorScheme: scheme, viewport, bypassCSP: true } });
			const check = async (what) => {
				await page.evaluate(AXE);
				const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
				assert.deepEqual(violations.map((one) => `${what} ${viewport.width}: ${one.id} ${one.nodes[0].html} ${one.nodes[0].failureSummary}`), []);
				assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${what} fits ${viewport.width}`);
			};
			await check("sign in");
			await signIn(page, "olga");
			await page.getByRole("link", { name: "Console" }).waitFor();
			await drop(page, "one.txt", 3);
			await drop(page, "bad:name", 3);
			await page.getByText("1 of 2 files").waitFor();
			await check("send");
			await page.getByRole("link", { name: "Get" }).click();
			await page.locator(".upload", { hasText: "app.bin" }).waitFor();
			await check("get");
			await page.getByRole("link", { name: "Console" }).click();
			await page.locator(".transfer[data-client]").waitFor();
			await check("transfers");
			await page.getByRole("button", { name: "Abort: door.mp4" }).click();
			await check("confirm");
			await page.keyboard.press("Escape");
			for (const [view, shown] of [["Files", ".stored[data-file]"], ["Clients", ".client[data-client]"], ["Health", ".chart"], ["Events", ".event"]]) {
				await page.getByRole("link", { name: view }).click();
				if (view === "Events")
					await device.send("$file/p2/put/b.txt", "hello");
				await page.locator(shown).first().waitFor();
				await check(view);
				if (view === "Files" || view === "Clients") {
					await page.getByRole("button", { name: view === "Files" ? "Details: a.txt" : "Limits: cam-1" }).click();
					await page.getByRole("dialog").getByText(view === "Files" ? "Path below storage_dir" : "this client only").waitFor();
					await check(`${view}, dialog`);
					await page.keyboard.press("Escape");
				}
			}
		}
	});

test("nothing jumps, and the keyboard does", once, async (t) => {
	const broker = await started(t);
	const page = await open(t, browser, broker);
	await page.evaluate(() => {
		window.shifts = 0;
		new PerformanceObserver((list) => list.getEntries().forEach((entry) => { if (!entry.hadRecentInput) window.shifts += entry.value; }))
			.observe({ type: "layout-shift", buffered: true });
	});
	await page.keyboard.type("anna");
	await page.keyboard.press("Tab");
	await page.keyboard.type("anna's secret");
	await page.keyboard.press("Enter");
	await page.getByRole("navigation", { name: "File transfer" }).waitFor();
	await page.keyboard.press("Tab");
	assert.equal(await page.evaluate(() => document.activeElement.textContent), "Skip to content");
	await page.keyboard.press("Tab");
	await page.keyboard.press("Tab");
	await page.keyboard.press("Enter");
	await page.getByText("Nothing is offered to you").waitFor();
	await page.getByRole("link", { name: "Send" }).focus();
	await page.keyboard.press("Enter");
	await drop(page, "big.bin", 3 << 20);
	await page.getByText("1 of 1 file").waitFor();
	const shifts = await page.evaluate(() => window.shifts);
	assert.ok(shifts < 0.1, `layout shift ${shifts}`);
});

/* Mosquitto 2.0 offers HTTP/2 and does not speak it: docs/web.md has a proxy for that. */
test("served by https it speaks wss", { skip: version() < "2.1" }, async (t) => {
	const broker = await started(t, { tls: true });
	const page = await signedIn(t, browser, broker, "anna", { context_options: { ignoreHTTPSErrors: true } });
	await drop(page, "a.txt", 100);
	await page.getByText("1 of 1 file").waitFor();
	assert.ok(page.requests.some((url) => url === `wss://127.0.0.1:${broker.wsPort}/mqtt`), String(page.requests));
	assert.deepEqual(page.complaints, []);
});

test("a wrong password; then the right one", async (t) => {
	const broker = await started(t);
	const page = await open(t, browser, broker);
	await signIn(page, "anna", "guess");
	await page.getByText("The broker does not know this user name and password.").waitFor();
	await signIn(page, "anna");
	await page.getByRole("navigation", { name: "File transfer" }).waitFor();
	const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie, location.href]));
	assert.ok(!kept.includes("secret"), "the password is kept nowhere");
});

test("a broker that is away says so, before and after signing in", async (t) => {
	const broker = await started(t);
	const page = await open(t, browser, broker), other = await signedIn(t, browser, broker, "anna");
	await broker.stop();
	await signIn(page, "anna");
	await page.getByText("The broker does not answer. Is it running").waitFor();
	await other.getByText("The broker is out of reach").waitFor();
	await broker.start();
	await other.getByRole("button", { name: "Try now" }).click({ timeout: 2000 }).catch(() => undefined);
	await other.getByText("The broker is out of reach").waitFor({ state: "detached" });
});

test("what the ACLs do not allow is not shown, or says so", async (t) => {
	const broker = await started(t);
	const anna = await signedIn(t, browser, broker, "anna");
	await anna.getByText("Nothing sent yet").waitFor();
	await anna.getByRole("link", { name: "Get" }).click();
	await anna.getByText("Nothing is offered to you").waitFor();
	assert.equal(await anna.getByRole("link", { name: "Console" }).count(), 0);
	const nemo = await signedIn(t, browser, broker, "nemo");
	await nemo.getByText("Your account may not send files.").waitFor();
	assert.equal(await nemo.locator(".dropzone").count(), 0);
	await nemo.getByRole("link", { name: "Get" }).click();
	await nemo.getByText("Your account may not fetch files.").waitFor();
	assert.equal(await nemo.getByRole("link", { name: "Console" }).count(), 0);
});

test("a full disk is told with the remedy, and waits", async (t) => {
	const broker = await started(t, { plugin: { min_free_space: "100000G" } });
	const page = await signedIn(t, browser, broker, "anna");
	await drop(page, "small.txt", 10);
	await drop(page, "large.bin", 1 << 20);
	await eventually(async () => await page.getByText(/disk is full/).count() === 2, "both say so");
	await page.getByText(/Again in \d+ s/).first().waitFor();
});

test("refusals that end an upload say what to do", once, async (t) => {
	const broker = await started(t, { plugin: { max_file_size: "1M", deny_names: "*.exe" } });
	const page = await signedIn(t, browser, broker, "anna");
	await drop(page, "large.bin", 2 << 20);
	await page.getByText("larger than the broker accepts").waitFor();
	await drop(page, "setup.exe", 10);
	await page.getByText("does not accept files with such a name").waitFor();
	await page.getByRole("button", { name: "Try again: setup.exe" }).waitFor();
});

test("a broker without the plugin", once, async (t) => {
	const broker = await started(t, { withPlugin: false });
	const page = await signedIn(t, browser, broker, "anna");
	await page.getByText("The broker does not answer to uploads.").waitFor();
});

test("two pages of one account: one of them is told", once, async (t) => {
	const broker = await started(t);
	const page = await signedIn(t, browser, broker, "anna");
	const second = await page.context().newPage();
	await second.goto(broker.url);
	await signIn(second, "anna");
	await page.getByText("opened in another tab").waitFor();
	await page.getByRole("button", { name: "Use it here" }).click();
	await second.getByText("opened in another tab").waitFor();
});
