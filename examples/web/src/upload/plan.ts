// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// What is decided about an upload without sending anything: its id, whether its name can do, whether it
// goes in one message, and what to do about a refusal.

/** Files of at most so many bytes go in one message, or in one go. */
export const SMALL = 256 << 10;
export const NAME_MAX = 240;

export interface Source {
	name: string;
	/** Where it lay in a folder that was dropped, with its name; "" for a file alone. */
	path: string;
	size: number;
	/** ms, as File has it. */
	modified: number;
}

/** What the id is the checksum of: the same file finds its transfer again in another run. */
export function identity(source: Source, salt = ""): string {
	return ["web", source.path || source.name, source.size, source.modified, salt].join("\n");
}

export type NameFault = "nameTooLong" | "badName" | undefined;

/** The rules of `init`, so that nobody has to wait to hear of them. */
export function nameFault(name: string): NameFault {
	if (new TextEncoder().encode(name).length > NAME_MAX)
		return "nameTooLong";
	// eslint-disable-next-line no-control-regex
	if (name === "" || name === "." || name === ".." || /[/\\:\u0000-\u001f\u007f]/.test(name) || name.endsWith(".manifest.json"))
		return "badName";
	return undefined;
}

/** Whether one message, `put`, can tell all of it. */
export function fitsPut(source: Source, segment: number): boolean {
	return source.size <= Math.min(SMALL, segment) && source.path === "" && !/[+#]/.test(source.name);
}

export type Remedy = "again" | "wait" | "restart" | "new-id" | "smaller" | "give-up";

/** What to do about a refusal, by its word, or by its code where a later version has another word. */
export function remedy(word: string, code: number): Remedy {
	switch (word) {
	case "incomplete": case "checksum_mismatch":
		return "again";
	case "filemeta_conflict": case "already_complete":
		return "new-id";
	case "segment_too_large":
		return "smaller";
	case "no_such_transfer": case "file_checksum_mismatch":
		return "restart";
	}
	if (code === 0x97 || code === 0x80)
		return "wait";
	return code === 0x10 ? "restart" : "give-up";
}

/** Seconds until the next try: what the broker says, or 1, 2, 4, ... up to a minute. */
export function patience(code: number, retryAfter: number, tries: number): number {
	return code === 0x97 ? retryAfter : Math.min(60, 2 ** Math.min(6, tries));
}
