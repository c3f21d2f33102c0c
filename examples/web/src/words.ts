// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Every text that people read. Sentences say what happened, then what to do.

/** What the broker's reason words mean for a person, and the remedy. */
const REASONS: Record<string, string> = {
	success: "Done.",
	no_such_transfer: "The broker no longer knows this upload. It is sent again from the beginning.",
	file_checksum_mismatch: "What arrived is not what was sent. It is sent again; if that fails too, the file changes while it is read.",
	checksum_mismatch: "A part arrived damaged and is sent again.",
	incomplete: "Some parts are missing and are sent again.",
	io_error: "The broker cannot write to its disk. It is tried again; if this stays, tell the operator.",
	timeout: "Verifying takes the broker longer than it allows itself. It is asked again.",
	internal_error: "The broker has a problem of its own. It is tried again; the operator finds the reason in its log.",
	invalid_fileid: "The broker does not accept the id of this upload. Please report this: it is a fault of this page.",
	invalid_file_command: "The broker does not understand this page. Perhaps the page and the plugin are of different versions; a client id with + or # does it, too.",
	invalid_offset: "The broker does not accept where a part belongs. Please report this: it is a fault of this page.",
	invalid_size: "The broker does not accept the size of this file.",
	invalid_checksum: "The broker does not accept the checksum. Please report this: it is a fault of this page.",
	invalid_filemeta: "The broker does not accept this name. Rename the file: no : or \\, at most 240 bytes.",
	invalid_filemeta_json: "The broker does not accept the description of this file. Please report this: it is a fault of this page.",
	filemeta_conflict: "Another file was begun under the same id. It is sent under a new one.",
	already_complete: "Another file was finished under the same id. It is sent under a new one.",
	rejected: "The broker's operator does not accept this file.",
	file_too_large: "This file is larger than the broker accepts. Ask the operator for more, or split it.",
	segment_too_large: "The broker wants smaller parts; they are made smaller.",
	name_refused: "The broker does not accept files with such a name. Ask the operator which are allowed.",
	disk_full: "The broker's disk is full. It is tried again by itself; the operator has to make room.",
	too_many_transfers: "Too many uploads are unfinished. It goes on by itself when some are done.",
	paused: "The operator has paused this. It goes on by itself when the pause ends.",
	busy: "The broker is busy. It goes on by itself.",
	rate_limited: "You have reached the speed that the operator allows. It goes on by itself.",
	quota_exceeded: "There is no room left for you on the broker. It is tried again by itself; ask the operator for more, or to delete files.",
	no_such_file: "This file is not offered to you any more.",
	invalid_path: "The broker does not accept this path.",
	invalid_length: "The broker does not accept the size of a block. Please report this: it is a fault of this page.",
	block_too_large: "The broker wants smaller blocks; they are made smaller.",
	file_changed: "The file was replaced meanwhile. The new one is fetched from the beginning.",
	not_authorized: "Your account may not do this. Ask the operator for the right to publish there.",
};

/** By the code, for words of a later version. */
const CODES: Record<number, string> = {
	0x10: "The broker wants this to begin again.",
	0x80: "It did not work this time. It is tried again by itself.",
	0x83: "The broker does not accept this.",
	0x87: "Your account may not do this. Ask the operator.",
	0x97: "The broker wants a pause. It goes on by itself.",
};

export function reason(word: string, code: number, detail?: string): string {
	const text = REASONS[word] ?? CODES[code] ?? "It did not work.";
	return detail ? `${text} The broker says: ${detail}` : text;
}

export function knows(word: string): boolean {
	return word in REASONS;
}

/** Errors of the admin API. */
const ADMIN: Record<string, string> = {
	no_such_transfer: "This upload has ended meanwhile.",
	no_such_file: "This file is gone meanwhile.",
	busy: "The broker is busy. Try again in a moment.",
	timeout: "The broker did not answer. Try again in a moment.",
	not_authorized: "Your account may not do this any more.",
};

export function adminError(word: string, detail?: string): string {
	return ADMIN[word] ?? (detail ? `The broker says: ${detail}` : `The broker refused this (${word}).`);
}

