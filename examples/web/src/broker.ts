// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Where the broker's WebSockets are. Mosquitto 2.0 serves this page on the very listener; Mosquitto 2.1 as Debian
// builds it serves files by `protocol http_api` on a port of its own, and tells there which others it has.
// Never from the page's own address (`?…`), or a link could have people type their password for somebody else.

interface Listener {
	port?: unknown;
	protocol?: unknown;
	tls?: unknown;
}

/** The port of a listener that fits how the page came; undefined if there is none. */
export function webSocketPort(answer: unknown, tls: boolean): number | undefined {
	const listeners = (answer as { listeners?: unknown } | null)?.listeners;
	if (!Array.isArray(listeners))
		return undefined;
	const fitting = (listeners as Listener[]).filter((one) => one?.protocol === "websockets" && typeof one.port === "number");
	const found = fitting.find((one) => Boolean(one.tls) === tls) ?? (tls ? undefined : fitting[0]);
	return found?.port as number | undefined;
}

export async function brokerUrl(): Promise<string> {
	const configured = document.querySelector<HTMLMetaElement>('meta[name="broker"]')?.content ?? "auto";
	if (/^wss?:\/\//.test(configured))
		return configured;
	const tls = location.protocol === "https:";
	const scheme = tls ? "wss" : "ws";
	try {
		/* Only 2.0 says so; its answer to the question would be 404. */
		const head = await fetch(location.href, { method: "GET", cache: "no-store" });
		if (head.headers.get("server") !== "mosquitto") {
			const answer = await fetch("/api/v1/listeners", { cache: "no-store" });
			const port = answer.ok ? webSocketPort(await answer.json(), tls) : undefined;
			if (port !== undefined)
				return `${scheme}://${location.hostname}:${port}/mqtt`;
		}
	} catch {
		/* Whoever serves this page knows no such question. */
	}
	return `${scheme}://${location.host}/mqtt`;
}

/** From now on the page can connect to this address and to where it came from, and nowhere else. */
export function confine(url: string): void {
	const policy = document.createElement("meta");
	policy.httpEquiv = "Content-Security-Policy";
	policy.content = `connect-src 'self' ${new URL(url).origin.replace(/^null$/, url)}`;
	document.head.append(policy);
}
