import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  type CodeGeneratorRequest,
  CodeGeneratorRequestSchema,
  CodeGeneratorResponseSchema,
} from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import { describe, expect, onTestFinished, test } from "vitest";
import { pluginBinary, readFiles, request, runPlugin, type Sources } from "./generate.js";

/** Everything that a run can print. */
const everything = [
  ...["target=ts+js+dts", "import_extension=js", "index_file=auth_index"],
  ...["snapshot_file=policies.json", "matrix_file=access.md", "matrix_file=access.html"],
  "openapi_security_file=security.yaml",
].join(",");

/** Files of several folders that import each other, with names that languages sort differently. */
const sources: Sources = {
  ...readFiles(join(import.meta.dirname, "golden", "breadth", "proto")),
  ...Object.fromEntries(
    ["z/Aa", "z/aa", "z/ä", "z/I", "z/i", "Z/a", "a-b/c", "a_b/c", "a/b"].map((path, i) => [
      `${path}.proto`,
      `syntax = "proto3"; package p${i}; import "connectum/auth/v1/options.proto"; import "acme/optional.proto";
${["Aa", "aa", "Zz", "i"]
  .map(
    (
      name,
    ) => `service ${name} { rpc ${name}(acme.optional.Message) returns (acme.optional.Message) {
  option (connectum.auth.v1.method_auth) = { requires: { roles: ["ä", "z", "I", "i"], scopes: ["i", "I"] } }; } }`,
  )
  .join("\n")}`,
    ]),
  ),
};

/** Runs the program as buf and protoc do. */
function run(req: CodeGeneratorRequest, env: Record<string, string>, cwd?: string): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, [pluginBinary], {
    input: toBinary(CodeGeneratorRequestSchema, req),
    env: { ...process.env, ...env },
    cwd,
  });
  expect({ status, stderr: stderr.toString() }).toEqual({ status: 0, stderr: "" });
  return stdout.toString("base64");
}

describe("the bytes of the output are the same", () => {
  test("in every language, time zone and folder, and each time", () => {
    const req = request(sources, everything);
    const folder = mkdtempSync(join(tmpdir(), "connectrpc-auth-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const first = run(req, {});
    const { file } = fromBinary(CodeGeneratorResponseSchema, Buffer.from(first, "base64"));
    const names = file.map(({ name }) => name);
    expect(names).toEqual(
      expect.arrayContaining([
        ...["z/ä_auth.ts", "acme/comments_auth.d.ts", "auth_index.js", "policies.json"],
        ...["access.md", "access.html", "security.yaml"],
      ]),
    );
    for (const env of [
      {},
      { LANG: "C", LC_ALL: "C" },
      { LANG: "tr_TR.UTF-8", LC_ALL: "tr_TR.UTF-8" },
      { LANG: "sv_SE.UTF-8", LC_ALL: "sv_SE.UTF-8", TZ: "Asia/Kolkata" },
      { LANGUAGE: "lt", LC_COLLATE: "lt_LT.UTF-8", TZ: "America/St_Johns" },
    ]) {
      expect(run(req, env, folder) === first, JSON.stringify(env)).toBe(true);
    }
  });

  test("whatever the order of the files is in the request", () => {
    const req = request(sources, everything);
    const want = runPlugin(req);
    const { protoFile, fileToGenerate } = req;
    expect(Object.keys(want).length).toBeGreaterThan(50);
    fc.assert(
      fc.property(
        fc.shuffledSubarray(protoFile, { minLength: protoFile.length }),
        fc.shuffledSubarray(fileToGenerate, { minLength: fileToGenerate.length }),
        (files, names) => {
          req.protoFile = importedFirst(files);
          req.fileToGenerate = names;
          expect(runPlugin(req)).toEqual(want);
        },
      ),
      { numRuns: 20 },
    );
  });

  test("whatever the line breaks of the proto files are", () => {
    const want = runPlugin(request(sources, everything));
    const windows = Object.entries(sources).map(([path, text]) => [
      path,
      text.replaceAll("\n", "\r\n"),
    ]);
    expect(runPlugin(request(Object.fromEntries(windows), everything))).toEqual(want);
  });
});

/** Puts files behind those they import, as compilers do, and leaves their order otherwise. */
function importedFirst(
  files: CodeGeneratorRequest["protoFile"],
): CodeGeneratorRequest["protoFile"] {
  const sorted = new Set<(typeof files)[number]>();
  const add = (file: (typeof files)[number]) => {
    for (const imported of files.filter(({ name }) => file.dependency.includes(name))) {
      add(imported);
    }
    sorted.add(file);
  };
  files.forEach(add);
  return [...sorted];
}

test("paths in the output have slashes, and none but those of the proto files", () => {
  const files = runPlugin(request(sources, everything));
  const text = Object.entries(files).flat().join("\n");
  expect(text).not.toContain(process.cwd());
  expect(text).not.toContain(tmpdir());
  for (const path of Object.keys(files)) {
    expect(path).toMatch(/^[^/\\]+(?:\/[^/\\]+)*$/);
  }
  const imports = [...text.matchAll(/from "(.*)";/g)].map(([, from]) => from);
  expect(imports.filter((from) => from?.includes("\\"))).toEqual([]);
});
