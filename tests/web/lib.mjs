// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Brokers that serve the page, devices, and a browser, for the tests of examples/web.
//
//	FT_BUILD	where the plugin and the page were built; default build
//	FT_BROKER	command that starts the broker; default mosquitto
import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import path from "node:path";
import { fileURLToPath } from "node:url";
import mqtt from "mqtt";
import { chromium } from "playwright-core";

export const ROOT = path.resolve(fileURLToPath(new URL("../..", import.meta.url)));
export const BUILD = path.resolve(process.env.FT_BUILD ?? path.join(ROOT, "build"));
export const PAGE = path.join(BUILD, "web");
const COMMAND = (process.env.FT_BROKER ?? "/usr/sbin/mosquitto").split(" ");
/* Brokers do not outlive what started them. */
const running = new Set();
process.on("exit", () => running.forEach((child) => child.kill("SIGKILL")));
const WORK = path.join(BUILD, "web-tests");
export const PASSWORDS = { anna: "anna's secret", olga: "olga's secret", nemo: "nemo's secret", dev: "dev" };

/** What the docs tell people to write. */
const ACL = `
topic read /#
pattern read $file-response/%c

user anna
topic write $file/#
topic write $file-get/#
topic read $file-offer/all/#

user olga
topic write $file/#
topic write $file-get/#
topic read $file-offer/all/#
topic write $CONTROL/file-transfer/v1
topic read $file-event/#

user dev
topic write $file/#
`;

/* For what has nothing to do with the broker's version: where several are tried, it is shown with the first. */
export const once = { skip: process.env.FT_WEB_FEW === "1" };

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** What `probe` says once it is true; a test that waits for less than that fails by name. */
/* Long enough for a machine that does ten other things: only what hangs is ended by it. */
export const PATIENCE_MS = 240_000;

export async function eventually(probe, what, ms = PATIENCE_MS) {
	for (const end = Date.now() + ms; ;) {
		const value = await probe();
		if (value)
			return value;
		assert.ok(Date.now() < end, `not in time: ${what}`);
		await sleep(30);
	}
}

export const sha256 = (data) => createHash("sha256").update(data).digest("hex");

function freePort() {
	return new Promise((resolve) => {
		const server = createServer();
		server.listen(0, "127.0.0.1", () => {
			const { port } = server.address();
			server.close(() => resolve(port));
		});
	});
}

function listens(port) {
	return new Promise((resolve) => {
		const socket = connect(port, "127.0.0.1", () => resolve(true));
		socket.on("error", () => resolve(false));
		socket.unref();
	});
}

export function version() {
	const { stdout, stderr } = spawnSync(COMMAND[0], [...COMMAND.slice(1), "-h"], { encoding: "utf8" });
	return `${stdout}${stderr}`.match(/version (\d+\.\d+)/)?.[1] ?? "";
}

export class Broker {
	constructor(options = {}) {
		mkdirSync(WORK, { recursive: true });
		this.dir = mkdtempSync(path.join(WORK, "broker-"));
		chmodSync(this.dir, 0o755);
		this.storage = options.storage ?? path.join(this.dir, "storage");
		this.options = { storage_dir: this.storage, min_free_space: 0, acl: "guard", control: "on", downloads: "native", events: "on",
			offers_interval: "1s", max_block: "256k", ...options.plugin };
		this.config = options.config ?? [];
		this.page = options.page ?? PAGE;
		this.tls = options.tls === true;
		this.plugin = options.withPlugin !== false;
		this.log = "";
	}

	async start() {
		this.port ??= await freePort();
		this.wsPort ??= await freePort();
		this.pagePort ??= version() >= "2.1" ? await freePort() : this.wsPort;
		const passwords = path.join(this.dir, "passwords"), conf = path.join(this.dir, "mosquitto.conf"), acl = path.join(this.dir, "acl");
		if (!existsSync(passwords)) {
			writeFileSync(passwords, Object.entries(PASSWORDS).map(([user, password]) => `${user}:${password}\n`).join(""));
			execFileSync("mosquitto_passwd", ["-U", passwords], { stdio: "ignore" });
			chmodSync(passwords, 0o600);
			writeFileSync(acl, ACL);
			if (this.tls)
				execFileSync("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=localhost",
					"-keyout", path.join(this.dir, "key.pem"), "-out", path.join(this.dir, "cert.pem")], { stdio: "ignore" });
		}
		const tls = this.tls ? [`certfile ${path.join(this.dir, "cert.pem")}`, `keyfile ${path.join(this.dir, "key.pem")}`] : [];
		writeFileSync(conf, [
			"log_dest stderr", "log_type all", "user root", "set_tcp_nodelay true", `password_file ${passwords}`, `acl_file ${acl}`, "allow_anonymous false",
			...this.config,
			...(this.plugin ? [`plugin ${path.join(BUILD, "mosquitto_file_transfer.so")}`,
				...Object.entries(this.options).map(([key, value]) => `plugin_opt_${key} ${value}`)] : []),
			`listener ${this.port} 127.0.0.1`, `listener ${this.wsPort} 127.0.0.1`, "protocol websockets", ...tls,
			...(this.pagePort === this.wsPort ? [] : [`listener ${this.pagePort} 127.0.0.1`, "protocol http_api", "listener_allow_anonymous true", ...tls]),
			`http_dir ${this.page}`, ""].join("\n"));
		this.process = spawn(COMMAND[0], [...COMMAND.slice(1), "-c", conf], { stdio: ["ignore", "ignore", "pipe"] });
		this.process.stderr.on("data", (data) => { this.log = (this.log + data).slice(-200_000); });
		const ended = new Promise((resolve) => this.process.once("exit", resolve));
		this.ended = ended;
		running.add(this.process);
		void ended.then(() => running.delete(this.process));
		await eventually(async () => {
			assert.equal(this.process.exitCode, null, `the broker ended: ${this.log}`);
			return this.tls ? listens(this.pagePort) : (await fetch(this.url).catch(() => undefined))?.ok;
		}, "the broker serves the page");
		return this;
	}

	get url() {
		return `${this.tls ? "https" : "http"}://127.0.0.1:${this.pagePort}/`;
	}

	async kill9() {
		this.process.kill("SIGKILL");
		await this.ended;
	}

	async stop() {
		if (this.process?.exitCode === null && this.process.signalCode === null) {
			this.process.kill("SIGTERM");
			await this.ended;
		}
	}

	async remove() {
		await this.stop();
		/* The log in memory of a broker that was killed. */
		const log = this.log.match(/the log is (\/dev\/shm\/[^ ,]*)/)?.[1];
		if (log)
			rmSync(log, { force: true, recursive: true });
		rmSync(this.dir, { recursive: true, force: true });
	}

	/** Files that were finished: name to path. */
	finished() {
		const found = new Map();
		const files = path.join(this.storage, "files");
		const walk = (dir) => {
			for (const entry of existsSync(dir) ? readdirSync(dir, { withFileTypes: true }) : []) {
				const full = path.join(dir, entry.name);
				if (entry.isDirectory())
					walk(full);
				else if (!entry.name.endsWith(".manifest.json"))
					found.set(entry.name, full);
			}
		};
		walk(files);
		return found;
	}

	offer(name, data) {
		const target = path.join(this.storage, "offers/all", name);
		mkdirSync(path.dirname(target), { recursive: true });
		writeFileSync(`${target}.part`, data);
		execFileSync("mv", [`${target}.part`, target]);
		return target;
	}
}

