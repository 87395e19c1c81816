import { describe, expect, test } from "vitest";
import { bufGenerate, problems, problemsOf, readFiles, request } from "./generate.js";

const head = `syntax = "proto3";
package acme.v1;
import "connectum/auth/v1/options.proto";
message M {}
`;

/** A file whose service begins on line 5, with its option, if any, on line 6 and the methods below. */
function serviceFile(option: string, ...methods: string[]): Record<string, string> {
  const lines = [
    "service S {",
    option && `  option (connectum.auth.v1.service_auth) = { ${option} };`,
    ...methods.map((auth, i) =>
      auth === ""
        ? `  rpc M${i}(M) returns (M);`
        : `  rpc M${i}(M) returns (M) { option (connectum.auth.v1.method_auth) = { ${auth} }; }`,
    ),
    "}",
  ];
  return { "acme/v1/s.proto": head + lines.join("\n") };
}

/** Without the place. */
function messages(sources: Record<string, string>): string[] {
  return problems(sources).map((line) => line.replace(/^acme\/v1\/s\.proto:\d+:\d+: /, ""));
}

describe("AUTH002 refuses a policy that is neither allow nor deny", () => {
  test.each([
    { policy: "alow", write: '"allow"' },
    { policy: "Allow", write: '"allow"' },
    { policy: "allowed", write: '"allow"' },
    { policy: " allow", write: '"allow"' },
    { policy: "DENY", write: '"deny"' },
    { policy: "denied", write: '"deny"' },
    { policy: "dney", write: '"deny"' },
    { policy: "any", write: '"allow" (any authenticated caller) or "deny" (nobody)' },
    { policy: "", write: '"allow" (any authenticated caller) or "deny" (nobody)' },
    { policy: "authenticated", write: '"allow" (any authenticated caller) or "deny" (nobody)' },
  ])('"$policy" on a method', ({ policy, write }) => {
    expect(messages(serviceFile("", `policy: "${policy}"`))).toEqual([
      `error AUTH002 acme.v1.S.M0: policy "${policy}" is neither "allow" nor "deny"; write ${write}`,
    ]);
  });

  test("on a service", () => {
    expect(messages(serviceFile('default_policy: "forbid"', ""))).toEqual([
      'error AUTH002 acme.v1.S: default_policy "forbid" is neither "allow" nor "deny"; write "allow" (any authenticated caller) or "deny" (nobody)',
    ]);
  });

  test("and accepts both words, on services and methods", () => {
    expect(problems(serviceFile('default_policy: "deny"', 'policy: "allow"', ""))).toEqual([]);
    expect(problems(serviceFile('default_policy: "allow"', 'policy: "deny"', ""))).toEqual([]);
  });
});

describe("AUTH003 refuses restrictions that public would override", () => {
  const own = (names: string) =>
    `public: true lets anyone in, so ${names} would not apply; remove one or the other`;
  const ofService = (names: string) =>
    `public: true lets anyone in, so ${names} would apply to methods with public: false only; remove one, and write the other on the methods that it is for`;
  const inherited = (names: string) =>
    `the service is public, so ${names} would not apply; write public: false on the method`;

  test.each([
    {
      name: "requires on a public method",
      service: "",
      method: 'public: true, requires: { roles: ["a"] }',
      want: `acme.v1.S.M0: ${own("requires")}`,
    },
    {
      name: "requires without a role or scope on a public method",
      service: "",
      method: "public: true, requires: {}",
      want: `acme.v1.S.M0: ${own("requires")}`,
    },
    {
      name: "deny on a public method",
      service: "",
      method: 'public: true, policy: "deny"',
      want: `acme.v1.S.M0: ${own('policy: "deny"')}`,
    },
    {
      name: "both on a public method",
      service: "",
      method: 'public: true, policy: "deny", requires: { scopes: ["a"] }',
      want: `acme.v1.S.M0: ${own('requires and policy: "deny"')}`,
    },
    {
      name: "requires on a method of a public service",
      service: "public: true",
      method: 'requires: { roles: ["a"] }',
      want: `acme.v1.S.M0: ${inherited("requires")}`,
    },
    {
      name: "deny on a method of a public service",
      service: "public: true",
      method: 'policy: "deny"',
      want: `acme.v1.S.M0: ${inherited('policy: "deny"')}`,
    },
    {
      name: "allow, which asks for an identity, on a method of a public service",
      service: "public: true",
      method: 'policy: "allow"',
      want: `acme.v1.S.M0: ${inherited('policy: "allow"')}`,
    },
    {
      name: "default_requires on a public service",
      service: 'public: true, default_requires: { roles: ["a"] }',
      method: "",
      want: `acme.v1.S: ${ofService("default_requires")}`,
    },
    {
      name: "deny as the default of a public service",
      service: 'public: true, default_policy: "deny"',
      method: "",
      want: `acme.v1.S: ${ofService('default_policy: "deny"')}`,
    },
  ])("$name", ({ service, method, want }) => {
    expect(messages(serviceFile(service, method))).toEqual([`error AUTH003 ${want}`]);
  });

  test.each([
    {
      name: "a public method of a denying service",
      service: 'default_policy: "deny"',
      method: "public: true",
    },
    {
      name: "a public method of a service with requirements",
      service: 'default_requires: { roles: ["a"] }',
      method: "public: true",
    },
    {
      name: "a method that closes itself in a public service",
      service: "public: true",
      method: 'public: false, requires: { roles: ["a"] }',
    },
    { name: "a public method that allows", service: "", method: 'public: true, policy: "allow"' },
  ])("and accepts $name", ({ service, method }) => {
    expect(problems(serviceFile(service, method))).toEqual([]);
  });
});

