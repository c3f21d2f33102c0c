// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// What one client may use, and how that is changed: by an override in the broker's limits_file, of this client alone
// or of all that an override there matches already. It names only what is otherwise than the broker's options say.
import { useEffect, useState } from "preact/hooks";
import type { ClientRow, Data } from "../console/admin.ts";
import { changeOf } from "../console/limits.ts";
import type { ConsoleModel } from "../console/model.ts";
import * as format from "../format.ts";
import { T } from "../words.ts";
import { act } from "./console.tsx";
import { Facts } from "./transfers.tsx";
import { Dialog, Icon, Name, Pill, toast } from "./ui.tsx";

const L = T.console.limits;
/* Limits that are not bytes. */
const COUNTS = new Set(["client_rate", "max_transfers_per_client"]);
const NAMES = Object.entries(L.names);
/** An override's patterns: `client`, `user`, or both. */
type Patterns = Record<string, string>;

function shownAs(key: string, limit: unknown): string {
	if (typeof limit !== "number")
		return L.none;
	return COUNTS.has(key) ? format.count(limit) : key.endsWith("bandwidth") ? format.rate(limit) : format.bytes(limit);
}

export function Limits({ model, client, onClose }: { model: ConsoleModel; client: ClientRow; onClose: () => void }) {
	const [data, setData] = useState<Data | undefined>();
	const [options, setOptions] = useState<Data | undefined>();
	const [wanted, want] = useState<Record<string, string>>({});
	const [whole, setWhole] = useState(false);
	useEffect(() => {
		void Promise.all([model.admin.do("getLimits", client.names), model.admin.do("getLimits")]).then(([own, all]) => {
			setData(own);
			setOptions(all);
			want(Object.fromEntries(NAMES.map(([key]) => [key, typeof own[key] === "number" ? format.limit(own[key] as number) : ""])));
		}, () => undefined);
	}, []);
	const own: Patterns = { [model.status.owner === "username" ? "user" : "client"]: client.client.replace(/[*?[\\]/g, "\\$&") };
	const override = data?.override as Patterns | undefined;
	const mine = override !== undefined && JSON.stringify(override) === JSON.stringify(own);
	const patterns = override && (mine || whole) ? override : own;
	const whom = override && !mine && whole ? Object.values(override).join(", ") : client.client;
	/* Without the option there is nothing to be changed; ids that are no text have no patterns. */
	const fixed = options !== undefined && !Array.isArray(options.overrides) || !("client_id" in client.names);
	const send = (change: Data | undefined, done: string) => {
		if (!change)
			return toast(L.same);
		void act(model, done, () => model.admin.do("setLimits", { ...patterns, ...change })).then((well) => well && onClose());
	};
	const save = (event: Event) => {
		event.preventDefault();
		if (options)
			send(changeOf(wanted, options, mine || whole), L.saved(whom));
	};
	return <Dialog title={L.title} onClose={onClose} actions={fixed ? undefined : <>
		<button type="button" class="button" onClick={() => void act(model, L.reloaded, () => model.admin.do("reloadLimits"))}><Icon name="again" />{L.reload}</button>
		{(mine || whole) && <button type="button" class="button" onClick={() => send({ remove: true }, L.backDone(whom))}>{L.back}</button>}
		<button type="submit" form="limits" class="button primary" disabled={!data}>{L.save}</button>
	</>}>
		<p class="subject"><Name text={client.client} full />{data?.overridden === true && <Pill tone="info">{L.overridden}</Pill>}</p>
		{fixed ? <Facts facts={NAMES.map(([key, name]): [string, string] => [name, data ? shownAs(key, data[key]) : "–"])} /> :
			<form id="limits" class="limits" onSubmit={save}>
				{NAMES.map(([key, name]) => <label key={key}>{name}
					<input value={wanted[key] ?? ""} placeholder={L.none} autocomplete="off" spellcheck={false} onInput={(event) => want({ ...wanted, [key]: event.currentTarget.value })} /></label>)}
				{override && !mine && <fieldset><legend>{L.whom}</legend>
					<label class="choice"><input type="radio" name="whom" checked={!whole} onChange={() => setWhole(false)} />{L.onlyThis}</label>
					<label class="choice"><input type="radio" name="whom" checked={whole} onChange={() => setWhole(true)} /><span>{L.all("")}<Name text={Object.values(override).join(", ")} full class="mono" /></span></label>
				</fieldset>}
			</form>}
		<p class="muted small">{fixed ? L.noFile : L.help}{typeof data?.storage_used === "number" && ` ${L.used}: ${format.bytes(data.storage_used)}.`}</p>
	</Dialog>;
}
