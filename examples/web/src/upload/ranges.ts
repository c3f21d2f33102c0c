// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Ranges as the broker writes them: [offset, length], ascending, merged.

export type Range = [offset: number, length: number];

/** What lies in [0, size) outside `have`. Where `have` was cut, all behind its end counts as missing. */
export function gaps(have: readonly Range[], size: number): Range[] {
	const missing: Range[] = [];
	let end = 0;
	for (const [offset, length] of have) {
		if (offset >= size)
			break;
		if (offset > end)
			missing.push([end, offset - end]);
		end = Math.max(end, offset + length);
	}
	if (end < size)
		missing.push([end, size - end]);
	return missing;
}

/** Bytes in the ranges. */
export function total(ranges: readonly Range[]): number {
	return ranges.reduce((sum, [, length]) => sum + length, 0);
}

/** Whether an answer's member is a list of ranges; anything else counts as an empty one. */
export function rangesOf(value: unknown): Range[] {
	if (!Array.isArray(value))
		return [];
	return value.filter((r): r is Range => Array.isArray(r) && r.length === 2 &&
		Number.isSafeInteger(r[0]) && Number.isSafeInteger(r[1]) && r[0] >= 0 && r[1] >= 0);
}
