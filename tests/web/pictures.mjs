// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Pictures of the page with a small fleet at work, wide and narrow, light and dark: node pictures.mjs OUT [SECONDS]
// SECONDS is for how long the charts look back.
import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { BUILD, Broker, Device, PASSWORDS, eventually, launch, signIn, sleep } from "./lib.mjs";

const out = process.argv[2] ?? path.join(BUILD, "web-pictures"), seconds = Number(process.argv[3] ?? 40);
mkdirSync(out, { recursive: true });
const dir = mkdtempSync(path.join(BUILD, "web-tests/pictures-"));
writeFileSync(path.join(dir, "limits.json"), '{"overrides":[{"client":"camera-*","client_quota":"20M"}]}');
const broker = await new Broker({ plugin: { limits_file: path.join(dir, "limits.json"), client_bandwidth: "6M", client_quota: "2G", max_transfers_per_client: 1000, deny_names: "*.exe" } }).start();
const browser = await launch();
const devices = [], byId = new Map();

async function device(id) {
	if (!byId.has(id)) {
		byId.set(id, await Device.connect(broker, id));
		devices.push(byId.get(id));
	}
	return byId.get(id);
}

/** Sends a part of a file, at a pace of its own, for as long as pictures are made. */
async function sends(id, file, name, size, share, pace) {
	const one = await device(id);
	await one.begin(file, { name, size });
	let at = 0;
	for (const end = size * share; at < end; at += 200_000)
		await one.send(`$file/${file}/${at}`, Buffer.alloc(Math.min(200_000, size - at), 1));
	if (pace)
		void (async () => {
			for (; at < size * 0.97; at += 60_000) {
				await one.send(`$file/${file}/${at}`, Buffer.alloc(60_000, 2)).catch(() => undefined);
				await sleep(pace * (0.6 + 0.8 * Math.random()));
			}
		})().catch(() => undefined);
}