describe("AUTH004 refuses what is both public and internal", () => {
  test.each([
    {
      name: "a method",
      service: "",
      method: "public: true, internal: true",
      want: "acme.v1.S.M0: both public: true and internal: true; remove one of them",
    },
    {
      name: "a service, once for all of its methods",
      service: "public: true, internal: true",
      method: "",
      want: "acme.v1.S: both public: true and internal: true; remove one of them",
    },
    {
      name: "a public method of an internal service",
      service: "internal: true",
      method: "public: true",
      want: "acme.v1.S.M0: public: true on a method of an internal service; write internal: false on the method as well, or remove public",
    },
    {
      name: "an internal method of a public service",
      service: "public: true",
      method: "internal: true",
      want: "acme.v1.S.M0: internal: true on a method of a public service; write public: false on the method as well, or remove internal",
    },
  ])("$name", ({ service, method, want }) => {
    expect(messages(serviceFile(service, method))).toEqual([`error AUTH004 ${want}`]);
  });

  test.each([
    { service: "internal: true", method: "public: true, internal: false" },
    { service: "public: true", method: "public: false, internal: true" },
    { service: "public: false, internal: true", method: "" },
    { service: 'internal: true, default_policy: "deny"', method: 'requires: { roles: ["a"] }' },
  ])("and accepts $method on a method where the service has $service", ({ service, method }) => {
    expect(problems(serviceFile(service, method))).toEqual([]);
  });
});

describe("AUTH007 refuses roles and scopes that nobody can have", () => {
  const blank = "has white space or a control character; list each role by itself";
  const token = "must be one scope-token (RFC 6749 §3.3)";

  test.each([
    { list: "roles", item: "", want: 'role "" is empty; remove it, or name a role' },
    { list: "roles", item: "a b", want: `role "a b" ${blank}` },
    { list: "roles", item: " admin", want: `role " admin" ${blank}` },
    { list: "roles", item: "a\\tb", want: `role "a\\tb" ${blank}` },
    { list: "roles", item: "a\\nb", want: `role "a\\nb" ${blank}` },
    { list: "roles", item: "a\\u2028b", want: `role "a\\u2028b" ${blank}` },
    { list: "roles", item: "a\\u00a0b", want: `role "a\u00a0b" ${blank}` },
    { list: "roles", item: "a\\000b", want: `role "a\\u0000b" ${blank}` },
    { list: "scopes", item: "", want: 'scope "" is empty; remove it, or name a scope' },
    { list: "scopes", item: "a b", want: `scope "a b" ${token}; list each scope by itself` },
    {
      list: "scopes",
      item: 'a\\"b',
      want: `scope "a\\"b" ${token}; use printable ASCII without space, " and \\`,
    },
    {
      list: "scopes",
      item: "a\\\\b",
      want: `scope "a\\\\b" ${token}; use printable ASCII without space, " and \\`,
    },
    {
      list: "scopes",
      item: "größe",
      want: `scope "größe" ${token}; use printable ASCII without space, " and \\`,
    },
    {
      list: "scopes",
      item: "a\\177",
      want: `scope "a\\u007f" ${token}; use printable ASCII without space, " and \\`,
    },
  ])("$list: $item", ({ list, item, want }) => {
    expect(messages(serviceFile("", `requires: { ${list}: ["ok", "${item}"] }`))).toEqual([
      `error AUTH007 acme.v1.S.M0: ${want}`,
    ]);
    expect(messages(serviceFile(`default_requires: { ${list}: ["${item}"] }`, ""))).toEqual([
      `error AUTH007 acme.v1.S: ${want}`,
    ]);
  });

  test("repeated ones", () => {
    const twice = 'requires: { roles: ["a", "b", "a"], scopes: ["s", "s", "s"] }';
    expect(messages(serviceFile("", twice))).toEqual([
      'error AUTH007 acme.v1.S.M0: role "a" is listed twice; remove one',
      'error AUTH007 acme.v1.S.M0: scope "s" is listed twice; remove one',
      'error AUTH007 acme.v1.S.M0: scope "s" is listed twice; remove one',
    ]);
  });

  test("and accepts every other character", () => {
    const roles = `requires: { roles: ["größe", "a'b", "a\\"b", "\${x}", "*/", "a"] }`;
    const scopes = `requires: { scopes: ["!#$%&'()*+,-./:;<=>?@[]^_\`{|}~", "a", "https://x/y"] }`;
    expect(problems(serviceFile("", roles, scopes))).toEqual([]);
  });
});

