// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
import type { ConsoleModel, FleetEvent } from "../console/model.ts";
import * as format from "../format.ts";
import { T, reason } from "../words.ts";
import { Empty, Icon, Name, Notice, VirtualList, useNarrow, type IconName } from "./ui.tsx";

const E = T.console.events;
const ICON: Record<string, [IconName, string]> = {
	completed: ["check", "good"], failed: ["warn", "bad"], aborted: ["close", "quiet"], expired: ["clock", "quiet"], deleted: ["trash", "quiet"],
	started: ["up", ""], resumed: ["again", ""], download_started: ["down", ""], download_sent: ["down", "good"], download_report: ["info", ""],
};

export function Events({ model }: { model: ConsoleModel }) {
	const narrow = useNarrow();
	if (model.eventsDenied)
		return <Notice tone="warn">{T.rights.noEvents}</Notice>;
	if (model.events.length === 0)
		return <><Empty icon="clock">{E.none}</Empty><p class="muted small center">{E.help}</p></>;
	return <div class="card flush grow">
		<VirtualList rows={model.events} height={narrow ? 76 : 52} keyOf={(event) => event.key} label={T.consoleTabs.events} row={(event) => <Row event={event} />} />
	</div>;
}

function Row({ event: { at, type, all } }: { event: FleetEvent }) {
	const [icon, tone] = ICON[type] ?? ["info", ""];
	const text = (value: unknown) => typeof value === "string" ? value : "";
	const about = [
		typeof all.size === "number" ? format.bytes(all.size) : typeof all.received === "number" ? format.bytes(all.received) : "",
		type === "failed" ? reason(text(all.reason_description), Number(all.reason_code)) : "",
		all.user_data !== undefined ? format.visible(JSON.stringify(all.user_data)) : "",
		all.report !== undefined ? format.visible(JSON.stringify(all.report)) : ""].filter(Boolean).join(" · ");
	return <div class="event">
		<Icon name={icon} class={`badge ${tone}`} />
		<time class="muted figure" dateTime={at}>{format.clock(at)}</time>
		<div class="sentence"><Name text={text(all.client_id) || text(all.client_id_hex)} class="strong" /><span class="verb">{E.types[type] ?? format.visible(type)}</span>
			<Name text={text(all.name) || text(all.path)} /></div>
		<bdi class="muted cut about" title={about}>{about}</bdi>
	</div>;
}