try {
	broker.offer("firmware/gateway-2.4.1.bin", randomBytes(1_800_000));
	writeFileSync(path.join(broker.storage, "offers/all/firmware/.gateway-2.4.1.bin.json"), '{"version":"2.4.1","hardware":"rev C"}');
	broker.offer("firmware/camera-7.0.3.bin", randomBytes(940_000));
	broker.offer("models/person-detect-v12.onnx", randomBytes(2_400_000));
	broker.offer("certificates/fleet-ca.pem", randomBytes(4_120));
	broker.offer("config/site-north.json", '{"interval":30}'.repeat(100));
	await Promise.all([
		sends("camera-07", "a", "door-42.mp4", 24000000, 0.4, 250), sends("camera-12", "b", "yard-18h.mp4", 19200000, 0.65, 320),
		sends("gateway-north", "c", "diagnostics-2026-11-28.tar.gz", 15000000, 0.2, 400), sends("line-3-press", "d", "vibration-0412.bin", 18000000, 0.1, 280),
		sends("weighbridge", "e", "tickets-week-48.csv", 5400000, 0.8, 0), sends("drone-2", "f", "survey-east.las", 22800000, 0.3, 220),
		sends("camera-03", "g", "loading-bay.mp4", 21600000, 0.55, 350), sends("turbine-11", "h", "scada-dump.parquet", 13200000, 0.3, 500),
	]);
	const finished = [["camera-07", "door-41.mp4", 380_000], ["camera-12", "yard-17h.mp4", 410_000], ["gateway-north", "syslog.1.gz", 61_000], ["turbine-11", "scada-27.parquet", 220_000],
		["weighbridge", "tickets-week-47.csv", 88_000], ["line-3-press", "vibration-0411.bin", 300_000], ["drone-2", "survey-west.las", 350_000], ["camera-03", "gate-open.jpg", 140_000],
		["meter-0231", "readings.csv", 12_000], ["meter-0232", "readings.csv", 11_800], ["camera-07", "door-40.mp4", 360_000], ["gateway-south", "config-backup.tgz", 45_000]];
	const page = await (await browser.newContext({ viewport: { width: 1280, height: 800 } })).newPage();
	await page.goto(broker.url);
	await signIn(page, "olga");
	await page.getByRole("link", { name: "Console" }).click();
	for (const [id, name, size] of finished) {
		const one = await device(id);
		await one.send(`$file/${name}/put/${name}`, randomBytes(size));
		await sleep(seconds * 1000 / finished.length / 2);
	}
	await (devices[0]).send("$file/x1/put/setup.exe", "MZ");
	await devices[0].send("$file/x2/put/tool.exe", "MZ");
	await devices[1].send("$file/unknown/5", "x");
	await sleep(seconds * 500);
	const shoot = async (name, width) => page.screenshot({ path: path.join(out, `${name}-${width}-${scheme}.png`) });
	let scheme = "light";
	for (scheme of ["light", "dark"])
		for (const [width, height] of [[1280, 800], [390, 844]]) {
			await page.emulateMedia({ colorScheme: scheme });
			await page.setViewportSize({ width, height });
			for (const view of ["Transfers", "Files", "Clients", "Health", "Events"]) {
				await page.getByRole("link", { name: view }).click();
				await sleep(700);
				await shoot(view.toLowerCase(), width);
			}
			await page.getByRole("link", { name: "Files" }).click();
			await page.getByRole("button", { name: /^Details/ }).first().click();
			await sleep(500);
			await shoot("details", width);
			await page.keyboard.press("Escape");
			await page.getByRole("link", { name: "Clients" }).click();
			await page.getByRole("button", { name: "Limits: camera-07" }).click();
			await page.getByRole("dialog").getByText("this client only").waitFor();
			await shoot("limits", width);
			await page.keyboard.press("Escape");
		}
	const anna = await (await browser.newContext({ viewport: { width: 1280, height: 800 } })).newPage();
	await anna.goto(broker.url);
	for (scheme of ["light", "dark"])
		for (const [width, height] of [[1280, 800], [390, 844]]) {
			await anna.emulateMedia({ colorScheme: scheme });
			await anna.setViewportSize({ width, height });
			await anna.screenshot({ path: path.join(out, `login-${width}-${scheme}.png`) });
		}
	await signIn(anna, "anna", PASSWORDS.anna);
	await anna.getByText("Nothing sent yet").waitFor();
	await anna.screenshot({ path: path.join(out, "send-empty-390-dark.png") });
	const files = [["site-visit-2026-11.mov", 90_000_000], ["floor-plan.pdf", 2_100_000], ["inspection-report.docx", 240_000], ["installer.exe", 80_000], ["photos.zip", 40_000_000]].map(([name, size]) => {
		writeFileSync(path.join(dir, name), randomBytes(size));
		return path.join(dir, name);
	});
	await anna.locator('input[data-pick="files"]').setInputFiles(files);
	await eventually(async () => Number(await anna.locator(".upload .bar").first().getAttribute("aria-valuenow")) >= 8, "some of it");
	await anna.getByRole("button", { name: "Pause: photos.zip" }).click();
	for (scheme of ["light", "dark"])
		for (const [width, height] of [[1280, 800], [390, 844]]) {
			await anna.emulateMedia({ colorScheme: scheme });
			await anna.setViewportSize({ width, height });
			await sleep(600);
			await anna.screenshot({ path: path.join(out, `send-${width}-${scheme}.png`) });
			await anna.getByRole("link", { name: "Get" }).click();
			await anna.locator(".upload", { hasText: "gateway" }).waitFor();
			await anna.screenshot({ path: path.join(out, `get-${width}-${scheme}.png`) });
			await anna.getByRole("link", { name: "Send" }).click();
		}
} finally {
	devices.forEach((one) => one.end());
	await browser.close();
	await broker.remove();
	rmSync(dir, { recursive: true, force: true });
}
