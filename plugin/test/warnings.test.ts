import { create } from "@bufbuild/protobuf";
import { CodeGeneratorRequestSchema, type FileDescriptorProto } from "@bufbuild/protobuf/wkt";
import { describe, expect, test } from "vitest";
import { compile, problemsOf, request, runWithWarnings, type Sources } from "./generate.js";

const optionsPath = "connectum/auth/v1/options.proto";

/** What is written on a service and on its methods. */
interface Rules {
  readonly service: string;
  readonly methods: readonly string[];
}

const files: Record<string, string> = {};
let compiled: FileDescriptorProto[] | undefined;

/** Gives each case a file, to be compiled with those of all others: that takes most of the time. */
function withFiles<T extends Rules>(...cases: readonly T[]): (T & { file: string })[] {
  return cases.map((rules) => ({
    ...rules,
    file: addFile(
      rules.service,
      rules.methods.map((auth, i) => rpc(`M${i}`, auth)),
    ),
  }));
}

function addFile(service: string, methods: readonly string[]): string {
  const name = `s${Object.keys(files).length}`;
  const option = service && `option (connectum.auth.v1.service_auth) = { ${service} };`;
  files[`${name}.proto`] = `syntax = "proto3";
package ${name};
import "${optionsPath}";
message M {}
service S {
  ${option}
  ${methods.join("\n  ")}
}`;
  return `${name}.proto`;
}

function rpc(name: string, auth: string, more = ""): string {
  const option = auth && `option (connectum.auth.v1.method_auth) = { ${auth} };`;
  return `rpc ${name}(M) returns (M) { ${option} ${more} }`;
}

/** The problems in the file of a case, without their places and packages. */
function linesOf(file: string, parameter = "target=ts"): string[] {
  compiled ??= compile(files);
  const req = create(CodeGeneratorRequestSchema, {
    protoFile: compiled,
    fileToGenerate: [file],
    parameter,
  });
  const errors = problemsOf(req);
  const lines = errors.length > 0 ? errors : runWithWarnings(req).warnings;
  return lines.map((line) => line.replace(/^\S+: /, "").replace(/ s\d+\./, " "));
}

/** Those in other files. */
function warnings(sources: Sources): string[] {
  return runWithWarnings(request(sources)).warnings.map((line) => line.replace(/^\S+: /, ""));
}

