// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
import { useEffect } from "preact/hooks";
import { AdminError } from "../console/admin.ts";
import type { ConsoleModel } from "../console/model.ts";
import type { Session } from "../session.ts";
import { T, adminError } from "../words.ts";
import { Clients } from "./clients.tsx";
import { Events } from "./events.tsx";
import { Files } from "./files.tsx";
import { Health } from "./health.tsx";
import { Transfers } from "./transfers.tsx";
import { Notice, toast, useChanges } from "./ui.tsx";

const SUBS = ["transfers", "files", "clients", "health", "events"] as const;
type Sub = typeof SUBS[number];

/** Does something, says so, and asks again what there is now. */
export async function act(model: ConsoleModel, done: string, work: () => Promise<unknown>): Promise<boolean> {
	try {
		await work();
		toast(done);
		model.refresh();
		return true;
	} catch (error) {
		toast(error instanceof AdminError ? adminError(error.word, error.detail) : String(error), "bad");
		model.refresh();
		return false;
	}
}

export function Console({ session, model, sub, go }: { session: Session; model: ConsoleModel; sub: string; go: (sub: Sub) => void }) {
	useChanges(model);
	useEffect(() => model.watch(), [model]);
	const shown: Sub = SUBS.find((one) => one === sub) ?? "transfers";
	return <main class="page" id="content" tabIndex={-1}>
		<h1 class="hidden">{T.console.heading}</h1>
		<nav class="subtabs" aria-label={T.console.heading}>
			{SUBS.map((one) => <a key={one} href={`#console/${one}`} aria-current={shown === one ? "page" : undefined}
				onClick={(event) => { event.preventDefault(); go(one); }}>{T.consoleTabs[one]}</a>)}
		</nav>
		{model.error && session.link.state === "online" && <Notice tone="warn">{adminError(model.error.word, model.error.detail)}</Notice>}
		{model.status.disk_full === true && <Notice tone="bad">{T.console.health.full}</Notice>}
		{shown === "transfers" && <Transfers model={model} />}
		{shown === "files" && <Files session={session} model={model} />}
		{shown === "clients" && <Clients model={model} />}
		{shown === "health" && <Health model={model} />}
		{shown === "events" && <Events model={model} />}
	</main>;
}
