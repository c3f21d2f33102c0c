// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// One person who is signed in: the connection, what it carries, and what the broker allows.
import { Answers, Refusal } from "./answers.ts";
import { Connection, Lost, Silent, type Login } from "./connection.ts";
import { Admin, AdminError, type Data, type StoredFile } from "./console/admin.ts";
import { ConsoleModel } from "./console/model.ts";
import { CONSOLE_FOLDER, Downloader } from "./download/downloader.ts";
import { Uploader } from "./upload/uploader.ts";

/** `silent`: no right is missing, but nothing answers. */
export type Right = "unknown" | "yes" | "no" | "silent";

const PROBE_MS = 6000;
/** A broker that is busy may take longer than that. */
const PROBES = 3;

export class Session {
	readonly link: Connection;
	readonly answers: Answers;
	readonly uploader: Uploader;
	readonly downloader: Downloader;
	readonly admin: Admin;
	readonly user: string;
	model: ConsoleModel | undefined;
	/** Whether operators can have files offered: brokers from before that cannot. */
	offersFiles = false;
	rights = { upload: "unknown" as Right, download: "unknown" as Right, console: "unknown" as Right };
	readonly changed = new Set<() => void>();
	#probing = false;
	/* The link was lost and is there again meanwhile. */
	#probeAgain = false;

	constructor(url: string, login: Login) {
		this.user = login.user;
		this.link = new Connection(url, login);
		this.answers = new Answers(this.link);
		this.uploader = new Uploader(this.link, this.answers, `${login.user}/${login.clientId}`);
		this.downloader = new Downloader(this.link, this.answers, login.user);
		this.admin = new Admin(this.link);
		void this.link.subscribe(`$file-response/${login.clientId}`);
		this.link.changed.add(() => {
			if (this.link.state === "online")
				void this.#probe();
		});
		this.link.start();
	}

	stop(): void {
		this.link.stop();
		this.uploader.end();
		this.downloader.end();
	}

	/** Asks for what changes nothing, to learn what this account may do. */
	async #probe(): Promise<void> {
		if (this.#probing) {
			this.#probeAgain = true;
			return;
		}
		this.#probing = true;
		await Promise.all([
			this.#learn("upload", () => this.answers.ask("$file/page-probe/status", "", PROBE_MS)),
			this.#learn("download", () => this.downloader.list()),
			this.#learn("console", async () => {
				await this.admin.do("getStatus", {}, PROBE_MS);
				if (!this.model)
					void this.#withdrawOld();
				this.model ??= new ConsoleModel(this.link, this.admin);
			}),
		]);
		this.#probing = false;
		if (this.#probeAgain) {
			this.#probeAgain = false;
			void this.#probe();
		}
	}

	async #learn(right: keyof Session["rights"], question: () => Promise<unknown>): Promise<void> {
		for (let tries = 0; tries < PROBES; tries++) {
			try {
				await question();
				this.rights[right] = "yes";
			} catch (error) {
				if (error instanceof Lost)
					return;
				if (!(error instanceof Refusal || error instanceof AdminError || error instanceof Silent))
					throw error;
				const word = error instanceof Refusal || error instanceof AdminError ? error.word : "";
				this.rights[right] = word === "not_authorized" ? "no" : error instanceof Silent || word === "timeout" ? "silent" : "yes";
			}
			this.#tell();
			if (this.rights[right] !== "silent")
				break;
		}
		if (right === "upload" && this.rights.upload === "yes")
			void this.uploader.recall();
	}

	/** Fetches a finished file: it is offered to this page, by a link and not a copy, until it is here. */
	async fetchStored(file: StoredFile): Promise<void> {
		const to = `client/${this.link.clientId}`, name = CONSOLE_FOLDER + crypto.getRandomValues(new Uint32Array(2)).join("-");
		await this.downloader.fetchStored({ path: name, title: file.name, size: file.size, sha256: file.sha256, modified: file.completed, meta: undefined },
			() => this.admin.do("offerFile", { ...file.names, to, name }));
		await this.admin.do("withdrawOffer", { to, name }).catch(() => undefined);
	}

	/* What a page left that was closed meanwhile. */
	async #withdrawOld(): Promise<void> {
		const to = `client/${this.link.clientId}`;
		const data: Data | undefined = await this.admin.do("listOffers", { to }).catch(() => undefined);
		if (!data)
			return;
		this.offersFiles = true;
		this.#tell();
		for (const { name } of Array.isArray(data.offers) ? data.offers as Data[] : [])
			if (typeof name === "string" && name.startsWith(CONSOLE_FOLDER))
				await this.admin.do("withdrawOffer", { to, name }).catch(() => undefined);
	}

	#tell(): void {
		for (const call of this.changed)
			call();
	}
}
