import { cpSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { compare } from "./compare.js";
import {
  buildEmptyPlugin,
  connectAuthPlugin,
  esPlugin,
  runPlugin,
  temporaryDirectory,
  writeRequest,
} from "./plugin-runs.js";
import type { Row } from "./row.js";

/** How long the plugin takes for one small file, which is to start. */
export async function benchPluginStart(): Promise<Row[]> {
  const request = writeRequest(temporaryDirectory(), "bench/proto");
  return [
    {
      name: "plugin on one small file",
      against: "protoc-gen-es",
      value: await compare(
        () => runPlugin(connectAuthPlugin, request),
        () => runPlugin(esPlugin, request),
        { rounds: 11, callsPerRound: 1 },
      ),
      unit: "ratio",
      bound: 0.5,
      aim: 0.35,
    },
  ];
}

/** How long the plugin takes for thousands of files. */
export async function benchPluginScale(full: boolean): Promise<Row[]> {
  const directory = temporaryDirectory();
  const request = writeRequest(directory, copyGoogleProtos(directory));
  const empty = await buildEmptyPlugin(directory);
  const name = "plugin on all of google-proto-files";
  const rows: Row[] = [
    {
      name,
      against: "a plugin that prints nothing",
      value: await compare(
        () => runPlugin(connectAuthPlugin, request),
        () => runPlugin(empty, request),
        { rounds: 7, callsPerRound: 1 },
      ),
      unit: "ratio",
      bound: 1.3,
      aim: 1.15,
    },
  ];
  if (full) {
    rows.push({
      name,
      against: "protoc-gen-es",
      value: await compare(
        () => runPlugin(connectAuthPlugin, request),
        () => runPlugin(esPlugin, request),
        { rounds: 1, callsPerRound: 1, warmUp: false },
      ),
      unit: "ratio",
      bound: 1 / 5,
      aim: 1 / 10,
    });
  }
  return rows;
}

/** buf takes no module from `node_modules`, and has the well-known types itself. */
function copyGoogleProtos(directory: string): string {
  const from = dirname(createRequire(import.meta.url).resolve("google-proto-files/package.json"));
  const to = join(directory, "protos");
  for (const folder of ["google", "grafeas"]) {
    cpSync(join(from, folder), join(to, folder), { recursive: true });
  }
  writeFileSync(
    join(to, "buf.yaml"),
    "version: v2\nmodules:\n  - path: .\n    excludes: [google/protobuf]\n",
  );
  return to;
}
