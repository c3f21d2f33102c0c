// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// What code for Node takes for granted: build.mjs puts it where it is used.
export { Buffer } from "buffer/";

const resolved = Promise.resolve();

export const process = {
	env: {} as Record<string, string>, version: "", versions: {}, browser: true,
	nextTick: (call: (...args: unknown[]) => void, ...args: unknown[]): void => void resolved.then(() => call(...args)),
};
