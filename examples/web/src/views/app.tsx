// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
import { useEffect, useState } from "preact/hooks";
import { visible } from "../format.ts";
import type { Session } from "../session.ts";
import { T } from "../words.ts";
import { Console } from "./console.tsx";
import { Get } from "./get.tsx";
import { Login, Mark } from "./login.tsx";
import { Send } from "./send.tsx";
import { Icon, Toasts, useChanges, useClock } from "./ui.tsx";

type Tab = "send" | "get" | "console";
const TABS: { tab: Tab; icon: "up" | "down" | "console" }[] = [
	{ tab: "send", icon: "up" }, { tab: "get", icon: "down" }, { tab: "console", icon: "console" }];

export function App({ url }: { url: Promise<string> }) {
	const [session, setSession] = useState<Session | undefined>();
	if (!session)
		return <><Login url={url} onSession={setSession} /><Toasts /></>;
	return <Signed session={session} onEnd={() => { session.stop(); setSession(undefined); }} />;
}

function useTab(): [Tab, string, (hash: string) => void] {
	const read = () => location.hash.replace(/^#/, "").split("/");
	const [parts, set] = useState(read());
	useEffect(() => {
		const change = () => set(read());
		addEventListener("hashchange", change);
		return () => removeEventListener("hashchange", change);
	}, []);
	const tab = TABS.find((one) => one.tab === parts[0])?.tab ?? "send";
	return [tab, parts[1] ?? "", (hash) => { location.hash = hash; }];
}

function Signed({ session, onEnd }: { session: Session; onEnd: () => void }) {
	useChanges(session, session.link, session.uploader);
	const [tab, sub, go] = useTab();
	const { link, rights } = session;
	/* A console that an account may not use is not shown. */
	const tabs = TABS.filter(({ tab: one }) => one !== "console" || rights.console === "yes");
	const shown = tabs.some((one) => one.tab === tab) ? tab : "send";
	useEffect(() => {
		if (link.state === "refused")
			document.title = T.title;
	}, [link.state]);
	return <div class="app">
		<a class="skip" href="#content" onClick={(event) => { event.preventDefault(); document.getElementById("content")?.focus(); }}>{T.skip}</a>
		<header class="top">
			<div class="brand"><Mark /><span>{T.title}</span></div>
			<nav aria-label={T.title}>
				{tabs.map(({ tab: one, icon }) => <a key={one} href={`#${one}`} aria-current={shown === one ? "page" : undefined}><Icon name={icon} />{T.tabs[one]}</a>)}
			</nav>
			<div class="who">
				<span class={`link-state ${link.state}`} role="status"><i aria-hidden="true" /><span class="label">{T.link[link.state]}</span></span>
				<span class="user wide-only" title={link.clientId}>{visible(T.signedIn(session.user))}</span>
				<button type="button" class="icon-button" onClick={onEnd} aria-label={T.signOut} title={T.signOut}><Icon name="out" /></button>
			</div>
		</header>
		<LinkBanner session={session} onEnd={onEnd} />
		{shown === "send" && <Send session={session} />}
		{shown === "get" && <Get session={session} />}
		{shown === "console" && session.model && <Console session={session} model={session.model} sub={sub} go={(to) => go(`console/${to}`)} />}
		<Toasts />
	</div>;
}

function LinkBanner({ session: { link }, onEnd }: { session: Session; onEnd: () => void }) {
	useClock();
	if (link.state === "waiting")
		return <div class="banner" role="alert"><Icon name="warn" /><span>{T.link.away(Math.max(0, Math.ceil((link.retryAt - Date.now()) / 1000)))}</span>
			<button type="button" class="button small" onClick={link.start}>{T.link.tryNow}</button></div>;
	if (link.state === "taken")
		return <div class="banner" role="alert"><Icon name="warn" /><span>{T.link.taken_text}</span>
			<button type="button" class="button small" onClick={link.start}>{T.link.useHere}</button></div>;
	if (link.state === "refused")
		return <div class="banner" role="alert"><Icon name="warn" /><span>{T.link.ended}</span>
			<button type="button" class="button small" onClick={onEnd}>{T.login.submit}</button></div>;
	return null;
}
