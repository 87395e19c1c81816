import { type SpawnSyncReturns, spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { delimiter, join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { binaries, pluginBinary, readFiles, root, testFolder } from "../../plugin/test/generate.js";

beforeAll(() => {
  if (spawnSync("protoc", ["--version"]).status !== 0) {
    throw new Error(
      "protoc is missing: install the package protobuf-compiler (Debian, Ubuntu), or protobuf (Homebrew)",
    );
  }
});

const service = (rules: string) => `syntax = "proto3";
package acme.v1;
import "connectum/auth/v1/options.proto";
// What to sell.
service Shop {
  // All there is.
  rpc List(M) returns (M) {
    option (connectum.auth.v1.method_auth) = { ${rules} };
  }
}
message M {}
`;

/** Runs protoc on one proto file, with the plugins on the PATH. */
function protoc(
  source: string,
  ...args: string[]
): { result: SpawnSyncReturns<string>; files: Record<string, string> } {
  const folder = testFolder({ "acme/v1/shop.proto": source });
  mkdirSync(join(folder, "gen"));
  const result = spawnSync(
    "protoc",
    ["-I", ".", "-I", join(root, "proto"), ...args, "acme/v1/shop.proto"],
    {
      cwd: folder,
      encoding: "utf8",
      env: { ...process.env, PATH: `${binaries}${delimiter}${process.env.PATH}` },
    },
  );
  return { result, files: readFiles(join(folder, "gen")) };
}

describe("under protoc", () => {
  test("the plugin is found by its name, beside protoc-gen-es", () => {
    const { result, files } = protoc(
      service("public: true"),
      "--es_out=gen",
      "--es_opt=target=ts",
      "--connect-auth_out=gen",
      "--connect-auth_opt=target=ts,import_extension=js",
    );
    expect({ status: result.status, stderr: result.stderr }).toEqual({ status: 0, stderr: "" });
    expect(Object.keys(files)).toEqual(["acme/v1/shop_auth.ts", "acme/v1/shop_pb.ts"]);
    expect(files["acme/v1/shop_auth.ts"]).toContain(`
    /**
     * All there is.
     *
     * Anyone may call it; no credentials are sent.
     *
     * @generated from rpc acme.v1.Shop.List
     */
    list: { kind: "public" },
`);
  });

  test("or where --plugin says it is", () => {
    const { result, files } = protoc(
      service("internal: true"),
      `--plugin=protoc-gen-connect-auth=${pluginBinary}`,
      "--connect-auth_out=target=js+dts:gen",
    );
    expect({ status: result.status, stderr: result.stderr }).toEqual({ status: 0, stderr: "" });
    expect(Object.keys(files)).toEqual(["acme/v1/shop_auth.d.ts", "acme/v1/shop_auth.js"]);
    expect(files["acme/v1/shop_auth.js"]).toContain(
      'list: { kind: "internal", roles: [], scopes: [] },',
    );
  });

  test("problems are shown a line each, and nothing is written", () => {
    const { result, files } = protoc(
      service('public: true, internal: true, policy: "alow"'),
      "--connect-auth_out=gen",
    );
    expect(result.stderr.split("\n").slice(0, 2)).toEqual([
      'acme/v1/shop.proto:8:5: error AUTH002 acme.v1.Shop.List: policy "alow" is neither "allow" nor "deny"; write "allow"',
      "acme/v1/shop.proto:8:5: error AUTH004 acme.v1.Shop.List: both public: true and internal: true; remove one of them",
    ]);
    expect(result.stderr).toMatch(/^--connect-auth_out: .*status code 1/m);
    expect(result.stderr).not.toMatch(/^\s+at /m);
    expect({ status: result.status, files }).toEqual({ status: 1, files: {} });
  });

  test("warnings are shown once, and the files are written", () => {
    const { result, files } = protoc(
      service("requires: {}"),
      `--plugin=protoc-gen-connect-auth=${pluginBinary}`,
      "--connect-auth_out=gen",
      "--connect-auth_opt=target=js+dts",
    );
    expect({ status: result.status, stderr: result.stderr }).toEqual({
      status: 0,
      stderr:
        'acme/v1/shop.proto:8:5: warning AUTH005 acme.v1.Shop.List: requires with neither role nor scope lets any authenticated caller in; write policy: "allow" instead, or name a role or scope\n',
    });
    expect(Object.keys(files)).toEqual(["acme/v1/shop_auth.d.ts", "acme/v1/shop_auth.js"]);
  });

  test.each([
    { name: "as it is written", args: ["--include_source_info"], want: "8:5:" },
    { name: "without source info, at its start", args: [], want: "1:1:" },
  ])("problems in a descriptor set are in the file $name", ({ args, want }) => {
    const source = service('policy: "alow"');
    const folder = testFolder();
    const set = join(folder, "set.binpb");
    const compiled = protoc(source, "--include_imports", ...args, `-o${set}`).result;
    expect({ status: compiled.status, stderr: compiled.stderr }).toEqual({ status: 0, stderr: "" });
    const { stderr } = spawnSync(
      "protoc",
      [
        `--descriptor_set_in=${set}`,
        `--plugin=protoc-gen-connect-auth=${pluginBinary}`,
        `--connect-auth_out=${folder}`,
        "acme/v1/shop.proto",
      ],
      { encoding: "utf8" },
    );
    expect(stderr.split("\n")[0]).toBe(
      `acme/v1/shop.proto:${want} error AUTH002 acme.v1.Shop.List: policy "alow" is neither "allow" nor "deny"; write "allow"`,
    );
  });

  test("an unknown option is one line", () => {
    const { result, files } = protoc(service("public: true"), "--connect-auth_out=colour=red:gen");
    expect(result.stderr.split("\n")[0]).toContain(
      'protoc-gen-connect-auth: invalid option "colour=red"',
    );
    expect({ status: result.status, files }).toEqual({ status: 1, files: {} });
  });
});