describe("AUTH010 refuses names that clash", () => {
  test.each([
    {
      name: "a service named like the public client of another",
      proto: `service User { rpc A(M) returns (M) { option (connectum.auth.v1.method_auth) = { public: true }; } rpc B(M) returns (M) { option (connectum.auth.v1.method_auth) = { policy: "allow" }; } }
service UserPublic {}`,
      want: 'acme/v1/s.proto:6:1: error AUTH010 acme.v1.UserPublic: the services User and UserPublic both bring the export "UserPublicClient"; rename one of them, or move it to another file',
    },
    {
      name: "a service whose client type is the factory of another",
      proto: "service User {}\n\nservice createUser {}",
      want: 'acme/v1/s.proto:7:1: error AUTH010 acme.v1.createUser: the services User and createUser both bring the export "createUserClient"; rename one of them, or move it to another file',
    },
    {
      name: "two methods with one name in TypeScript",
      proto:
        "service S {\n  option (connectum.auth.v1.service_auth) = { public: true };\n  rpc getUser(M) returns (M);\n  rpc GetUser(M) returns (M);\n}",
      want: 'acme/v1/s.proto:8:3: error AUTH010 acme.v1.S.GetUser: the methods getUser and GetUser are both "getUser" in TypeScript; rename one of them',
    },
  ])("$name", ({ proto, want }) => {
    expect(problems({ "acme/v1/s.proto": head + proto })).toEqual([want]);
  });

  test("and accepts a service that is named like an export that the other one does not need", () => {
    const proto = `service User { rpc A(M) returns (M) { option (connectum.auth.v1.method_auth) = { public: true }; } }
service UserPublic {}
service UserClient {}`;
    expect(problems({ "acme/v1/s.proto": head + proto })).toEqual([]);
  });
});

describe("AUTH010 refuses an output path outside of the output folder", () => {
  test.each([
    { path: "../s.proto" },
    { path: "a/../../s.proto" },
    { path: "/etc/s.proto" },
    { path: "C:/s.proto" },
    { path: "c:s.proto" },
    { path: "a\\..\\..\\s.proto" },
    { path: "\\\\host\\s.proto" },
  ])("$path", ({ path }) => {
    const req = request(serviceFile("", "public: true"));
    for (const file of req.protoFile.filter(({ name }) => name === "acme/v1/s.proto")) {
      file.name = path;
    }
    req.fileToGenerate = [path];
    const shown = JSON.stringify(path.replace(".proto", "_auth"));
    expect(problemsOf(req)).toEqual([
      `${path}:1:1: error AUTH010 ${path}: ${shown} is not a path inside of the output folder; give the proto file a relative path with "/", without ".."`,
    ]);
  });

  test.each([{ path: "a/../s.proto" }, { path: "..s.proto" }, { path: "a..b/s.proto" }])(
    "and accepts $path",
    ({ path }) => {
      const req = request(serviceFile("", ""));
      for (const file of req.protoFile.filter(({ name }) => name === "acme/v1/s.proto")) {
        file.name = path;
      }
      req.fileToGenerate = [path];
      expect(problemsOf(req)).toEqual([]);
    },
  );
});

