// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Builds the page: node build.mjs OUT. The worker's text goes into app.js, since Mosquitto serves
// files without a Content-Type, and browsers take no worker from such a file.
import { build } from "esbuild";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import path from "node:path";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));
const out = process.argv[2] ?? path.join(here, "dist");
const LIMIT = 150 * 1024;
const common = {
  bundle: true, minify: true, format: "iife", target: "es2022", charset: "utf8", write: false,
  legalComments: "none", logLevel: "warning", absWorkingDir: here,
};

/*
 * What MQTT.js and its stream library need besides, in a browser of today: its own bundle has polyfills of all that.
 * The client writes no debug lines, gives no topics aliases, and has its timers from the browser.
 */
const STANDS_IN = {
  "ws": "module.exports = {}",
  "debug": "module.exports = () => () => undefined",
  "lru-cache": "export class LRUCache {}",
  "worker-timers": `export const setInterval = globalThis.setInterval.bind(globalThis),
    clearInterval = globalThis.clearInterval.bind(globalThis),
    setTimeout = globalThis.setTimeout.bind(globalThis), clearTimeout = globalThis.clearTimeout.bind(globalThis)`,
  "abort-controller": "export const { AbortController, AbortSignal } = globalThis",
  "../../package.json": "export const version = ''",
};
const standsIn = {
  name: "stands-in",
  setup(plugin) {
    const names = Object.keys(STANDS_IN).map((name) => name.replaceAll(/[.\/]/g, "\\$&")).join("|");
    plugin.onResolve({ filter: new RegExp(`^(${names})$`) }, ({ path: name }) => ({ path: name, namespace: "stands-in" }));
    plugin.onLoad({ filter: /.*/, namespace: "stands-in" }, ({ path: name }) => ({ contents: STANDS_IN[name] }));
    /* Node's own names are packages here. */
  },
};

const worker = await build({ ...common, entryPoints: ["src/hash/worker.ts"] });
const page = await build({
  ...common, entryPoints: ["src/main.tsx"], outdir: out, write: false,
  jsx: "automatic", jsxImportSource: "preact", plugins: [standsIn], inject: ["src/node.ts"],
  define: { WORKER_SOURCE: JSON.stringify(worker.outputFiles[0].text), "process.env.NODE_ENV": '"production"' },
});
mkdirSync(out, { recursive: true });
const made = [];
for (const file of page.outputFiles)
  made.push([path.basename(file.path) === "main.css" ? "app.css" : "app.js", file.contents]);
made.push(["index.html", readFileSync(path.join(here, "static/index.html"))]);
let total = 0;
for (const [name, contents] of made) {
  writeFileSync(path.join(out, name), contents);
  total += gzipSync(contents, { level: 9 }).length;
}
console.log(`  WEB	${made.map(([name]) => name).join(", ")}: ${(total / 1024).toFixed(1)} KiB compressed`);
if (total > LIMIT) {
  console.error(`build.mjs: ${total} bytes compressed, more than ${LIMIT}`);
  process.exit(1);
}
