// biome-ignore-all lint/suspicious/noTemplateCurlyInString: that is the text that a proto file may hold

import { execFileSync } from "node:child_process";
import { symlinkSync } from "node:fs";
import { join } from "node:path";
import { create, createFileRegistry } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { describe, expect, test } from "vitest";
import { exportsOf } from "../src/names.js";
import { readPolicies } from "../src/read-policies.js";
import {
  bufGenerate,
  compile,
  generate,
  problems,
  problemsOf,
  readFiles,
  request,
  root,
  runPlugin,
  typeCheck,
  writeFiles,
} from "./generate.js";

const options = 'import "connectum/auth/v1/options.proto";';
const open = "option (connectum.auth.v1.method_auth) = { public: true };";
const internal = "option (connectum.auth.v1.method_auth) = { internal: true };";

/** The names that a generated TypeScript file exports, each once, in order. */
function exported(source: string): string[] {
  const names = [...source.matchAll(/^export (?:const|function|interface|type) (\w+)/gm)];
  return [...new Set(names.map(([, name = ""]) => name))];
}

describe("a service exports only the types it needs", () => {
  const publicOnly = ["SPolicies", "SClient", "createSClient"];
  const oneCredential = ["SPolicies", "SPublicClient", "SClient", "SClientWith", "createSClient"];
  const both = [
    ...["SPolicies", "SPublicClient", "SUserClient", "SInternalClient", "SClient"],
    ...["SClientWith", "createSClient"],
  ];
  const methods = {
    public: `rpc A(M) returns (M) { ${open} }`,
    credentials: "rpc B(M) returns (M);",
    internal: `rpc C(M) returns (M) { ${internal} }`,
  };

  test.each<{ kinds: (keyof typeof methods)[]; want: string[] }>([
    { kinds: [], want: publicOnly },
    { kinds: ["public"], want: publicOnly },
    { kinds: ["credentials"], want: oneCredential },
    { kinds: ["internal"], want: oneCredential },
    { kinds: ["public", "credentials"], want: oneCredential },
    { kinds: ["public", "internal"], want: oneCredential },
    { kinds: ["credentials", "internal"], want: both },
    { kinds: ["public", "credentials", "internal"], want: both },
  ])("with methods of kind $kinds", ({ kinds, want }) => {
    const body = kinds.map((kind) => methods[kind]).join("\n");
    const sources = {
      "a.proto": `syntax = "proto3"; ${options} message M {} service S { ${body} }`,
    };
    const { "a_auth.ts": source = "" } = generate(sources);
    expect(
      exported(source).filter((name) => !/^get(?:Public|Internal)Methods$/.test(name)),
    ).toEqual(want);

    // what the check for clashing names goes by
    const file = createFileRegistry(
      create(FileDescriptorSetSchema, { file: compile(sources) }),
    ).getFile("a.proto");
    const services = file === undefined ? [] : readPolicies(file).services;
    expect(services.flatMap(exportsOf).sort()).toEqual([...want].sort());
  });
});