export const T = {
	title: "File transfer",
	skip: "Skip to content",
	version: "Mosquitto file transfer",
	tabs: { send: "Send", get: "Get", console: "Console" },
	consoleTabs: { transfers: "Transfers", files: "Files", clients: "Clients", health: "Health", events: "Events" },
	signOut: "Sign out",
	signedIn: (user: string) => user || "anonymous",
	link: {
		connecting: "Connecting…", online: "Connected", waiting: "Reconnecting…", refused: "Refused", taken: "Open elsewhere",
		off: "Not connected",
		away: (s: number) => `The broker is out of reach. Trying again${s > 0 ? ` in ${s} s` : ""}; nothing is lost.`,
		tryNow: "Try now",
		taken_text: "This page was opened in another tab or window with the same account. Only one can be connected.",
		useHere: "Use it here",
		ended: "The broker ended your session.",
	},
	login: {
		heading: "Sign in", user: "User name", password: "Password", show: "Show", hide: "Hide", submit: "Sign in",
		busy: "Signing in…", more: "More", clientId: "Client id",
		clientIdHelp: "Unfinished uploads belong to it. Where the broker takes the user name for it, write that here.",
		hint: "The broker's account. It is kept in this page's memory only.",
		plain: "This page came without encryption: the password will travel as plain text. Use https where you can.",
		wrong: "The broker does not know this user name and password.",
		away: "The broker does not answer. Is it running, and does it have a listener for WebSockets here?",
		badId: "The broker does not accept this client id.",
		refused: (why: string) => `The broker refused the connection: ${why}`,
	},
	rights: {
		noUpload: "Your account may not send files. Ask the operator for the right to publish to $file/#.",
		noUploadAnswer: "The broker does not answer to uploads. Either the file-transfer plugin is not loaded, or your account may not read $file-response/…, or the client id above is not the one that the broker uses.",
		noDownload: "Your account may not fetch files. Ask the operator for the right to publish to $file-get/#.",
		noDownloadAnswer: "The broker offers no files for download: plugin_opt_downloads is off.",
		noEvents: "Your account may not read $file-event/#.",
	},
	send: {
		heading: "Send files", drop: "Drop files or folders here", or: "or", files: "Choose files", folder: "Choose a folder",
		note: "They go on by themselves after a lost connection.",
		empty: "Nothing sent yet",
		overall: (done: number, all: number) => `${done} of ${all} ${all === 1 ? "file" : "files"}`,
		left: (time: string) => `${time} left`,
		pauseAll: "Pause all", resumeAll: "Resume all", clear: "Clear finished",
		pause: "Pause", resume: "Resume", cancel: "Cancel", retry: "Try again", remove: "Remove",
		state: {
			queued: "Waiting for its turn", asking: "Asking the broker", sending: "Sending", hashing: "Computing the checksum",
			finishing: "The broker verifies it", waiting: "Waiting", paused: "Paused", done: "Stored and verified",
			failed: "Not sent", link: "Waiting for the connection",
		},
		had: "Was there already",
		again: (s: number) => `Again in ${s} s.`,
		changed: "The file has changed or is gone since you picked it. Pick it again.",
		unreadable: "The browser cannot read this file. Is it still there?",
		nameTooLong: "The name is longer than 240 bytes. Rename the file.",
		badName: "The broker takes no names with : or \\ or control characters. Rename the file.",
		unfinished: (n: number) => n === 1 ? "1 upload was interrupted when the page was closed" : `${n} uploads were interrupted when the page was closed`,
		unfinishedHelp: "Pick the same files again, and they go on where they were.",
		held: (percent: number) => `${percent} % is there`,
		forget: "Forget",
		leave: "Files are still being sent.",
		progress: (name: string) => `Progress of ${name}`,
	},
	get: {
		heading: "Get files", search: "Search", empty: "Nothing is offered to you", none: "Nothing matches",
		download: "Download", cancel: "Cancel", pause: "Pause", resume: "Resume", again: "Download again", retry: "Try again",
		state: {
			asking: "Asking the broker", getting: "Fetching", verifying: "Verifying", done: "Saved, checksum verified", failed: "Not fetched",
			waiting: "Waiting", paused: "Paused", link: "Waiting for the connection", cancelled: "Cancelled",
		},
		tooLarge: (limit: string) => `This browser can save files of up to ${limit} from this page. Open it over https in Chromium or Edge, or use ft-get or mosquitto_rr.`,
		damaged: "What arrived is not what was offered: its checksum is another one. It was not saved.",
		silent: "The broker sends nothing more. Try again; the operator finds the reason in its log.",
		unwritable: "It could not be written to where you chose. Is that disk full?",
		count: (n: number) => n === 1 ? "1 file" : `${n.toLocaleString("en")} files`,
		more: "The list is cut here. Search for the beginning of a path.",
		checksum: "SHA-256", changed: "Changed", bound: (limit: string) => `Files go through this page's memory here, up to ${limit}.`,
	},
	console: {
		heading: "Console",
		filter: "Filter by client or name", all: "All states", stale: "The list is from", ageNote: "refreshed",
		columns: { client: "Client", name: "Name", progress: "Progress", rate: "Rate", age: "Age", news: "Last news", state: "State", actions: "Actions",
			size: "Size", completed: "Completed", used: "Unfinished", transfers: "Uploads", files: "Files", quota: "Quota used", },
		tiles: { active: "Unfinished", rate: "Throughput", finished: "Finished files", free: "Disk left", log: "Log fill", memory: "Memory" },
		pause: "Pause", resume: "Resume", abort: "Abort", pauseAll: "Pause all", resumeAll: "Resume all", allPaused: "All uploads are paused",
		abortTitle: "Abort this upload?", abortText: "Its bytes are deleted. The device stays connected and may begin again.",
		deleteTitle: "Delete this file?", deleteText: "The file and its manifest are removed from the broker's disk.",
		pauseAllTitle: "Pause all uploads?", pauseAllText: "Every device is told to wait until you resume. Nothing is lost.",
		confirmAbort: "Abort upload", confirmDelete: "Delete file", confirmPause: "Pause all", cancel: "Cancel", close: "Close",
		noTransfers: "No uploads are on their way", noMatch: "Nothing matches", noFiles: "No finished files", noClients: "No clients yet",
		loading: "Loading…",
		shown: (n: number, all: number) => n === all ? `${n.toLocaleString("en")}` : `${n.toLocaleString("en")} of ${all.toLocaleString("en")}`,
		aborted: (name: string) => `Aborted ${name}`, deleted: (name: string) => `Deleted ${name}`, paused: (name: string) => `Paused ${name}`, resumed: (name: string) => `Resumed ${name}`,
		fileSearch: { name: "Name", namePlaceholder: "*.log", client: "Client id", since: "From", until: "To", minSize: "At least", submit: "Search", reset: "Reset" },
		more: "Load more", sort: "Sort by", sorted: { time: "the newest first", name: "by name", size: "the largest first" },
		details: "Details", delete: "Delete", download: "Download",
		fetched: "Fetched from here", downloadNote: "It can be downloaded here where plugin_opt_downloads is native, and your account may fetch files.",
		detail: { file: "File id", transfer: "Transfer id", path: "Path below storage_dir", sha: "SHA-256", expires: "Expires", never: "never", present: "On disk", yes: "yes", no: "taken away", copy: "Copy", copied: "Copied",
			userData: "user_data", ranges: "Bytes held", begun: "Begun", expiresIn: "Expires in" },
		limits: { title: "Limits", none: "none", overridden: "by limits_file", used: "Held by all clients",
			names: { storage_quota: "Quota of all", client_quota: "Quota", client_bandwidth: "Bandwidth", client_rate: "Commands per second", max_file_size: "Largest file", max_segment_size: "Largest segment", max_transfers_per_client: "Uploads at once" } as Record<string, string>,
			help: "Such as 10G, 512k or 7. Empty: no limit.", save: "Save", saved: (whom: string) => `Limits of ${whom} are changed`, same: "Nothing was changed",
			whom: "For", onlyThis: "this client only", all: (pattern: string) => `all that match ${pattern}`, back: "As the broker's options say", backDone: (whom: string) => `The broker's options count for ${whom} again`,
			noFile: "To change limits here, give the broker plugin_opt_limits_file.", reload: "Read limits_file again", reloaded: "limits_file was read again; what changed is in the broker's log." },
		quotaOf: (part: string, whole: string) => `${part} of ${whole}`, quotaUsed: (name: string) => `Quota used by ${name}`,
		health: { throughput: "Throughput", received: "received", downloads: "downloads", latency: "Until a file is verified and visible", p50: "half are faster", p99: "99 of 100 are faster",
			refusals: "Refusals by reason", noRefusals: "Nothing was refused since the broker started", disk: "Disk", logFill: "Log", memory: "Memory", quota: "Quota", free: "free", of: "of",
			now: "now", minutes: (m: number) => `last ${m} min`, uptime: "Up", version: "Plugin", jobs: "Jobs", full: "The disk is full: no new bytes are taken.", fsync: "Disk sync, 99 of 100",
			chart: (title: string, value: string) => `${title}: ${value} now` },
		events: { none: "Nothing has happened since you signed in", help: "Events need plugin_opt_events on.", userData: "user_data",
			types: { started: "began", resumed: "went on with", completed: "completed", failed: "failed at", aborted: "gave up", expired: "expired:", deleted: "deleted:",
				download_started: "fetches", download_sent: "was sent", download_report: "reports on" } as Record<string, string> },
		states: { receiving: "Receiving", assembling: "Verifying", complete: "Complete", paused: "Paused" } as Record<string, string>,
		ago: (time: string) => `${time} ago`,
	},
};
