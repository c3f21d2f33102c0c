// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// SHA-256 beside the page: of files, read in slices, and of streams that come in pieces.
import { createSHA256 } from "hash-wasm";

type Hasher = Awaited<ReturnType<typeof createSHA256>>;
export type Job = { id: number } & (
	{ file: Blob } | { bytes: Uint8Array } | { begin: true } | { update: Uint8Array } | { end: true } | { drop: true });
export type Result = { id: number } & ({ sum: string } | { done: number } | { error: string });

const SLICE = 4 << 20;
const idle: Hasher[] = [];
const streams = new Map<number, Promise<Hasher>>();
const dropped = new Set<number>();
const say = (result: Result) => postMessage(result);

async function take(): Promise<Hasher> {
	const hasher = idle.pop() ?? await createSHA256();
	return hasher.init();
}

async function hashFile(id: number, file: Blob): Promise<void> {
	const hasher = await take();
	try {
		for (let at = 0; at < file.size; at += SLICE) {
			const slice = new Uint8Array(await file.slice(at, at + SLICE).arrayBuffer());
			if (dropped.delete(id))
				return;
			hasher.update(slice);
			say({ id, done: at + slice.length });
		}
		say({ id, sum: hasher.digest("hex") });
	} finally {
		idle.push(hasher);
	}
}

async function work(job: Job): Promise<void> {
	if ("file" in job)
		return hashFile(job.id, job.file);
	if ("drop" in job) {
		const stream = streams.get(job.id);
		streams.delete(job.id);
		if (stream)
			idle.push(await stream);
		else
			dropped.add(job.id);
	} else if ("begin" in job) {
		streams.set(job.id, take());
	} else if ("update" in job) {
		(await streams.get(job.id))?.update(job.update);
	} else if ("end" in job) {
		const hasher = await streams.get(job.id);
		streams.delete(job.id);
		if (hasher) {
			say({ id: job.id, sum: hasher.digest("hex") });
			idle.push(hasher);
		}
	} else {
		const hasher = await take();
		hasher.update(job.bytes);
		say({ id: job.id, sum: hasher.digest("hex") });
		idle.push(hasher);
	}
}

/* One after the other, but for files, which are read meanwhile. */
let line: Promise<void> = Promise.resolve();
onmessage = (event: MessageEvent<Job>) => {
	const job = event.data;
	const fail = (error: unknown) => say({ id: job.id, error: String(error) });
	if ("file" in job || "drop" in job)
		void work(job).catch(fail);
	else
		line = line.then(() => work(job)).catch(fail);
};
