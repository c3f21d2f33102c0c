// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Which uploads a reload has interrupted: what is needed to ask the broker for them, and to tell people
// which file to pick again. No content, no password. Kept by this browser, by account.
import type { Source } from "./plan.ts";

export interface Remembered extends Source {
	id: string;
}

const MAX = 100;

export class Memory {
	readonly #key: string;

	constructor(account: string) {
		this.#key = `file-transfer/unfinished/${account}`;
	}

	all(): Remembered[] {
		try {
			const list: unknown = JSON.parse(localStorage.getItem(this.#key) ?? "[]");
			return Array.isArray(list) ? list.filter((r): r is Remembered => typeof r?.id === "string" &&
				typeof r.name === "string" && typeof r.path === "string" && typeof r.size === "number") : [];
		} catch {
			return [];
		}
	}

	add(one: Remembered): void {
		this.#write([...this.all().filter((r) => r.id !== one.id), one].slice(-MAX));
	}

	remove(id: string): void {
		const all = this.all();
		if (all.some((r) => r.id === id))
			this.#write(all.filter((r) => r.id !== id));
	}

	#write(list: Remembered[]): void {
		try {
			localStorage.setItem(this.#key, JSON.stringify(list));
		} catch {
			/* Without a store people pick what they remember themselves. */
		}
	}
}