describe("AUTH001 finds methods that nothing is said about", () => {
  const undecided = (name: string) =>
    `warning AUTH001 ${name}: nothing says who may call it; write public, internal, requires or policy on the method, or default_policy: "deny" on the service`;

  test.each(
    withFiles(
      { name: "without an option", service: "", methods: [""] },
      { name: "with public: false", service: "", methods: ["public: false"] },
      { name: "with internal: false", service: "", methods: ["internal: false"] },
      {
        name: "that take back what the service says",
        service: "internal: true",
        methods: ["internal: false", ""],
      },
    ),
  )("$name", ({ file }) => {
    expect(linesOf(file)).toEqual([undecided("S.M0")]);
  });

  test.each(
    withFiles(
      { service: "", methods: ["public: true"] },
      { service: "", methods: ["internal: true"] },
      { service: "", methods: ['requires: { roles: ["a"] }'] },
      { service: "", methods: ['policy: "allow"'] },
      { service: "public: true", methods: [""] },
      { service: "internal: true", methods: [""] },
      { service: 'default_requires: { scopes: ["a"] }', methods: [""] },
      { service: 'default_policy: "allow"', methods: [""] },
    ),
  )("and accepts a method with $methods in a service with $service", ({ file }) => {
    expect(linesOf(file)).toEqual([]);
  });

  const service = "message M {} service S { rpc A(M) returns (M); }";

  test("and says nothing about a file that does not import the options", () => {
    const other = `syntax = "proto3"; package other; ${service}`;
    const ours = `syntax = "proto3"; package ours; import "${optionsPath}"; ${service}`;
    expect(warnings({ "other.proto": other, "ours.proto": ours })).toEqual([undecided("ours.S.A")]);
  });

  const extend = (on: "Method" | "Service", field: string) =>
    `extend google.protobuf.${on}Options { optional ${field}; }`;
  const copy = `message Rules { optional bool public = 1; optional string policy = 3; }
message Defaults { optional string policy = 1; optional bool open = 3; }`;
  const schema = (...lines: string[]) =>
    `syntax = "proto2"; package x; import "google/protobuf/descriptor.proto"; ${lines.join("\n")}`;

  test.each([
    { name: "for methods", text: schema(copy, extend("Method", "Rules rules = 50100")) },
    { name: "for services", text: schema(copy, extend("Service", "Defaults defaults = 50101")) },
    {
      name: "inside of a message",
      text: schema(copy, `message Box { ${extend("Method", "Rules rules = 50100")} }`),
    },
  ])("in a file that imports a copy of the options $name", ({ text }) => {
    const file = `syntax = "proto3"; package s; import "copy.proto"; ${service}`;
    expect(warnings({ "copy.proto": text, "s.proto": file })).toEqual([undecided("s.S.A")]);
  });

  test("in a file that defines a copy of the options itself", () => {
    const text = schema(copy, extend("Method", "Rules rules = 50100"), service);
    expect(warnings({ "copy.proto": text })).toEqual([undecided("x.S.A")]);
  });

  test.each([
    { name: "public, through two files", keyword: "import public", want: [undecided("s.S.A")] },
    { name: "not public", keyword: "import", want: [] },
  ])("in a file that gets the options by an import that is $name", ({ keyword, want }) => {
    const sources = {
      "all.proto": `syntax = "proto3"; package all; ${keyword} "${optionsPath}";`,
      "more.proto": 'syntax = "proto3"; package more; import public "all.proto";',
      "s.proto": `syntax = "proto3"; package s; import "more.proto"; ${service}`,
    };
    expect(warnings(sources)).toEqual(want);
  });

  test.each([
    { name: "text", text: schema(extend("Method", "string owner = 50100")) },
    {
      name: "a message of another shape",
      text: schema(
        "message Owner { optional string team = 1; optional string mail = 2; }",
        extend("Method", "Owner owner = 50100"),
        extend("Service", "Owner owns = 50101"),
      ),
    },
    {
      name: "a message that shares one field by chance",
      text: schema(
        "message Owner { optional string team = 1; }",
        extend("Service", "Owner owns = 50101"),
      ),
    },
    { name: "a copy at another number", text: schema(copy, extend("Method", "Rules r = 50102")) },
    {
      name: "a copy for other elements",
      text: schema(copy, "extend google.protobuf.FieldOptions { optional Rules r = 50100; }"),
    },
  ])("and says nothing where the imported option is $name", ({ text }) => {
    const file = `syntax = "proto3"; package s; import "copy.proto"; ${service}`;
    expect(warnings({ "copy.proto": text, "s.proto": file })).toEqual([]);
  });

  test("in a file of edition 2024 that imports the options as such", () => {
    const req = request({ "s.proto": `syntax = "proto3"; package s; ${service}` });
    expect(runWithWarnings(req).warnings).toEqual([]);
    for (const file of req.protoFile) {
      file.optionDependency = [optionsPath];
    }
    expect(runWithWarnings(req).warnings).toEqual([`s.proto:1:56: ${undecided("s.S.A")}`]);
  });
});

describe("AUTH005 finds requirements that ask for nothing", () => {
  const allow = (word: string) => `write ${word}: "allow" instead, or name a role or scope`;
  const remove = "remove it, or name a role or scope";
  const anyone = "with neither role nor scope lets any authenticated caller in";
  const anyService = "with neither role nor scope asks nothing of an internal caller";

  test.each(
    withFiles(
      {
        name: "on a method",
        service: "",
        methods: ["requires: {}"],
        want: `S.M0: requires ${anyone}; ${allow("policy")}`,
      },
      {
        name: "on a method that says allow as well",
        service: "",
        methods: ['policy: "allow", requires: {}'],
        want: `S.M0: requires ${anyone}; ${remove}`,
      },
      {
        name: "on a service",
        service: "default_requires: {}",
        methods: [""],
        want: `S: default_requires ${anyone}; ${allow("default_policy")}`,
      },
      {
        name: "on a service that says allow as well",
        service: 'default_policy: "allow", default_requires: {}',
        methods: [""],
        want: `S: default_requires ${anyone}; ${remove}`,
      },
      {
        name: "on an internal method",
        service: "",
        methods: ["internal: true, requires: {}"],
        want: `S.M0: requires ${anyService}; ${remove}`,
      },
      {
        name: "on an internal service",
        service: "internal: true, default_requires: {}",
        methods: [""],
        want: `S: default_requires ${anyService}; ${remove}`,
      },
      {
        name: "on an internal service with a method for users",
        service: "internal: true, default_requires: {}",
        methods: ["", "internal: false"],
        want: `S: default_requires ${anyone}; ${allow("default_policy")}`,
      },
    ),
  )("$name", ({ file, want }) => {
    expect(linesOf(file)).toEqual([`warning AUTH005 ${want}`]);
  });

  test.each(
    withFiles(
      {
        name: "that lift the requirements of the service",
        service: 'default_requires: { roles: ["admin"] }',
        methods: ["requires: {}", ""],
      },
      { name: "with a role", service: "", methods: ['requires: { roles: ["a"] }'] },
      { name: "with a scope", service: "", methods: ['requires: { scopes: ["a"] }'] },
    ),
  )("and accepts those $name", ({ file }) => {
    expect(linesOf(file)).toEqual([]);
  });
});

