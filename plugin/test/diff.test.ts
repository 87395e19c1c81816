import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { describe, expect, onTestFinished, test } from "vitest";
import packageJson from "../package.json" with { type: "json" };
import { main } from "../src/diff/main.js";
import { binaries, compile, generate, root, type Sources, testFolder } from "./generate.js";
import { runMain } from "./run-main.js";

const program = join(root, "plugin", packageJson.bin["connect-auth-diff"]);

/** Runs the program in a folder. */
async function diff(folder: string, args: readonly string[], input: string | Uint8Array = "") {
  const { status, stdout, stderr } = await runMain(main, { folder, args, input });
  return { status, stdout: stdout.toString(), stderr };
}

const optionsPath = "connectum/auth/v1/options.proto";
const optionsProto = readFileSync(join(root, "proto", optionsPath), "utf8");
const options = 'import "connectum/auth/v1/options.proto";';

/** A proto file of a service with these rules on its methods. */
function proto(methods: Readonly<Record<string, string>>): Sources {
  const rpcs = Object.entries(methods).map(
    ([name, rules]) =>
      `rpc ${name}(M) returns (M) { ${rules === "" ? "" : `option (connectum.auth.v1.method_auth) = { ${rules} };`} }`,
  );
  const source = `syntax = "proto3"; package acme.v1; ${options} message M {}\nservice S { ${rpcs.join("\n")} }`;
  return { "acme/v1/s.proto": source };
}

/** What the plugin prints for `snapshot_file`. */
function snapshot(sources: Sources): string {
  return generate(sources, "target=ts,snapshot_file=auth_policy.json")["auth_policy.json"] ?? "";
}

/** What buf prints for proto sources, with the options and `imports` as files of another module. */
function image(
  sources: Sources,
  format: "binpb" | "json",
  { imports = {}, flags = [] }: { imports?: Sources; flags?: readonly string[] } = {},
): Buffer {
  const inFolder = (folder: string, files: Sources) =>
    Object.fromEntries(Object.entries(files).map(([path, text]) => [`${folder}/${path}`, text]));
  const folder = testFolder({
    "buf.yaml": JSON.stringify({ version: "v2", modules: [{ path: "own" }, { path: "other" }] }),
    ...inFolder("own", sources),
    ...inFolder("other", { [optionsPath]: optionsProto, ...imports }),
  });
  const args = ["build", "own", "-o", `-#format=${format}`, ...flags];
  return execFileSync(join(binaries, "buf"), args, { cwd: folder });
}

const before = proto({
  Get: "public: true",
  List: 'policy: "allow"',
  Delete: 'requires: { roles: ["admin"], scopes: ["write", "read"] }',
  Drop: 'policy: "deny"',
  Reindex: "internal: true",
});
const after = proto({
  Get: "requires: {}",
  List: "requires: {}",
  Delete: 'requires: { roles: ["admin", "ops"], scopes: ["read"] }',
  Reindex: "public: true",
  Purge: 'requires: { roles: ["owner"] }',
});

const table = `\
relaxed     acme.v1.S/Delete   requires role admin, scopes read and write -> requires role admin or ops, scope read  role ops is enough; scope write is not needed
relaxed     acme.v1.S/Purge    (new) -> requires role owner                                                          users may call it, if it was acme.v1.S/Drop
relaxed     acme.v1.S/Reindex  internal -> public                                                                    anyone may call it
restricted  acme.v1.S/Get      public -> requires
neutral     acme.v1.S/Drop     denied -> (gone)
neutral     acme.v1.S/List     authenticated -> requires
3 relaxed, 0 allowed, 1 restricted, 2 neutral
`;

