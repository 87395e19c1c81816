import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL(".", import.meta.url));

// protoplugin imports TypeScript to transpile what a plugin does not print by
// itself. This one prints all targets, so it is never called; loading it would
// take most of the plugin's start-up time.
const withoutTypeScript = {
  name: "without-typescript",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^(typescript|@typescript\/vfs)$/ }, ({ path }) => ({
      path,
      namespace: "empty",
    }));
    onLoad({ filter: /.*/, namespace: "empty" }, () => ({ contents: "module.exports = {};" }));
  },
};

const shared = {
  absWorkingDir: root,
  outdir: "dist",
  bundle: true,
  format: "esm",
  platform: "node",
  target: "node20",
  minifySyntax: true,
  minifyWhitespace: true,
  metafile: true,
  logLevel: "warning",
  plugins: [withoutTypeScript],
};
const results = await Promise.all([
  build({ ...shared, entryPoints: { plugin: "src/main.ts" } }),
  // what reads images is a file of its own: snapshots do without it
  build({
    ...shared,
    entryPoints: { diff: "src/diff/main.ts" },
    splitting: true,
    chunkNames: "diff-[name]",
  }),
]);

// The licences of what is bundled ask for their notices to travel with it.
const notices = new Set();
for (const input of results.flatMap(({ metafile }) => Object.keys(metafile.inputs))) {
  if (input.includes("node_modules/")) {
    const source = await readFile(new URL(input, import.meta.url), "utf8");
    notices.add(/^(?:\/\/.*\n)+/.exec(source)?.[0].replace(/^\/\/ ?/gm, ""));
  }
}
notices.delete(undefined);
await writeFile(
  new URL("dist/NOTICE", import.meta.url),
  `The programs contain parts of @bufbuild/protobuf and @bufbuild/protoplugin.\n\n${[...notices].sort().join("\n----\n\n")}`,
);