describe("AUTH006 finds a policy that never applies", () => {
  const decidedBy = (policy: string, decider: string) =>
    `${policy} never applies, because ${decider} decides; `;

  test.each(
    withFiles(
      {
        name: "deny beside requires",
        service: "",
        methods: ['policy: "deny", requires: { roles: ["a"] }'],
        want: `S.M0: ${decidedBy('policy: "deny"', "requires")}remove one of them`,
      },
      {
        name: "allow beside requires",
        service: "",
        methods: ['policy: "allow", requires: { scopes: ["a"] }'],
        want: `S.M0: ${decidedBy('policy: "allow"', "requires")}remove one of them`,
      },
      {
        name: "deny where the service requires something",
        service: 'default_requires: { roles: ["a"] }',
        methods: ['policy: "deny"', ""],
        want: `S.M0: ${decidedBy('policy: "deny"', "default_requires of the service")}write requires on the methods that need it in place of default_requires, or remove policy`,
      },
      {
        name: "allow where the service requires something",
        service: 'default_requires: { roles: ["a"] }',
        methods: ['policy: "allow"', ""],
        want: `S.M0: ${decidedBy('policy: "allow"', "default_requires of the service")}write requires: {} for any authenticated caller`,
      },
      {
        name: "default_policy beside default_requires",
        service: 'default_policy: "deny", default_requires: { roles: ["a"] }',
        methods: [""],
        want: `S: ${decidedBy('default_policy: "deny"', "default_requires")}remove one of them`,
      },
      {
        name: "allow on an internal method",
        service: "",
        methods: ['internal: true, policy: "allow"'],
        want: `S.M0: ${decidedBy('policy: "allow"', "internal: true")}remove one of them`,
      },
      {
        name: "deny on a method of an internal service",
        service: "internal: true",
        methods: ['policy: "deny"', ""],
        want: `S.M0: ${decidedBy('policy: "deny"', "internal: true of the service")}write internal: false on the method as well, or remove policy`,
      },
    ),
  )("$name", ({ file, want }) => {
    expect(linesOf(file)).toEqual([`warning AUTH006 ${want}`]);
  });

  const [empty] = withFiles({ service: "", methods: ['policy: "deny", requires: {}'] });
  test("deny beside requirements that ask for nothing, which are found as well", () => {
    expect(linesOf(empty?.file ?? "").sort()).toEqual([
      "warning AUTH005 S.M0: requires with neither role nor scope lets any authenticated caller in; remove it, or name a role or scope",
      `warning AUTH006 S.M0: ${decidedBy('policy: "deny"', "requires")}remove one of them`,
    ]);
  });

  test.each(
    withFiles(
      {
        name: "a policy on a method whose service has another",
        service: 'default_policy: "deny"',
        methods: ['policy: "allow"'],
      },
      {
        name: "requirements on a method whose service denies",
        service: 'default_policy: "deny"',
        methods: ['requires: { roles: ["a"] }'],
      },
      {
        name: "a default for those methods of an internal service that are not internal",
        service: 'internal: true, default_policy: "allow"',
        methods: ["internal: false", ""],
      },
      {
        name: "allow beside public, which lets in as well",
        service: "",
        methods: ['public: true, policy: "allow"'],
      },
    ),
  )("and accepts $name", ({ file }) => {
    expect(linesOf(file)).toEqual([]);
  });
});

