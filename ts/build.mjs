/** Builds the bundles into partywidgets/static/. `--watch` rebuilds on change, `--out DIR` writes elsewhere, `--page` builds index.html's script too. */
import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";
import ts from "typescript";

const here = dirname(fileURLToPath(import.meta.url));
const at = process.argv.indexOf("--out");
const out = at > 0 ? resolve(process.argv[at + 1]) : resolve(here, "../partywidgets/static");
const LOADER_LIMIT = 4096;
mkdirSync(out, { recursive: true });

/**
 * uPlot formats the numbers of its own axes by `navigator.language`, and throws as it loads where that is no language tag: "C" in WebKitGTK and
 * "en-US@posix" in Chromium, both without a locale. Our axes have formats of their own.
 */
const plotInAnyLocale = {
  name: "plot-in-any-locale",
  setup(build) {
    build.onLoad({ filter: /uPlot\.esm\.js$/ }, ({ path }) => {
      const asWritten = "new Intl.NumberFormat(domEnv ? nav.language : 'en-US')";
      const source = readFileSync(path, "utf8");
      if (!source.includes(asWritten)) throw new Error(`${path} no longer has ${asWritten}: see whether it loads in any locale`);
      return { contents: source.replace(asWritten, 'new Intl.NumberFormat("en-US")') };
    });
  },
};

const options = {
  entryPoints: ["loader", "terminal", "table", "dashboard", "chart", "recording", "page", "transport/resume"].map((name) =>
    join(here, `${name}.ts`),
  ),
  // Without the folder: resume.js stands beside the others.
  entryNames: "[name]",
  outdir: out,
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  legalComments: "eof",
  // Libraries that probe for AMD would register with RequireJS in the classic notebook instead of exporting.
  define: { "define.amd": "false" },
  loader: { ".css": "text" },
  plugins: [plotInAnyLocale],
  logLevel: "info",
};

// The bare page of index.html is for people who work on the views; it is not shipped.
const page = { ...options, entryPoints: [join(here, "dev.ts")], outdir: join(here, "dist"), logLevel: "warning" };

const built = process.argv.includes("--page") ? [options, page] : [options];

if (process.argv.includes("--watch")) {
  for (const watched of built) await (await esbuild.context(watched)).watch();
} else {
  for (const wanted of built) await esbuild.build(wanted);
  // For those who copy resume.js into a TypeScript project.
  const source = readFileSync(join(here, "transport/resume.ts"), "utf8");
  writeFileSync(join(out, "resume.d.ts"), ts.transpileDeclaration(source, { reportDiagnostics: true }).outputText);
  const size = statSync(join(out, "loader.js")).size;
  if (size > LOADER_LIMIT) {
    console.error(`loader.js is ${size} bytes; it is saved with every widget and may have ${LOADER_LIMIT}`);
    process.exit(1);
  }
}
