// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Makes modules of the page's sources that node can load: node units.mjs OUT
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import path from "node:path";

const web = fileURLToPath(new URL("../../examples/web", import.meta.url));
const { build } = createRequire(path.join(web, "package.json"))("esbuild");
await build({
	absWorkingDir: web, bundle: true, format: "esm", platform: "node", outdir: path.resolve(process.argv[2]), outbase: "src", logLevel: "warning",
	entryPoints: ["upload/ranges.ts", "upload/pace.ts", "upload/slots.ts", "upload/plan.ts", "format.ts", "words.ts", "broker.ts", "views/chart.tsx", "console/limits.ts"].map((n) => `src/${n}`),
	jsx: "automatic", jsxImportSource: "preact",
});
