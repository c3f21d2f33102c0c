// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Where a download goes: straight to a file that the person has chosen, where the browser can (and the page came
// over https or from this machine), else into a Blob, which the browser saves at the end.

export interface Sink {
	write(bytes: Uint8Array): Promise<void>;
	/** Everything again from the beginning. */
	restart(): Promise<void>;
	finish(): Promise<void>;
	abandon(): Promise<void>;
}

/** What a Blob may take. */
export const BLOB_MAX = 1 << 30;
const PART = 8 << 20;

interface Writable {
	write(bytes: Uint8Array): Promise<void>;
	seek(position: number): Promise<void>;
	truncate(size: number): Promise<void>;
	close(): Promise<void>;
	abort(): Promise<void>;
}
type Picker = (options: { suggestedName: string }) => Promise<{ createWritable(): Promise<Writable> }>;

function picker(): Picker | undefined {
	return (window as unknown as { showSaveFilePicker?: Picker }).showSaveFilePicker?.bind(window);
}

export function canStream(): boolean {
	return picker() !== undefined;
}

class FileSink implements Sink {
	readonly #writable: Writable;

	constructor(writable: Writable) {
		this.#writable = writable;
	}

	write(bytes: Uint8Array): Promise<void> {
		return this.#writable.write(bytes);
	}

	async restart(): Promise<void> {
		await this.#writable.truncate(0);
		await this.#writable.seek(0);
	}

	finish(): Promise<void> {
		return this.#writable.close();
	}

	/* The file that was there before stays as it was. */
	async abandon(): Promise<void> {
		await this.#writable.abort();
	}
}

class BlobSink implements Sink {
	readonly #name: string;
	#whole = new Blob([]);
	#parts: Uint8Array[] = [];
	#partBytes = 0;

	constructor(name: string) {
		this.#name = name;
	}

	async write(bytes: Uint8Array): Promise<void> {
		this.#parts.push(bytes);
		this.#partBytes += bytes.length;
		if (this.#partBytes >= PART)
			this.#gather();
	}

	async restart(): Promise<void> {
		this.#whole = new Blob([]);
		this.#parts = [];
		this.#partBytes = 0;
	}

	async finish(): Promise<void> {
		this.#gather();
		const url = URL.createObjectURL(this.#whole);
		const link = document.createElement("a");
		link.href = url;
		link.download = this.#name;
		document.body.append(link);
		link.click();
		link.remove();
		setTimeout(() => URL.revokeObjectURL(url), 60_000);
	}

	async abandon(): Promise<void> {
		await this.restart();
	}

	#gather(): void {
		this.#whole = new Blob([this.#whole, ...this.#parts as BlobPart[]], { type: "application/octet-stream" });
		this.#parts = [];
		this.#partBytes = 0;
	}
}

/** Undefined: the person has chosen nothing. */
export async function openSink(name: string): Promise<Sink | undefined> {
	const pick = picker();
	if (!pick)
		return new BlobSink(name);
	try {
		const handle = await pick({ suggestedName: name });
		return new FileSink(await handle.createWritable());
	} catch (error) {
		if (error instanceof DOMException && error.name === "AbortError")
			return undefined;
		return new BlobSink(name);
	}
}
