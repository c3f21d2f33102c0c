// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// The worker's other side.
import type { Job, Result } from "./worker.ts";

declare const WORKER_SOURCE: string;

interface Call {
	resolve: (sum: string) => void;
	reject: (error: Error) => void;
	progress: ((done: number) => void) | undefined;
}

let worker: Worker | undefined;
let serial = 0;
const calls = new Map<number, Call>();

function post(job: Job, transfer: Transferable[] = []): void {
	if (!worker) {
		worker = new Worker(URL.createObjectURL(new Blob([WORKER_SOURCE], { type: "text/javascript" })));
		worker.onmessage = (event: MessageEvent<Result>) => {
			const result = event.data, call = calls.get(result.id);
			if (!call)
				return;
			if ("done" in result)
				return call.progress?.(result.done);
			calls.delete(result.id);
			if ("sum" in result)
				call.resolve(result.sum);
			else
				call.reject(new Error(result.error));
		};
		worker.onerror = (event) => {
			for (const call of calls.values())
				call.reject(new Error(event.message));
			calls.clear();
		};
	}
	worker.postMessage(job, transfer);
}

function wait(id: number, progress?: (done: number) => void): Promise<string> {
	return new Promise((resolve, reject) => calls.set(id, { resolve, reject, progress }));
}

/** SHA-256 in hex of a file, which is read in slices. */
export function hashFile(file: Blob, progress?: (done: number) => void): { sum: Promise<string>; drop: () => void } {
	const id = ++serial, sum = wait(id, progress);
	post({ id, file });
	return {
		sum,
		drop: () => {
			if (calls.delete(id))
				post({ id, drop: true });
		},
	};
}

/** SHA-256 in hex of some bytes. */
export function hashBytes(bytes: Uint8Array): Promise<string> {
	const id = ++serial, sum = wait(id);
	post({ id, bytes });
	return sum;
}

/** SHA-256 in hex of what is given to update(), in its order. */
export class HashStream {
	readonly #id = ++serial;

	constructor() {
		post({ id: this.#id, begin: true });
	}

	update(bytes: Uint8Array): void {
		post({ id: this.#id, update: bytes });
	}

	end(): Promise<string> {
		const sum = wait(this.#id);
		post({ id: this.#id, end: true });
		return sum;
	}

	drop(): void {
		post({ id: this.#id, drop: true });
	}
}
