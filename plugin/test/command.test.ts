import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  type CodeGeneratorRequest,
  CodeGeneratorRequestSchema,
  CodeGeneratorResponseSchema,
} from "@bufbuild/protobuf/wkt";
import { describe, expect, onTestFinished, test } from "vitest";
import packageJson from "../package.json" with { type: "json" };
import { bufGenerate, pluginBinary, readFiles, request, root, runPlugin } from "./generate.js";

const source = `syntax = "proto3"; import "connectum/auth/v1/options.proto"; message M {}
service AaService { rpc A(M) returns (M) { option (connectum.auth.v1.method_auth) = { policy: "allow" }; } }
service BService { rpc A(M) returns (M) { option (connectum.auth.v1.method_auth) = { policy: "allow" }; } }`;

/** Runs the program as buf and protoc do. */
function run(input: Uint8Array, args: string[] = [], env: Record<string, string> = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [pluginBinary, ...args], {
    input,
    env: { ...process.env, ...env },
  });
  return { status, stdout, stderr: stderr.toString() };
}

function bytes(req: CodeGeneratorRequest): Uint8Array {
  return toBinary(CodeGeneratorRequestSchema, req);
}

describe("the program", () => {
  test("says its version, also when npx runs it", () => {
    const version = `protoc-gen-connect-auth v${packageJson.version}`;
    expect(run(new Uint8Array(), ["--version"]).stdout.toString().trim()).toBe(version);
    const npx = spawnSync("npx", ["protoc-gen-connect-auth", "--version"], {
      cwd: root,
      encoding: "utf8",
    });
    expect(npx.stdout.trim()).toBe(version);
  });

  test("writes what the plugin generates", () => {
    const req = request({ "a.proto": source });
    const { status, stdout, stderr } = run(bytes(req));
    const { file, error } = fromBinary(CodeGeneratorResponseSchema, stdout);
    expect({ status, stderr, error }).toEqual({ status: 0, stderr: "", error: "" });
    expect(Object.fromEntries(file.map(({ name, content }) => [name, content]))).toEqual(
      runPlugin(req),
    );
  });

  test("writes the same bytes in every language of the machine", () => {
    const input = bytes(request({ "a.proto": source }));
    const [english, ...others] = ["en_US", "da_DK", "et_EE", "tr_TR"].map(
      (locale) => run(input, [], { LC_ALL: `${locale}.UTF-8` }).stdout,
    );
    expect(english?.toString()).toContain("{ AaService, BService }");
    expect(others).toEqual([english, english, english]);
  });

  test("does nothing for an empty request", () => {
    const { status, stderr } = run(new Uint8Array());
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  });

  test.each([
    {
      name: "garbage",
      input: () => new Uint8Array([0xff, 0xff, 0xff, 0xff]),
      want: /no CodeGeneratorRequest on standard input: /,
    },
    {
      name: "text",
      input: () => new TextEncoder().encode("hello\nworld"),
      want: /no CodeGeneratorRequest on standard input: /,
    },
    {
      name: "a truncated request",
      input: () => bytes(request({ "a.proto": source })).slice(0, -7),
      want: /no CodeGeneratorRequest on standard input: /,
    },
    {
      name: "a request for a file that is not in it",
      input: () => bytes({ ...request({ "a.proto": source }), fileToGenerate: ["b\n.proto"] }),
      want: /files_to_generate missing in the request: b \.proto/,
    },
    {
      name: "a file without the files it imports",
      input: () => {
        const req = request({ "a.proto": source });
        return bytes({ ...req, protoFile: req.protoFile.filter(({ name }) => name === "a.proto") });
      },
      want: /connectum\/auth\/v1\/options\.proto/,
    },
    {
      name: "an unknown option",
      input: () => bytes(request({ "a.proto": source }, "target=ts,colour=red")),
      want: /invalid option "colour=red"/,
    },
  ])("answers $name with one line and no output", ({ input, want }) => {
    const { status, stdout, stderr } = run(input());
    expect(stderr).toMatch(/^protoc-gen-connect-auth: [^\n]+\n$/);
    expect(stderr).toMatch(want);
    expect({ status, size: stdout.length }).toEqual({ status: 1, size: 0 });
  });

  test("fails under buf with one line for an unknown option", () => {
    const { folder, result } = bufGenerate({ "a.proto": source }, ["target=ts"], ["colour=red"]);
    // buf runs a plugin for each folder of proto files: here for a.proto and for the options
    const ours = new Set(result.stderr.split("\n").filter((line) => line.includes("colour")));
    expect([...ours]).toEqual([
      expect.stringMatching(
        /^protoc-gen-connect-auth: invalid option "colour=red": there is no option "colour"; /,
      ),
    ]);
    expect(result.status).not.toBe(0);
    expect(Object.keys(readFiles(folder)).filter((path) => path.includes("_auth"))).toEqual([]);
  });
});

describe("the package", () => {
  const plugin = join(root, "plugin");

  test("works where no other package is installed", () => {
    const folder = mkdtempSync(join(tmpdir(), "connectrpc-auth-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    for (const file of ["package.json", ...packageJson.files]) {
      cpSync(join(plugin, file), join(folder, file), { recursive: true });
    }
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [join(folder, packageJson.bin["protoc-gen-connect-auth"])],
      { input: bytes(request({ "a.proto": source })) },
    );
    expect({ status, stderr: stderr.toString() }).toEqual({ status: 0, stderr: "" });
    expect(stdout.toString()).toContain("createAaServiceClient");
    expect(packageJson).not.toHaveProperty("dependencies");
  });

  test("is small and has no TypeScript in it", () => {
    const bundle = join(plugin, "dist", "plugin.js");
    const text = readFileSync(bundle, "utf8");
    expect(text).not.toMatch(/\brequire\("/);
    expect(text).not.toContain("createSourceFile");
    expect(statSync(bundle).size).toBeLessThan(250_000);
  });

  test("carries the licences of what is bundled", () => {
    const notice = readFileSync(join(root, "plugin", "dist", "NOTICE"), "utf8");
    expect(notice).toContain("Buf Technologies, Inc.");
    expect(notice).toContain("Licensed under the Apache License, Version 2.0");
    expect(notice).toContain("Copyright 2008 Google Inc.");
    expect(packageJson.files).toContain("dist");
  });
});