/** A client that speaks the protocol as devices do. */
export class Device {
	static async connect(broker, clientId, user = "dev") {
		const device = new Device();
		device.answers = [];
		device.client = await mqtt.connectAsync(`mqtt://127.0.0.1:${broker.port}`, { clientId, username: user, password: PASSWORDS[user],
			protocolVersion: 5, reconnectPeriod: 0 });
		device.client.on("error", () => undefined);
		device.client.on("message", (_topic, payload) => device.answers.push(JSON.parse(payload)));
		await device.client.subscribeAsync(`$file-response/${clientId}`, { qos: 0 });
		return device;
	}

	/** The PUBACK is enough. */
	async send(topic, payload = "") {
		await this.client.publishAsync(topic, payload, { qos: 1 }).catch((error) => {
			if (typeof error.code !== "number")
				throw error;
		});
	}

	async begin(file, meta, data) {
		await this.send(`$file/${file}/init`, JSON.stringify(meta));
		if (data)
			await this.send(`$file/${file}/0`, data);
	}

	answer(topic, what = topic) {
		return eventually(() => this.answers.find((a) => a.topic === topic), `an answer to ${what}`);
	}

	end() {
		this.client.end(true);
	}
}

/** A broker that ends with the test. */
export async function started(t, options = {}) {
	const broker = new Broker(options);
	t.after(() => broker.remove());
	return broker.start();
}

export async function launch() {
	return chromium.launch({
		executablePath: process.env.FT_CHROMIUM ?? "/usr/bin/chromium", headless: true,
		args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
			"--disable-component-update", "--disable-sync"],
	});
}

/** A page that is watched: what it asks for, and what it complains of. */
export async function open(t, browser, broker, options = {}) {
	const context = options.context ?? await browser.newContext({ viewport: { width: 1280, height: 800 }, acceptDownloads: true, ...options.context_options });
	context.setDefaultTimeout(PATIENCE_MS);
	t.after(() => context.close());
	const page = await context.newPage();
	page.requests = [];
	page.complaints = [];
	page.on("request", (request) => page.requests.push(request.url()));
	page.on("websocket", (socket) => page.requests.push(socket.url()));
	page.on("pageerror", (error) => page.complaints.push(String(error)));
	page.on("console", (message) => {
		if (message.type() === "error" || /Content Security Policy/.test(message.text()))
			page.complaints.push(message.text());
	});
	await page.goto(options.url ?? broker.url);
	/* A page that does not even begin is told at once. */
	await eventually(async () => page.complaints.length > 0 || await page.locator("#app *").count() > 0, "the page shows something");
	assert.deepEqual(page.complaints, []);
	return page;
}

export async function signIn(page, user, password = PASSWORDS[user]) {
	await page.getByLabel("User name").fill(user);
	await page.getByLabel("Password").fill(password);
	await page.getByRole("button", { name: "Sign in" }).click();
}

export async function signedIn(t, browser, broker, user, options = {}) {
	const page = await open(t, browser, broker, options);
	await signIn(page, user);
	await page.getByRole("navigation", { name: "File transfer" }).waitFor();
	return page;
}


/** The data of one command of the admin API. */
export async function admin(broker, command, args = {}) {
	const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${broker.port}`, { username: "olga", password: PASSWORDS.olga, protocolVersion: 5,
		reconnectPeriod: 0 });
	try {
		const answered = new Promise((resolve) => client.on("message", (_topic, payload) => resolve(JSON.parse(payload).responses[0])));
		await client.publishAsync("$CONTROL/file-transfer/v1", JSON.stringify({ commands: [{ command, ...args }] }), { qos: 1 });
		const answer = await answered;
		assert.equal(answer.error, undefined, answer.detail);
		return answer.data;
	} finally {
		client.end(true);
	}
}