describe("options", () => {
  const sources = {
    "a/a.proto": `syntax = "proto3"; package a; ${options} import "b.proto"; service S { rpc A(b.M) returns (b.M) { ${open} } }`,
    "b.proto": 'syntax = "proto3"; package b; message M {}',
  };

  test.each([
    { target: "ts", want: ["a/a_auth.ts"] },
    { target: "js", want: ["a/a_auth.js"] },
    { target: "dts", want: ["a/a_auth.d.ts"] },
    { target: "js+dts", want: ["a/a_auth.js", "a/a_auth.d.ts"] },
    { target: "ts+js+dts", want: ["a/a_auth.ts", "a/a_auth.js", "a/a_auth.d.ts"] },
  ])("target=$target", ({ target, want }) => {
    expect(Object.keys(generate(sources, `target=${target}`))).toEqual(want);
  });

  test("without a target there are JavaScript and declarations, as from protoc-gen-es", () => {
    expect(Object.keys(generate(sources, ""))).toEqual(["a/a_auth.js", "a/a_auth.d.ts"]);
  });

  test.each([
    { option: "import_extension=none", want: '"./a_pb"' },
    { option: "import_extension=js", want: '"./a_pb.js"' },
    { option: "import_extension=ts", want: '"./a_pb.ts"' },
    { option: "rewrite_imports=./**/*_pb.js:@acme/gen", want: '"@acme/gen/a/a_pb.js"' },
    { option: "map_imports=a/**:@acme/gen", want: '"@acme/gen/a/a_pb.js"' },
  ])("$option, and the runtime is imported by its name", ({ option, want }) => {
    const { "a/a_auth.ts": source = "" } = generate(sources, `target=ts,${option}`);
    const imports = [...source.matchAll(/from (".*");/g)].map(([, from]) => from);
    expect(imports).toEqual([
      '"connectrpc-auth"',
      '"connectrpc-auth"',
      want,
      '"@connectrpc/connect"',
    ]);
  });

  test("ts_nocheck", () => {
    const nocheck = "// @ts-nocheck";
    expect(generate(sources, "target=ts,ts_nocheck=true")["a/a_auth.ts"]).toContain(nocheck);
    expect(generate(sources, "target=ts")["a/a_auth.ts"]).not.toContain(nocheck);
  });

  test("keep_empty_files writes an empty file for a proto file without services", () => {
    expect(generate(sources, "target=ts,keep_empty_files=true")["b_auth.ts"]).toBe("");
    expect(Object.keys(generate(sources, "target=ts"))).not.toContain("b_auth.ts");
  });

  test.each([
    {
      option: "index_files=a",
      want: 'invalid option "index_files=a": there is no option "index_files"; there are allow, strict, index_file, snapshot_file, matrix_file, openapi_security_file, and those of protoc-gen-es',
    },
    { option: "target=rust", want: 'invalid option "target=rust"' },
    { option: "import_extension=mjs", want: 'invalid option "import_extension=mjs"' },
  ])("$option is refused", ({ option, want }) => {
    expect(problemsOf(request(sources, option))).toEqual([want]);
  });

  test("js_import_style=legacy_commonjs gives code that Node loads with require", () => {
    const { folder, result } = bufGenerate(sources, [
      "target=js",
      "js_import_style=legacy_commonjs",
    ]);
    expect(result.stderr).toBe("");
    writeFiles(folder, {
      "gen/package.json": '{ "type": "commonjs" }',
      "node_modules/README": "",
      "run.cjs": `
const { createSClient, getPublicMethods, SPolicies } = require("./gen/a/a_auth.js");
const { S } = require("./gen/a/a_pb.js");
const { createRouterTransport } = require("@connectrpc/connect");
const client = createSClient(
  (options) => createRouterTransport((router) => router.service(S, { a: () => ({}) }), { transport: options }),
  { baseUrl: "https://api.example.com" },
);
client.a({}).then((answer) => console.log(JSON.stringify([answer.$typeName, getPublicMethods(), SPolicies.methods])));
`,
    });
    symlinkSync(root, join(folder, "node_modules", "connectrpc-auth"));
    const output = execFileSync(process.execPath, ["--no-warnings", join(folder, "run.cjs")], {
      encoding: "utf8",
    });
    expect(JSON.parse(output)).toEqual(["b.M", ["a.S/A"], { a: { kind: "public" } }]);
  });
});

test("a schema of the options that was compiled from another file is read as well", () => {
  const schema = `syntax = "proto2"; package acme.auth;
import "google/protobuf/descriptor.proto";
extend google.protobuf.MethodOptions { optional Rules rules = 50100; }
extend google.protobuf.ServiceOptions { optional Defaults defaults = 50101; }
message Needs { repeated string roles = 1; repeated string scopes = 2; }
message Rules { optional bool public = 1; optional Needs requires = 2; optional string policy = 3; optional bool internal = 4; }
message Defaults { optional string default_policy = 1; optional Needs default_requires = 2; optional bool public = 3; optional bool internal = 4; }`;
  const service = (
    rules: string,
  ) => `syntax = "proto3"; package acme; import "acme/auth.proto"; message M {}
service S {
  option (auth.defaults) = { default_policy: "allow" };
  rpc A(M) returns (M) { option (auth.rules) = { ${rules} }; }
  rpc B(M) returns (M);
}`;
  const files = { "acme/auth.proto": schema };
  const good = { ...files, "acme/s.proto": service('requires: { roles: ["admin"] }') };
  expect(generate(good)["acme/s_auth.ts"]?.match(/\{ kind: .*\}/g)).toEqual([
    '{ kind: "requires", roles: ["admin"], scopes: [] }',
    '{ kind: "authenticated" }',
  ]);
  expect(problems({ ...files, "acme/s.proto": service('policy: "alow"') })).toEqual([
    'acme/s.proto:4:50: error AUTH002 acme.S.A: policy "alow" is neither "allow" nor "deny"; write "allow"',
  ]);
});

