// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// How much may be on its way at once, in messages and in bytes; who wants more waits in line.

interface Waiter {
	bytes: number;
	go: () => void;
}

export class Slots {
	messages = 1;
	bytes = () => Infinity;
	#usedMessages = 0;
	#usedBytes = 0;
	#line: Waiter[] = [];

	get used(): number {
		return this.#usedBytes;
	}

	/** Resolves when there is room; the caller gives it back. The first always fits. */
	take(bytes: number): Promise<void> {
		return new Promise((resolve) => {
			this.#line.push({ bytes, go: resolve });
			this.#serve();
		});
	}

	give(bytes: number): void {
		this.#usedMessages--;
		this.#usedBytes -= bytes;
		this.#serve();
	}

	#serve(): void {
		for (;;) {
			const next = this.#line[0];
			if (!next)
				return;
			const alone = this.#usedMessages === 0;
			if (!alone && (this.#usedMessages >= this.messages || this.#usedBytes + next.bytes > this.bytes()))
				return;
			this.#line.shift();
			this.#usedMessages++;
			this.#usedBytes += next.bytes;
			next.go();
		}
	}
}
