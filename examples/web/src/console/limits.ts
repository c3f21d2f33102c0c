// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// What setLimits is to be told, so that an override names only what is otherwise than the broker's options say.
import { limitOf } from "../format.ts";
import type { Data } from "./admin.ts";

/** What a change is to say, or undefined: nothing. `mine`: the override is there already. */
export function changeOf(wanted: Record<string, string>, options: Data, mine: boolean): Data | undefined {
	const limits: Data = {}, unset: string[] = [];
	for (const [key, text] of Object.entries(wanted)) {
		const value = text.trim() === "" ? null : limitOf(text) ?? text.trim();
		if (value === (options[key] ?? null))
			unset.push(key);
		else
			limits[key] = value;
	}
	const some = Object.keys(limits).length > 0;
	if (!mine)
		return some ? { limits } : undefined;
	return some ? { limits, unset } : { remove: true };
}