describe("text of a proto file cannot break out of the code", () => {
  const nasty = [
    "'",
    '\\"',
    "\\\\",
    "${process.exit(1)}",
    "`",
    "*/",
    "//",
    "<!--",
    "\\\\u0022",
    "]});",
  ];
  const proto = `syntax = "proto3"; package text; ${options}
message M {}

// ends */ here \` \${x} \u2028 export const stolen = 1; \\ "
// @generated from rpc text.S.A
service S {
  // method */ }); \u2029 throw 1; /* // \\u002a/
  rpc A(M) returns (M) {
    option (connectum.auth.v1.method_auth) = { requires: { roles: [${nasty.map((role) => `"${role}"`).join(", ")}], scopes: ["*/", "\${x}", "'", "\`"] } };
  } // trailing */
}`;

  test.each(["target=ts", "target=js+dts"])("with %s", async (target) => {
    const { folder, result } = bufGenerate({ "text.proto": proto }, [
      target,
      "import_extension=js",
    ]);
    expect(result.stderr).toBe("");
    expect(typeCheck(folder)).toBe("");
    const name = target === "target=ts" ? "text_auth.ts" : "text_auth.js";
    const module: Record<string, unknown> = await import(join(folder, "gen", name));
    expect(Object.keys(module).sort()).toEqual([
      "SPolicies",
      "createSClient",
      "getInternalMethods",
      "getPublicMethods",
    ]);
    expect(module.SPolicies).toMatchObject({
      methods: {
        a: {
          kind: "requires",
          roles: ["'", '"', "\\", "${process.exit(1)}", "`", "*/", "//", "<!--", "\\u0022", "]});"],
          scopes: ["*/", "${x}", "'", "`"],
        },
      },
    });
  });

  test("nor can the package, the file name, or names that no compiler lets through", () => {
    const req = request({
      "a.proto": `syntax = "proto3"; package a; message M {} service S { rpc A(M) returns (M); }`,
    });
    const [file] = req.protoFile.filter(({ name }) => name === "a.proto");
    if (file === undefined) {
      throw new Error("a.proto is missing");
    }
    file.name = 'a"; import "evil.proto';
    req.fileToGenerate = [file.name];
    expect(runPlugin(req)['a"; import "evil_auth.ts']).toContain(
      'from "./a\\"; import \\"evil_pb";',
    );

    for (const service of file.service) {
      service.name = "S { } process.exit(1); //";
    }
    expect(() => runPlugin(req)).toThrow(/invalid service name "S \{ \} process\.exit\(1\); \/\/"/);
  });
});

test("comments keep their lines and lose their indentation", () => {
  const { "a_auth.ts": source = "" } = generate({
    "a.proto": `syntax = "proto3"; package a; message M {}
// detached

// First line.
//   - indented
//
// Last line.\r
service S {
  /* block
   * comment */
  rpc A(M) returns (M);
  rpc B(M) returns (M); // behind
}`,
  });
  expect(source).toContain(`
 * First line.
 *   - indented
 *
 * Last line.
 *
 * - with`);
  expect(source).toContain(`
    /**
     * block
     * comment
     *
     * Who`);
  expect(source).toContain(`
    /**
     * behind
     *
     * Who`);
  expect(source).not.toContain("detached");
});

test("names of services agree with protoc-gen-es where it has to avoid another name", () => {
  const { folder, result } = bufGenerate({
    "a.proto": `syntax = "proto3"; message Foo { message Bar {} }
service FooSchema { rpc A(Foo) returns (Foo); }
service Foo_Bar { rpc A(Foo) returns (Foo); }
service file_a { rpc A(Foo) returns (Foo); }`,
  });
  expect(result.stderr).toBe("");
  const files = readFiles(join(folder, "gen"));
  const services = [...(files["a_pb.ts"] ?? "").matchAll(/^export const (\S+): GenService/gm)];
  const imported = /^import \{ (.*) \} from "\.\/a_pb\.js";/m.exec(files["a_auth.ts"] ?? "");
  expect(imported?.[1]?.split(", ").sort()).toEqual(services.map(([, name]) => name).sort());
  expect(typeCheck(folder)).toBe("");
});
