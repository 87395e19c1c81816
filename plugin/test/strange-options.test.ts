import { createFileRegistry } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { checkOptionsSchema } from "../../src/policy/options-schema.js";
import { compile, generate, request, runPlugin } from "./generate.js";

/** A proto file whose method has an option of somebody else with the number of ours. */
function sources(fields: string, value: string): Record<string, string> {
  return {
    "a.proto": `syntax = "proto3"; package a;
import "google/protobuf/descriptor.proto";
message Cache { ${fields} }
extend google.protobuf.MethodOptions { Cache cache = 50100; }
message M {}
service S { rpc Get(M) returns (M) { option (cache) = { ${value} }; } }`,
  };
}

const refused =
  'a.proto: rpc a.S.Get: a.cache has the number 50100 of connectum.auth.v1.method_auth, but not the fields of connectum.auth.v1.MethodAuth; give it another number, or, if it is a copy, the same fields ("optional" in proto3)';

test.each([
  { name: "one that is about something else", fields: "bool enabled = 1;", value: "enabled: true" },
  {
    name: "one with other types",
    fields: "optional bool open = 1; optional string policy = 2;",
    value: "open: true",
  },
  {
    name: "a copy that cannot tell false from nothing",
    fields: "bool open = 1; string policy = 3; bool internal = 4;",
    value: "open: true",
  },
])("refuses $name, in the plugin and on servers", ({ fields, value }) => {
  const protos = sources(fields, value);
  expect(() => runPlugin(request(protos))).toThrow(new Error(refused));
  const files = compile(protos);
  const registry = createFileRegistry({
    $typeName: "google.protobuf.FileDescriptorSet",
    file: files,
  });
  const method = registry.getService("a.S")?.methods[0];
  expect.assert(method !== undefined);
  expect(() => checkOptionsSchema(method)).toThrow(new Error(refused));
});

test("accepts a copy of the schema, and options that are not set", () => {
  const copy = "optional bool open = 1; optional string policy = 3;";
  expect(generate(sources(copy, "open: true"))["a_auth.ts"]).toContain('get: { kind: "public" }');
  const [[path = "", text = ""] = []] = Object.entries(sources("bool enabled = 1;", ""));
  const unset = { [path]: text.replace("option (cache) = {  };", "") };
  expect(generate(unset)["a_auth.ts"]).toContain('get: { kind: "unspecified" }');
});
