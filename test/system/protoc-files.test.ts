import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { delimiter, join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import {
  binaries,
  generate,
  pluginBinary,
  readFiles,
  root,
  testFolder,
} from "../../plugin/test/generate.js";

beforeAll(() => {
  if (spawnSync("protoc", ["--version"]).status !== 0) {
    throw new Error(
      "protoc is missing: install the package protobuf-compiler (Debian, Ubuntu), or protobuf (Homebrew)",
    );
  }
});

const breadth = readFiles(join(root, "plugin", "test", "golden", "breadth", "proto"));

/** What every protoc understands: it learns an edition with the release that brings it. */
const sources = Object.fromEntries(
  Object.entries(breadth).filter(([, text]) => !text.startsWith("edition")),
);

/** Runs protoc on files in this order. The parameter is for both plugins, `more` for ours. */
function protoc(names: readonly string[], parameter: string, more = ""): Record<string, string> {
  const folder = testFolder(sources);
  mkdirSync(join(folder, "gen"));
  const { status, stderr } = spawnSync(
    "protoc",
    [
      ...["-I", ".", "-I", join(root, "proto"), "--es_out=gen", `--es_opt=${parameter}`],
      `--plugin=protoc-gen-connect-auth=${pluginBinary}`,
      ...["--connect-auth_out=gen", `--connect-auth_opt=${parameter}${more}`, ...names],
    ],
    {
      cwd: folder,
      encoding: "utf8",
      env: { ...process.env, PATH: `${binaries}${delimiter}${process.env.PATH}` },
    },
  );
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  return readFiles(join(folder, "gen"));
}

/** Those that this plugin prints. */
function ours(files: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(files).filter(([path]) => !/_pb\./.test(path)));
}

const parameter = "target=ts,import_extension=js";

const artefacts = [
  ...["index_file=auth_index", "snapshot_file=policies.json", "matrix_file=access.md"],
  ...["matrix_file=access.html", "openapi_security_file=security.yaml"],
].join(",");

test("one run of protoc prints what there is for each file, and once for all, whatever their order", () => {
  const names = Object.keys(sources);
  const files = ours(protoc(names, parameter, `,${artefacts}`));
  expect(Object.keys(files)).toEqual(
    [
      ...names.map((name) => name.replace(".proto", "_auth.ts")),
      ...["auth_index.ts", "policies.json", "access.md", "access.html", "security.yaml"],
    ].sort(),
  );
  expect(ours(protoc(names.reverse(), parameter, `,${artefacts}`))).toEqual(files);
});

test("protoc and buf lead to the same files, but for comments that each gives to another element", () => {
  const { "acme/comments.proto": _, ...others } = sources;
  const names = Object.keys(others);
  const withBuf = generate(others, `${parameter},${artefacts}`);
  expect(ours(protoc(names, parameter, `,${artefacts}`))).toEqual(withBuf);
});
