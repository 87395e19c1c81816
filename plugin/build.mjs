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

const { metafile } = await build({
  absWorkingDir: root,
  entryPoints: ["src/main.ts"],
  outfile: "dist/plugin.js",
  bundle: true,
  format: "esm",
  platform: "node",
  target: "node20",
  minifySyntax: true,
  minifyWhitespace: true,
  metafile: true,
  logLevel: "warning",
  plugins: [withoutTypeScript],
});

// The licences of what is bundled ask for their notices to travel with it.
const notices = new Set();
for (const input of Object.keys(metafile.inputs)) {
  if (input.includes("node_modules/")) {
    const source = await readFile(new URL(input, import.meta.url), "utf8");
    notices.add(/^(?:\/\/.*\n)+/.exec(source)?.[0].replace(/^\/\/ ?/gm, ""));
  }
}
notices.delete(undefined);
await writeFile(
  new URL("dist/NOTICE", import.meta.url),
  `plugin.js contains parts of @bufbuild/protobuf and @bufbuild/protoplugin.\n\n${[...notices].sort().join("\n----\n\n")}`,
);
