import { create, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import { expect, test } from "vitest";
import { printProto, randomService } from "../../test/parity/random-rules.js";
import { readImage } from "../src/diff/read-image.js";
import { readSnapshot } from "../src/diff/read-snapshot.js";
import { compile, generate, type Sources } from "./generate.js";

const file = "connectum/auth/v1/options.proto";

/** A method with these rules. */
function rpc(name: string, rules: string, more = ""): string {
  return `rpc ${name}(M) returns (M) { option (connectum.auth.v1.method_auth) = { ${rules} }; ${more} }`;
}

function service(name: string, ...methods: string[]): string {
  return `service ${name} { ${methods.join("\n")} }`;
}

function proto(packageName: string, ...services: string[]): string {
  return `syntax = "proto3"; package ${packageName}; import "${file}"; message M {}\n${services.join("\n")}`;
}

function snapshot(sources: Sources): string {
  return generate(sources, "target=ts,snapshot_file=auth/policy.json")["auth/policy.json"] ?? "";
}

test("a snapshot has a line for each method, with all that decides who may call it", () => {
  const text = snapshot({
    "b.proto": proto(
      "b",
      service(
        "S",
        rpc("Write", 'requires: { roles: ["ops", "admin"], scopes: ["b:write", "a:read"] }'),
        rpc("Get", "public: true", "option idempotency_level = NO_SIDE_EFFECTS;"),
        rpc("Put", 'policy: "allow"', "option idempotency_level = IDEMPOTENT;"),
        'rpc Watch(M) returns (stream M) { option (connectum.auth.v1.method_auth) = { internal: true requires: { roles: "a" } }; }',
        'rpc Up(stream M) returns (M) { option (connectum.auth.v1.method_auth) = { policy: "deny" }; }',
        "rpc Talk(stream M) returns (stream M);",
      ),
      "service Empty {}",
    ),
    "a.proto": proto("a", service("Z", rpc("A", "internal: true")), service("A", rpc("A", ""))),
  });
  expect(text).toBe(`\
{
  "version": 1,
  "methods": [
    { "method": "a.A/A", "kind": "unspecified" },
    { "method": "a.Z/A", "kind": "internal", "roles": [], "scopes": [] },
    { "method": "b.S/Get", "kind": "public", "idempotency": "no_side_effects" },
    { "method": "b.S/Put", "kind": "authenticated", "idempotency": "idempotent" },
    { "method": "b.S/Talk", "kind": "unspecified", "streaming": "bidi" },
    { "method": "b.S/Up", "kind": "denied", "streaming": "client" },
    { "method": "b.S/Watch", "kind": "internal", "roles": ["a"], "scopes": [], "streaming": "server" },
    { "method": "b.S/Write", "kind": "requires", "roles": ["admin", "ops"], "scopes": ["a:read", "b:write"] }
  ]
}
`);
});

test("a snapshot does not change where methods, roles and files only change places", () => {
  const [get, put] = [
    rpc("Get", "public: true"),
    rpc("Put", 'requires: { roles: ["a", "b", "é", "Z"] }'),
  ];
  const moved = rpc("Put", 'requires: { roles: ["é", "Z", "b", "a"] }');
  const [s, t] = [service("S", get, put), service("T", get)];
  expect(snapshot({ "z/a.proto": proto("a", t, service("S", moved, get)) })).toBe(
    snapshot({ "a.proto": proto("a", s, t) }),
  );
});

test("a snapshot without methods is one, too", () => {
  const text = snapshot({ "a.proto": proto("a", "service Empty {}") });
  expect(text).toBe('{\n  "version": 1,\n  "methods": [\n  ]\n}\n');
  expect(readSnapshot(JSON.parse(text))).toEqual(new Map());
});

test("a snapshot hides nothing from whoever reads it", () => {
  const text = snapshot({
    "a.proto": proto(
      "a",
      service(
        "S",
        rpc(
          "A",
          'requires: { roles: ["\u202enimda", "ad\u200bmin", "\\"},{", "</script>", "\u{e0041}", "роль"] }',
        ),
      ),
    ),
  });
  expect(text).toContain(
    String.raw`"roles": ["\"},{", "</script>", "ad\u200bmin", "роль", "\u202enimda", "\udb40\udc41"]`,
  );
  expect(JSON.parse(text).methods).toHaveLength(1);
});

test("a snapshot says the same as the proto file, whatever the rules are", () => {
  const seed = Date.now();
  const services = fc.sample(randomService, { numRuns: 100, seed });
  const source = printProto(services, { file, package: "connectum.auth.v1" });
  const sources = { "parity/v1/services.proto": source };
  const files = create(FileDescriptorSetSchema, { file: compile(sources) });
  const policies = readImage(toBinary(FileDescriptorSetSchema, files));
  const read = readSnapshot(JSON.parse(snapshot(sources)));
  const sorted = [...policies]
    .map(([method, policy]) => [
      method,
      "roles" in policy
        ? { ...policy, roles: policy.roles.toSorted(), scopes: policy.scopes.toSorted() }
        : policy,
    ])
    .sort(([a], [b]) => (String(a) < String(b) ? -1 : 1));
  expect([...read], `seed ${seed}`).toEqual(sorted);
  expect(read.size).toBe(400);
});