describe("AUTH008 finds what a service says for no method", () => {
  test.each(
    withFiles(
      {
        name: "public, where each method says it",
        service: "public: true",
        methods: ['public: false, policy: "allow"', "public: true"],
        want: "no method uses public, as each says public itself; remove it",
      },
      {
        name: "internal, where each method says it",
        service: "internal: true",
        methods: ['internal: false, policy: "allow"'],
        want: 'no method uses internal, as each says internal itself; write default_policy: "deny" in its place, for the methods to come',
      },
      {
        name: "requirements, where each method is public or has its own",
        service: 'default_requires: { roles: ["a"] }',
        methods: ["public: true", 'requires: { roles: ["b"] }'],
        want: 'no method uses default_requires, as each is public or says requires itself; write default_policy: "deny" in its place, for the methods to come',
      },
      {
        name: "empty requirements, where each method is public",
        service: "default_requires: {}",
        methods: ["public: true"],
        want: 'no method uses default_requires, as each is public or says requires itself; write default_policy: "deny" in its place, for the methods to come',
      },
      {
        name: "allow, where each method is decided by something else",
        service: 'default_policy: "allow"',
        methods: [
          "public: true",
          "internal: true",
          'requires: { roles: ["a"] }',
          'policy: "allow"',
        ],
        want: 'no method uses default_policy, as each is public or internal, or says requires or policy itself; write default_policy: "deny" in its place, for the methods to come',
      },
      {
        name: "public: false",
        service: "public: false",
        methods: ['policy: "allow"'],
        want: "public: false on a service changes nothing; remove it",
      },
      {
        name: "internal: false",
        service: "internal: false",
        methods: ['policy: "allow"'],
        want: "internal: false on a service changes nothing; remove it",
      },
      {
        name: "anything on a service without methods",
        service: "internal: true",
        methods: [],
        want: 'internal on a service without methods; remove it, or write default_policy: "deny" for the methods to come',
      },
    ),
  )("$name", ({ file, want }) => {
    expect(linesOf(file)).toEqual([`warning AUTH008 S: ${want}`]);
  });

  const besideDeny = withFiles({
    service: 'default_requires: { roles: ["a"] }, default_policy: "deny"',
    methods: ["public: true"],
  });
  test("and has nothing to be put in its place where the service denies by default", () => {
    const lines = besideDeny.flatMap(({ file }) => linesOf(file, "target=ts,allow=AUTH006"));
    expect(lines).toEqual([
      "warning AUTH008 S: no method uses default_requires, as each is public or says requires itself; remove it",
    ]);
  });

  test.each(
    withFiles(
      { service: "public: true", methods: ["", 'public: false, policy: "allow"'] },
      { service: "internal: true", methods: ["", "public: true, internal: false"] },
      { service: 'default_requires: { roles: ["a"] }', methods: ["internal: true"] },
      { service: 'default_requires: { roles: ["a"] }', methods: ["public: true", ""] },
      { service: 'default_policy: "allow"', methods: ["public: true", "internal: true", ""] },
    ),
  )("and accepts $service where a method uses it", ({ file }) => {
    expect(linesOf(file)).toEqual([]);
  });

  test.each(
    withFiles(
      { name: "no method", service: 'default_policy: "deny"', methods: [] },
      { name: "only a public one", service: 'default_policy: "deny"', methods: ["public: true"] },
    ),
  )("and accepts a service that denies with $name: others may come", ({ file }) => {
    expect(linesOf(file)).toEqual([]);
  });
});

describe("AUTH009 finds methods that nobody can call", () => {
  const inherited =
    'default_policy: "deny" of the service lets nobody call it; write public, internal, requires or policy: "allow" on the method';
  const own =
    'policy: "deny" lets nobody call it; write public, internal or requires instead, or remove the method';
  const denying = 'default_policy: "deny"';

  test.each(
    withFiles(
      { name: "that deny", service: "", methods: ['policy: "deny"'], want: own },
      {
        name: "that deny, as their service does",
        service: denying,
        methods: ['policy: "deny"'],
        want: own,
      },
      { name: "of a service that denies", service: denying, methods: [""], want: inherited },
      {
        name: "of a service that denies, with fields that change nothing",
        service: denying,
        methods: ["public: false, internal: false"],
        want: inherited,
      },
    ),
  )("$name", ({ file, want }) => {
    expect(linesOf(file)).toEqual([`warning AUTH009 S.M0: ${want}`]);
  });

  test.each(
    withFiles(
      { service: denying, methods: ["public: true"] },
      { service: denying, methods: ["internal: true"] },
      { service: denying, methods: ['requires: { roles: ["a"] }'] },
      { service: denying, methods: ['policy: "allow"'] },
    ),
  )("and accepts $methods in a service that denies", ({ file }) => {
    expect(linesOf(file)).toEqual([]);
  });
});