describe("connect-auth-diff", () => {
  test("says what a change does, and fails where a method is relaxed", async () => {
    const folder = testFolder({ "old.json": snapshot(before), "new.json": snapshot(after) });
    expect(await diff(folder, ["old.json", "new.json"])).toEqual({
      status: 1,
      stdout: table,
      stderr: "",
    });
  });

  test("says that there is no change", async () => {
    const folder = testFolder({ "old.json": snapshot(before) });
    expect(await diff(folder, ["old.json", "old.json"])).toEqual({
      status: 0,
      stdout: "no change\n",
      stderr: "",
    });
  });

  test("passes where nothing is relaxed", async () => {
    const folder = testFolder({
      "old.json": snapshot(before),
      "new.json": snapshot(proto({ Get: 'policy: "allow"' })),
    });
    const { status, stdout } = await diff(folder, ["old.json", "new.json"]);
    expect(stdout).toContain("0 relaxed, 0 allowed, 4 restricted, 1 neutral\n");
    expect(status).toBe(0);
  });

  test.each([
    { allow: ["acme.v1.S/*"], status: 0, counts: "0 relaxed, 3 allowed, 1 restricted, 2 neutral" },
    {
      allow: ["acme.v1.S/Delete", "acme.v1.S/Purge", "acme.v1.S/Reindex"],
      status: 0,
      counts: "0 relaxed, 3 allowed, 1 restricted, 2 neutral",
    },
    {
      allow: ["acme.v1.S/Delete", "acme.v1.S/Purge"],
      status: 1,
      counts: "1 relaxed, 2 allowed, 1 restricted, 2 neutral",
    },
  ])("lets $allow be relaxed", async ({ allow, status, counts }) => {
    const folder = testFolder({ "old.json": snapshot(before), "new.json": snapshot(after) });
    const args = allow.flatMap((pattern) => ["--allow", pattern]);
    const result = await diff(folder, [...args, "old.json", "new.json"]);
    expect(result).toMatchObject({ status, stderr: "" });
    expect(result.stdout).toContain("allowed     acme.v1.S/Delete ");
    expect(result.stdout).toContain(counts);
  });

  test("says which permission is not needed any more", async () => {
    const folder = testFolder({ "old.json": snapshot(before), "new.json": snapshot(after) });
    const args = ["--allow=acme.v1.S/Get", "--allow", "acme.v1.T/*", "--allow", "acme.v1.S/*"];
    expect(await diff(folder, [...args, "old.json", "new.json"])).toMatchObject({
      status: 0,
      stderr: [
        "connect-auth-diff: --allow acme.v1.S/Get is not needed: no such method is relaxed\n",
        "connect-auth-diff: --allow acme.v1.T/* is not needed: no such method is relaxed\n",
      ].join(""),
    });
  });

  test("prints JSON", async () => {
    const folder = testFolder({
      "old.json": snapshot(proto({ A: "internal: true", B: "public: true" })),
      "new.json": snapshot(proto({ A: "public: true" })),
    });
    const { status, stdout, stderr } = await diff(folder, [
      ...["--json", "--allow", "acme.v1.S/A"],
      ...["old.json", "new.json"],
    ]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(JSON.parse(stdout)).toEqual({
      version: 1,
      relaxed: 0,
      allowed: 1,
      restricted: 1,
      neutral: 0,
      changes: [
        {
          method: "acme.v1.S/A",
          effect: "relaxed",
          allowed: true,
          before: { kind: "internal", roles: [], scopes: [] },
          after: { kind: "public" },
          because: ["anyone may call it"],
        },
        {
          method: "acme.v1.S/B",
          effect: "restricted",
          allowed: false,
          before: { kind: "public" },
          after: null,
          because: [],
        },
      ],
    });
  });

  test("shows names of roles that would hide, or steer a terminal", async () => {
    const role = (name: string) =>
      snapshot(proto({ A: `requires: { roles: ["admin", "${name}"] }` }));
    const folder = testFolder({ "old.json": role("a"), "new.json": role("\u202e\u200bb`|") });
    const text = (await diff(folder, ["old.json", "new.json"])).stdout;
    expect(text).toContain('role "\\u202e\\u200bb`|" is enough\n');
    const json = (await diff(folder, ["--json", "old.json", "new.json"])).stdout;
    expect(json).toContain('"\\u202e\\u200bb`|"');
    expect(JSON.parse(json).changes[0].after.roles).toEqual(["admin", "\u202e\u200bb`|"]);
    // a snapshot that was written by hand may hold what the plugin refuses
    const line = { method: "a.S/A", kind: "requires", roles: ["\u001b[2J\n"], scopes: [] };
    const byHand = JSON.stringify({ version: 1, methods: [line] });
    expect((await diff(folder, ["old.json", "-"], byHand)).stdout).toContain(
      'role "\\u001b[2J\\n"',
    );
  });

  test("says how it is used, and its version", async () => {
    const folder = testFolder();
    const help = await diff(folder, ["--help"]);
    expect(help).toMatchObject({ status: 0, stderr: "" });
    expect(help.stdout).toMatch(/^connect-auth-diff OLD NEW\n/);
    expect(await diff(folder, ["-h"])).toEqual(help);
    expect(await diff(folder, ["--version"])).toEqual({
      status: 0,
      stdout: `connect-auth-diff v${packageJson.version}\n`,
      stderr: "",
    });
  });

  test("does not complain about a reader that has gone", () => {
    const folder = testFolder({ "old.json": snapshot(before), "new.json": snapshot(after) });
    const command = `"${process.execPath}" "${program}" old.json new.json | true`;
    const { status, stderr } = spawnSync("sh", ["-c", command], { cwd: folder, encoding: "utf8" });
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  });
});

describe("inputs", () => {
  test.each<{ name: string; old: () => string | Buffer }>([
    { name: "a snapshot", old: () => snapshot(before) },
    {
      name: "a snapshot that was formatted otherwise",
      old: () => `\n ${JSON.stringify(JSON.parse(snapshot(before)), undefined, "\t")}\r\n`,
    },
    { name: "an image", old: () => image(before, "binpb") },
    { name: "an image in JSON", old: () => image(before, "json") },
    {
      name: "an image without the files that are imported",
      old: () => image(before, "binpb", { flags: ["--exclude-imports"] }),
    },
    {
      name: "a FileDescriptorSet",
      old: () =>
        Buffer.from(
          toBinary(
            FileDescriptorSetSchema,
            create(FileDescriptorSetSchema, { file: compile(before) }),
          ),
        ),
    },
  ])("can be $name, in a file or on standard input", async ({ old }) => {
    const folder = testFolder({ "new.json": snapshot(after) });
    const bytes = old();
    writeFileSync(join(folder, "old"), bytes);
    expect(await diff(folder, ["old", "new.json"])).toEqual({
      status: 1,
      stdout: table,
      stderr: "",
    });
    expect(await diff(folder, ["-", "new.json"], bytes)).toMatchObject({ stdout: table });
    expect(await diff(folder, ["old", "-"], bytes)).toMatchObject({ stdout: "no change\n" });
  });

  const dependency = {
    "dep/d.proto": `syntax = "proto3"; package dep; message M {} service D { rpc A(M) returns (M); }`,
  };
  const importing = {
    "acme/v1/s.proto": `syntax = "proto3"; package acme.v1; import "dep/d.proto"; service S { rpc A(dep.M) returns (dep.M); }`,
  };
  test.each(["binpb", "json"] as const)(
    "in %s do not count the services of imported files, as the plugin does not",
    async (format) => {
      const folder = testFolder({ "own.json": snapshot(proto({ A: "" })) });
      const bytes = image(importing, format, { imports: dependency });
      expect(await diff(folder, ["own.json", "-"], bytes)).toEqual({
        status: 0,
        stdout: "no change\n",
        stderr: "",
      });
    },
  );

  const schema = `syntax = "proto2"; package acme.auth;
import "google/protobuf/descriptor.proto";
message Rules { optional bool public = 1; }
extend google.protobuf.MethodOptions { optional Rules rules = 50100; }`;
  const foreign = {
    "acme/auth.proto": schema,
    "acme/v1/s.proto": `syntax = "proto3"; package acme.v1; import "acme/auth.proto"; message M {}
service S { rpc A(M) returns (M) { option (auth.rules) = { public: true }; } }`,
  };
  test.each(["binpb", "json"] as const)(
    "in %s may have the options from another schema",
    async (format) => {
      const folder = testFolder({ "own.json": snapshot(proto({ A: "public: true" })) });
      const bytes = image(foreign, format);
      expect(await diff(folder, ["own.json", "-"], bytes)).toMatchObject({ stdout: "no change\n" });
    },
  );

  const line = (fields: object) =>
    JSON.stringify({ version: 1, methods: [{ method: "a.S/A", kind: "public", ...fields }] });
  const requires = { kind: "requires", roles: [], scopes: [] };
  test.each<{ name: string; input: () => string | Uint8Array; want: string }>([
    { name: "nothing", input: () => "", want: "it is empty" },
    {
      name: "text",
      input: () => 'syntax = "proto3";\n',
      want: "it is neither a snapshot (auth_policy.json) nor an image of buf build",
    },
    {
      name: "compressed data",
      input: () => new Uint8Array([0x1f, 0x8b, 8, 0]),
      want: "it is neither a snapshot (auth_policy.json) nor an image of buf build",
    },
    {
      name: "a truncated image",
      input: () => image(before, "binpb").subarray(0, -5),
      want: "it is no image of buf build: premature EOF",
    },
    {
      name: "an image with more in it",
      input: () => Buffer.concat([image(before, "binpb"), Buffer.from([0x10, 1])]),
      want: "it is no image of buf build: there is more in it than proto files",
    },
    {
      name: "an image of nothing",
      input: () => '{ "file": [] }',
      want: "it holds no proto files",
    },
    {
      name: "an image in JSON whose imports are missing",
      input: () => image(before, "json", { flags: ["--exclude-imports"] }),
      want: "it is no image of buf build: Cannot find connectum/auth/v1/options.proto, imported by acme/v1/s.proto",
    },
    {
      name: "an image in JSON with an option that it does not define",
      input: () =>
        image(before, "json")
          .toString()
          .replace("[connectum.auth.v1.method_auth]", "[acme.other.method_auth]"),
      want: 'it is no image of buf build: cannot decode message google.protobuf.MethodOptions from JSON: key "[acme.other.method_auth]" is unknown',
    },
    {
      name: "an image whose option is something else",
      input: () =>
        image(
          {
            ...foreign,
            "acme/auth.proto": schema
              .replace("optional Rules", "optional string")
              .replace("message Rules { optional bool public = 1; }", ""),
            "acme/v1/s.proto": foreign["acme/v1/s.proto"].replace("{ public: true }", '"public"'),
          },
          "binpb",
        ),
      want: "acme/v1/s.proto: option 50100 of rpc acme.v1.S.A is no connectum.auth.v1.MethodAuth; does another schema use that number?",
    },
    {
      name: "an image with a name that no compiler lets through",
      input: () => image(before, "json").toString().replace('"Delete"', '"De lete\\n"'),
      want: 'it is no image of buf build: acme/v1/s.proto: invalid method name "De lete\\n"',
    },
    {
      name: "a snapshot of the future",
      input: () => '{ "version": 2, "methods": [] }',
      want: "version 2 of snapshots is not known, only 1",
    },
    {
      name: "other JSON",
      input: () => '{ "name": "acme" }',
      want: "version undefined of snapshots is not known, only 1",
    },
    { name: "a list", input: () => "[]", want: "[] must be an object" },
    {
      name: "a long list",
      input: () => JSON.stringify(Array.from({ length: 1000 }, () => 1)),
      want: `[${"1,".repeat(49)}1… must be an object`,
    },
    { name: "null", input: () => "null", want: "null must be an object" },
    {
      name: "a snapshot with another field",
      input: () => '{ "version": 1, "methods": [], "more": [] }',
      want: 'the snapshot has an unknown field "more"',
    },
    {
      name: "a snapshot without methods",
      input: () => '{ "version": 1 }',
      want: '"methods" must be a list',
    },
    {
      name: "a method that is none",
      input: () => '{ "version": 1, "methods": ["a.S/A"] }',
      want: '"a.S/A" must be an object',
    },
    {
      name: "a method without a name",
      input: () => line({ method: 1 }),
      want: '"method" must be a text, not 1',
    },
    {
      name: "a method with a path for a name",
      input: () => line({ method: "/a.S/A" }),
      want: '"/a.S/A" is no method, such as "package.Service/Method"',
    },
    {
      name: "a method that is there twice",
      input: () =>
        JSON.stringify({
          version: 1,
          methods: [
            { method: "a.S/A", kind: "denied" },
            { method: "a.S/A", kind: "public" },
          ],
        }),
      want: "a.S/A is there twice",
    },
    {
      name: "an unknown kind",
      input: () => line({ kind: "toString" }),
      want: 'a.S/A: there is no kind "toString"',
    },
    {
      name: "a misspelt field",
      input: () => line({ ...requires, role: ["admin"] }),
      want: 'a.S/A has an unknown field "role"',
    },
    {
      name: "roles where they mean nothing",
      input: () => line({ roles: ["admin"] }),
      want: 'a.S/A has an unknown field "roles"',
    },
    {
      name: "roles that are no list",
      input: () => line({ ...requires, roles: "admin" }),
      want: 'a.S/A: "roles" must be a list of texts',
    },
    {
      name: "roles that are left out",
      input: () => line({ kind: "internal", scopes: [] }),
      want: 'a.S/A: "roles" must be a list of texts',
    },
    {
      name: "a scope that is no text",
      input: () => line({ ...requires, scopes: [1] }),
      want: 'a.S/A: "scopes" must be a list of texts',
    },
  ])("are refused with one line: $name", async ({ input, want }) => {
    const folder = testFolder({ "own.json": snapshot(before) });
    expect(await diff(folder, ["own.json", "-"], input())).toEqual({
      status: 2,
      stdout: "",
      stderr: `connect-auth-diff: standard input: ${want}\n`,
    });
  });

  test("are refused with one line: a truncated snapshot", async () => {
    const folder = testFolder({ "own.json": snapshot(before) });
    // how the sentence ends is up to Node
    expect(await diff(folder, ["own.json", "-"], snapshot(before).slice(0, -5))).toEqual({
      status: 2,
      stdout: "",
      stderr: expect.stringMatching(/^connect-auth-diff: standard input: it is no JSON: [^\n]+\n$/),
    });
  });

  test.each<{ args: string[]; want: string }>([
    { args: [], want: "there must be two inputs, OLD and NEW, not 0; see --help" },
    { args: ["own.json"], want: "there must be two inputs, OLD and NEW, not 1; see --help" },
    { args: ["a", "b", "c"], want: "there must be two inputs, OLD and NEW, not 3; see --help" },
    { args: ["-", "-"], want: "only one of the inputs can be standard input" },
    { args: ["--colour", "a", "b"], want: "Unknown option '--colour'" },
    { args: ["a", "b", "--allow"], want: "Option '--allow <value>' argument missing" },
    { args: ["--json=yes", "a", "b"], want: "Option '--json' does not take an argument" },
    {
      args: ["--allow", "a.S.A", "a", "b"],
      want: '--allow: method pattern "a.S.A" must be "package.Service/Method", "package.Service/*" or "*"',
    },
    {
      args: ["--allow", "*", "own.json", "own.json"],
      want: '--allow "*" would allow every change; name methods or services, such as package.Service/*',
    },
    { args: ["own.json", "none.json"], want: "none.json: ENOENT: no such file or directory" },
    { args: ["own.json", "."], want: ".: EISDIR: illegal operation on a directory" },
    { args: ["own.json", "a\nb"], want: "a b: ENOENT: no such file or directory" },
  ])("are asked for: $args", async ({ args, want }) => {
    const { status, stdout, stderr } = await diff(
      testFolder({ "own.json": snapshot(before) }),
      args,
    );
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(stderr).toMatch(/^connect-auth-diff: [^\n]+\n$/);
    expect(stderr).toContain(`connect-auth-diff: ${want}`);
  });
});

describe("the program", () => {
  test("works where no other package is installed", () => {
    const folder = mkdtempSync(join(tmpdir(), "connectrpc-auth-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    for (const file of ["package.json", ...packageJson.files]) {
      cpSync(join(root, "plugin", file), join(folder, file), { recursive: true });
    }
    const bytes = image(before, "binpb");
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [join(folder, packageJson.bin["connect-auth-diff"]), "--", "-", "new.json"],
      { cwd: testFolder({ "new.json": snapshot(after) }), input: bytes, encoding: "utf8" },
    );
    expect({ status, stdout, stderr }).toEqual({ status: 1, stdout: table, stderr: "" });
  });

  test("fails with 2 where it cannot say what changes", () => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [program, "none.json", "-"], {
      cwd: testFolder(),
      encoding: "utf8",
    });
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(stderr).toMatch(/^connect-auth-diff: none\.json: ENOENT: [^\n]+\n$/);
  });

  test("loads the reader of images only for images", () => {
    const text = readFileSync(join(root, "plugin/dist/diff.js"), "utf8");
    expect(text.length).toBeLessThan(20_000);
    expect(text).toMatch(/import\("\.\/diff-read-image\.js"\)/);
    expect(text).not.toMatch(/from"\.\/diff-read-image\.js"/);
  });
});
