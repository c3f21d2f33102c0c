// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
import { useEffect, useState } from "preact/hooks";
import { Session } from "../session.ts";
import { T } from "../words.ts";
import { Icon, Notice, useChanges } from "./ui.tsx";

/** The same for the same user in this browser: unfinished uploads belong to it. No part of it is secret. */
function clientIdFor(user: string): string {
	const key = `file-transfer/client/${user}`;
	try {
		const kept = localStorage.getItem(key);
		if (kept)
			return kept;
	} catch {
		/* A browser that keeps nothing gets a new one each time. */
	}
	const random = Array.from(crypto.getRandomValues(new Uint8Array(4)), (b) => b.toString(16).padStart(2, "0")).join("");
	return `${user.replace(/[^A-Za-z0-9._-]/g, "") || "web"}-${random}`;
}

function keepClientId(user: string, id: string): void {
	try {
		localStorage.setItem(`file-transfer/client/${user}`, id);
	} catch {
		/* As above. */
	}
}

function failure(session: Session): string {
	const code = session.link.refusal;
	if (code === 0x86 || code === 0x87 || code === 4 || code === 5)
		return T.login.wrong;
	if (code === 0x85 || code === 2)
		return T.login.badId;
	return code ? T.login.refused(`0x${code.toString(16)}`) : T.login.away;
}

export function Login({ url: found, onSession }: { url: Promise<string>; onSession: (session: Session) => void }) {
	const [user, setUser] = useState("");
	const [password, setPassword] = useState("");
	const [typedId, setTypedId] = useState("");
	const [shown, setShown] = useState(false);
	const [trial, setTrial] = useState<Session | undefined>();
	const [busy, setBusy] = useState(false);
	const [error, setError] = useState("");
	const [url, setUrl] = useState("");
	useEffect(() => void found.then(setUrl), [found]);
	const suggested = clientIdFor(user);
	useChanges(trial?.link);
	const state = trial?.link.state;
	useEffect(() => {
		if (!trial)
			return;
		if (state === "online") {
			keepClientId(trial.user, trial.link.clientId);
			onSession(trial);
		} else if (state === "refused" || state === "taken") {
			setError(failure(trial));
			trial.stop();
			setTrial(undefined);
			setBusy(false);
		}
	}, [state]);
	const submit = (event: Event) => {
		event.preventDefault();
		setError("");
		setBusy(true);
		void found.then((to) => setTrial(new Session(to, { user, password, clientId: typedId || suggested })));
	};
	return <main class="login">
		<form class="card" onSubmit={submit}>
			<div class="brand big"><Mark /><h1>{T.title}</h1></div>
			<p class="muted">{T.login.hint}</p>
			<label>{T.login.user}
				<input name="username" autocomplete="username" autocapitalize="none" spellcheck={false} value={user}
					onInput={(event) => setUser(event.currentTarget.value)} autofocus />
			</label>
			<label>{T.login.password}
				<span class="joined">
					<input name="password" {...{ type: shown ? "text" : "password" } as { type: "password" }} autocomplete="current-password" value={password}
						onInput={(event) => setPassword(event.currentTarget.value)} />
					<button type="button" class="link" onClick={() => setShown(!shown)} aria-pressed={shown}>{shown ? T.login.hide : T.login.show}</button>
				</span>
			</label>
			<details>
				<summary>{T.login.more}</summary>
				<label>{T.login.clientId}
					<input name="client-id" autocomplete="off" autocapitalize="none" spellcheck={false} value={typedId} placeholder={suggested}
						onInput={(event) => setTypedId(event.currentTarget.value)} />
				</label>
				<p class="muted small">{T.login.clientIdHelp}</p>
			</details>
			<div class="message" role="alert">{error && <span class="error"><Icon name="warn" />{error}</span>}</div>
			<button type="submit" class="button primary wide" disabled={busy}>{busy ? T.login.busy : T.login.submit}</button>
			{url.startsWith("ws:") && !/^(localhost|127\.|\[::1)/.test(location.hostname) && <Notice tone="info">{T.login.plain}</Notice>}
			<p class="muted small center host">{url && new URL(url).host}</p>
		</form>
	</main>;
}

export function Mark() {
	return <svg class="mark" viewBox="0 0 32 32" aria-hidden="true"><rect width="32" height="32" rx="8" />
		<path d="M11 20V9m0 0-4 4m4-4 4 4M21 12v11m0 0-4-4m4 4 4-4" /></svg>;
}
