import { describe, expect, test } from "vitest";
import { createPlugin } from "../src/plugin.js";
import { request, runPlugin } from "./generate.js";

const parameter = "target=ts,snapshot_file=auth_policy.json,matrix_file=ACCESS.md";
const sources = {
  "acme/v1/a.proto": `syntax = "proto3"; package acme.v1; import "connectum/auth/v1/options.proto"; message M {}
// The service.
service S {
  // The method.
  rpc A(M) returns (M) { option (connectum.auth.v1.method_auth) = { policy: "allow" }; }
}`,
};

describe("a request", () => {
  test("without positions and comments gives the same code, without comments", () => {
    const req = request(sources, parameter);
    const full = runPlugin(req);
    for (const file of req.protoFile) {
      file.sourceCodeInfo = undefined;
    }
    const bare = runPlugin(req);
    expect(full["acme/v1/a_auth.ts"]).toContain("The method.");
    expect(bare["acme/v1/a_auth.ts"]).not.toContain("The method.");
    expect(bare["auth_policy.json"]).toBe(full["auth_policy.json"]);
    expect(Object.keys(bare)).toEqual(Object.keys(full));
  });

  test("of one directory, from buf, gives a snapshot that says which, and the same beside", () => {
    const req = request(sources, parameter);
    const { "auth_policy.json": plain = "" } = runPlugin(req);
    const own = req.protoFile.filter(({ name }) => req.fileToGenerate.includes(name));
    const { file } = createPlugin(() => {}).run({ ...req, sourceFileDescriptors: own });
    const [guarded, inserted] = file.filter(({ name }) => name === "auth_policy.json");
    const only = "only acme/v1: for more directories set strategy: all";
    expect(JSON.parse(guarded?.content ?? "")).toEqual({
      "x-only": `@@protoc_insertion_point(${only})`,
      ...JSON.parse(plain),
    });
    expect(inserted).toMatchObject({ insertionPoint: only, content: "" });
  });
});