describe("AUTH011 finds public methods that may change something", () => {
  const found = (name: string) =>
    `error AUTH011 S.${name}: public: true on a method that may change something; ask for credentials, or write option idempotency_level = NO_SIDE_EFFECTS if it only reads`;
  const denying = 'default_policy: "deny"';
  const strict = "target=ts,strict=true";

  const [pay] = withFiles({ service: denying, methods: ["public: true"] });
  test("only where warnings are errors", () => {
    expect(linesOf(pay?.file ?? "")).toEqual([]);
    expect(linesOf(pay?.file ?? "", strict)).toEqual([found("M0")]);
  });

  const writing = [
    ...["Login", "Pay", "CreateUser", "deleteUser", "Getaway", "Checkout", "Listen", "Island"],
    ...["GetOrCreateUser", "get_or_create_user", "FindAndModify", "CheckIn", "GetInTouch", "RGet"],
  ];
  test.each(writing.map((name) => ({ name, file: addFile(denying, [rpc(name, "public: true")]) })))(
    "by the name $name",
    ({ name, file }) => {
      expect(linesOf(file, strict)).toEqual([found(name)]);
    },
  );

  const reading = [
    ...["Get", "GetUser", "getUser", "get_user", "Get2", "GetOrder", "GetInbox", "BatchGetUsers"],
    ...["ListUsers", "SearchUsers", "WatchUsers", "CheckHealth", "IsOpen", "HasAccess"],
  ];
  test.each(reading.map((name) => ({ name, file: addFile(denying, [rpc(name, "public: true")]) })))(
    "and accepts the name $name",
    ({ file }) => {
      expect(linesOf(file, strict)).toEqual([]);
    },
  );

  test.each(
    [
      { level: "NO_SIDE_EFFECTS", want: [] },
      { level: "IDEMPOTENT", want: [found("Pay")] },
      { level: "IDEMPOTENCY_UNKNOWN", want: [found("Pay")] },
    ].map(({ level, want }) => {
      const option = `option idempotency_level = ${level};`;
      return { level, want, file: addFile(denying, [rpc("Pay", "public: true", option)]) };
    }),
  )("by idempotency_level = $level: $want", ({ file, want }) => {
    expect(linesOf(file, strict)).toEqual(want);
  });

  test.each(
    withFiles(
      { name: "that are internal", service: denying, methods: ["public: false, internal: true"] },
      {
        name: "of a service that allows",
        service: 'default_policy: "allow"',
        methods: ["public: true", ""],
      },
      {
        name: "of a service that requires",
        service: 'default_requires: { roles: ["a"] }',
        methods: ["public: true", ""],
      },
    ),
  )("and accepts methods $name", ({ file }) => {
    expect(linesOf(file, strict)).toEqual([]);
  });
});

describe("one finding is enough", () => {
  test.each(
    withFiles(
      {
        name: "about a word that is no policy, not that it never applies",
        service: "",
        methods: ['policy: "dney", requires: { roles: ["a"] }'],
        want: ["AUTH002"],
      },
      {
        name: "about a word that is no policy, not that it denies",
        service: "",
        methods: ['policy: "dney"'],
        want: ["AUTH002"],
      },
      {
        name: "about a word that is no policy of the service, not that methods are denied",
        service: 'default_policy: "dney"',
        methods: [""],
        want: ["AUTH002"],
      },
      {
        name: "about a word that is no policy of the service, not that no method uses it",
        service: 'default_policy: "dney"',
        methods: ["public: true"],
        want: ["AUTH002"],
      },
      {
        name: "about requirements beside public, not that they are empty",
        service: "",
        methods: ["public: true, requires: {}"],
        want: ["AUTH003"],
      },
      {
        name: "about requirements of a public service, not that no method uses them",
        service: 'public: true, default_requires: { roles: ["a"] }',
        methods: [""],
        want: ["AUTH003"],
      },
      {
        name: "about what a method of a public service adds, not that its policy never applies",
        service: "public: true",
        methods: ['policy: "deny", requires: { roles: ["a"] }'],
        want: ["AUTH003"],
      },
      {
        name: "about empty requirements, not that allow beside them never applies",
        service: "",
        methods: ['policy: "allow", requires: {}'],
        want: ["AUTH005"],
      },
      {
        name: "about public and internal, not that the method may change something",
        service: 'default_policy: "deny", internal: true',
        methods: ["public: true"],
        want: ["AUTH004"],
      },
    ),
  )("$name", ({ file, want }) => {
    const codes = linesOf(file, "target=ts,strict=true").map((line) => line.split(" ")[1]);
    expect(codes).toEqual(want);
  });

  const sameName = addFile("", [rpc("getUser", ""), rpc("GetUser", "")]);
  test("but two about a method are two, where they are about different things", () => {
    expect(linesOf(sameName).map((line) => line.split(":")[0])).toEqual([
      "warning AUTH001 S.getUser",
      "warning AUTH001 S.GetUser",
      "error AUTH010 S.GetUser",
    ]);
  });
});
