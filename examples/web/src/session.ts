// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// One person who is signed in: the connection, what it carries, and what the broker allows.
import { Answers, Refusal } from "./answers.ts";
import { Connection, Lost, Silent, type Login } from "./connection.ts";
import { Admin } from "./console/admin.ts";
import { ConsoleModel } from "./console/model.ts";
import { Downloader } from "./download/downloader.ts";
import { Uploader } from "./upload/uploader.ts";

/** `silent`: no right is missing, but nothing answers. */
export type Right = "unknown" | "yes" | "no" | "silent";

const PROBE_MS = 4000;

export class Session {
	readonly link: Connection;
	readonly answers: Answers;
	readonly uploader: Uploader;
	readonly downloader: Downloader;
	readonly admin: Admin;
	readonly user: string;
	model: ConsoleModel | undefined;
	rights = { upload: "unknown" as Right, download: "unknown" as Right, console: "unknown" as Right };
	readonly changed = new Set<() => void>();
	#probing = false;

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
	}

	/** Asks for what changes nothing, to learn what this account may do. */
	async #probe(): Promise<void> {
		if (this.#probing)
			return;
		this.#probing = true;
		const learn = async (right: keyof Session["rights"], question: Promise<unknown>) => {
			try {
				await question;
				this.rights[right] = "yes";
			} catch (error) {
				if (error instanceof Lost)
					return;
				if (error instanceof Refusal)
					this.rights[right] = error.word === "not_authorized" || error.code === 0x87 ? "no" : "yes";
				else if (error instanceof Silent || (error as { word?: string }).word === "timeout")
					this.rights[right] = "silent";
				else
					this.rights[right] = (error as { word?: string }).word === "not_authorized" ? "no" : "yes";
			}
			this.#tell();
		};
		await Promise.all([
			learn("upload", this.answers.ask("$file/page-probe/status", "", PROBE_MS)),
			learn("download", this.downloader.list()),
			learn("console", this.admin.do("getStatus", {}, PROBE_MS)),
		]);
		if (this.rights.console === "yes" && !this.model)
			this.model = new ConsoleModel(this.link, this.admin);
		if (this.rights.upload === "yes")
			void this.uploader.recall();
		this.#probing = false;
		this.#tell();
	}

	#tell(): void {
		for (const call of this.changed)
			call();
	}
}
