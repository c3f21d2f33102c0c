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

const worker = await build({ ...common, entryPoints: ["src/hash/worker.ts"] });
const page = await build({
  ...common, entryPoints: ["src/main.tsx"], outdir: out, write: false,
  jsx: "automatic", jsxImportSource: "preact",
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
