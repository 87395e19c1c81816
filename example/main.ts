import { execFileSync } from "node:child_process";
import { delimiter } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const bin = fileURLToPath(new URL("../node_modules/.bin", import.meta.url));

// 1. The plugin turns the policies in example/proto into clients and tables in example/gen.
execFileSync("buf", ["generate", "--template", "example/buf.gen.yaml"], {
  cwd: root,
  env: { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH}` },
  stdio: "inherit",
});

// 2. What uses them is loaded when they are there.
const { runExample } = await import("./run.js");
const kept = await runExample(console.log);
process.exitCode = kept ? 0 : 1;