describe("the place of a problem", () => {
  const service = `service S {
  option (connectum.auth.v1.service_auth).public = true;
  option (connectum.auth.v1.service_auth).default_policy = "deny";
  rpc A(M) returns (M) {
    option (connectum.auth.v1.method_auth) = {
      policy: "alow"
    };
  }
  rpc B(M) returns (M) {
    option (connectum.auth.v1.method_auth).policy = "deny";
  }
}
`;

  test("is the field, the option, or what the compiler recorded of it", () => {
    expect(problems({ "acme/v1/s.proto": head + service })).toEqual([
      expect.stringMatching(/^acme\/v1\/s\.proto:7:3: error AUTH003 acme\.v1\.S: /),
      expect.stringMatching(/^acme\/v1\/s\.proto:10:7: error AUTH002 acme\.v1\.S\.A: /),
      expect.stringMatching(/^acme\/v1\/s\.proto:14:5: error AUTH003 acme\.v1\.S\.B: /),
    ]);
  });

  test("is the start of the file where the compiler recorded nothing", () => {
    const req = request({ "acme/v1/s.proto": head + service });
    for (const file of req.protoFile) {
      delete file.sourceCodeInfo;
    }
    expect(problemsOf(req).map((line) => line.split(" ")[0])).toEqual([
      "acme/v1/s.proto:1:1:",
      "acme/v1/s.proto:1:1:",
      "acme/v1/s.proto:1:1:",
    ]);
  });
});

test("all problems of a run come at once, sorted by file and place", () => {
  const bad = (name: string) => `syntax = "proto3";
package ${name};
import "connectum/auth/v1/options.proto";
message M {}
service S {
  rpc A(M) returns (M) { option (connectum.auth.v1.method_auth) = { public: true, internal: true, policy: "no" }; }
  rpc B(M) returns (M) { option (connectum.auth.v1.method_auth) = { requires: { roles: [""] } }; }
}`;
  const lines = problems({ "b.proto": bad("b"), "a.proto": bad("a"), "B.proto": bad("BB") });
  expect(lines.map((line) => line.split(" ").slice(0, 4).join(" "))).toEqual([
    "B.proto:6:83: error AUTH004 BB.S.A:",
    "B.proto:6:99: error AUTH002 BB.S.A:",
    "B.proto:7:81: error AUTH007 BB.S.B:",
    "a.proto:6:83: error AUTH004 a.S.A:",
    "a.proto:6:99: error AUTH002 a.S.A:",
    "a.proto:7:81: error AUTH007 a.S.B:",
    "b.proto:6:83: error AUTH004 b.S.A:",
    "b.proto:6:99: error AUTH002 b.S.A:",
    "b.proto:7:81: error AUTH007 b.S.B:",
  ]);
});

test("an option that has our number but another type is an error that names the place", () => {
  const sources = {
    "other.proto": `syntax = "proto2";
import "google/protobuf/descriptor.proto";
extend google.protobuf.MethodOptions { optional string owner = 50100; }
message M {}
service S { rpc A(M) returns (M) { option (owner) = "team"; } }`,
  };
  expect(problems(sources)).toEqual([
    'other.proto: rpc S.A: owner has the number 50100 of connectum.auth.v1.method_auth, but not the fields of connectum.auth.v1.MethodAuth; give it another number, or, if it is a copy, the same fields ("optional" in proto3)',
  ]);
});

test("buf generate fails, shows each problem once and writes no file of ours", () => {
  const { folder, result } = bufGenerate(serviceFile("", 'policy: "alow"', 'policy: "deni"'));
  const lines = result.stderr.split("\n").filter((line) => line.includes(" error "));
  expect(lines.map((line) => line.replace(/^.* error /, ""))).toEqual([
    'AUTH002 acme.v1.S.M0: policy "alow" is neither "allow" nor "deny"; write "allow"',
    'AUTH002 acme.v1.S.M1: policy "deni" is neither "allow" nor "deny"; write "deny"',
  ]);
  expect(result.stderr).not.toMatch(/^\s+at /m);
  expect(result.status).not.toBe(0);
  expect(Object.keys(readFiles(folder)).filter((path) => path.includes("_auth"))).toEqual([]);
});
