import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { CodeGeneratorRequestSchema, CodeGeneratorResponseSchema } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import packageJson from "../package.json" with { type: "json" };
import { main } from "../src/main.js";
import { request, runPlugin } from "./generate.js";
import { runMain } from "./run-main.js";

const sources = (rules: string) => ({
  "a.proto": `syntax = "proto3"; package a; import "connectum/auth/v1/options.proto"; message M {}
service S { rpc A(M) returns (M) { option (connectum.auth.v1.method_auth) = { ${rules} }; } }`,
});

function input(rules: string): Uint8Array {
  return toBinary(CodeGeneratorRequestSchema, request(sources(rules)));
}

test("writes a response, warnings to standard error, and ends", async () => {
  const { status, stdout, stderr } = await runMain(main, { input: input('policy: "deny"') });
  expect({ status, stderr }).toEqual({
    status: 0,
    stderr: expect.stringMatching(/^a\.proto:\d+:\d+: warning AUTH009 a\.S\.A: [^\n]+\n$/),
  });
  const { file } = fromBinary(CodeGeneratorResponseSchema, stdout);
  expect(Object.fromEntries(file.map(({ name, content }) => [name, content]))).toEqual(
    runPlugin(request(sources('policy: "deny"'))),
  );
});

test("fails where nobody reads the response", async () => {
  const start = { input: input('policy: "allow"'), readerHasGone: true };
  expect(await runMain(main, start)).toMatchObject({ status: 1, stderr: "" });
});

test("writes problems as they are, and no response", async () => {
  const { status, stdout, stderr } = await runMain(main, { input: input('policy: "alow"') });
  expect(stderr).toMatch(/^a\.proto:\d+:\d+: error AUTH\d+ a\.S\.A: [^\n]+\n$/);
  expect({ status, size: stdout.length }).toEqual({ status: 1, size: 0 });
});

test("writes any other failure on one line, and no response", async () => {
  const { status, stdout, stderr } = await runMain(main, { input: "hello\nworld" });
  expect(stderr).toMatch(
    /^protoc-gen-connect-auth: no CodeGeneratorRequest on standard input: [^\n]+\n$/,
  );
  expect({ status, size: stdout.length }).toEqual({ status: 1, size: 0 });
});

test("says its version", async () => {
  const { stdout } = await runMain(main, { args: ["--version"] });
  expect(stdout.toString().trim()).toBe(`protoc-gen-connect-auth v${packageJson.version}`);
});
