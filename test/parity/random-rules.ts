import fc from "fast-check";
import type { MethodPolicy } from "../../src/policy/method-policy.js";

/** What is written on a service or method. A field that is left out is not set. */
export interface Rules {
  readonly public?: boolean;
  readonly internal?: boolean;
  readonly policy?: string;
  readonly requires?: { readonly roles: readonly string[]; readonly scopes: readonly string[] };
}

/** A method of a proto file. `rules` is `undefined` where it has no option at all. */
export interface RandomMethod {
  readonly rules: Rules | undefined;
  readonly clientStreaming: boolean;
  readonly serverStreaming: boolean;
}

/** A service of a proto file. */
export interface RandomService {
  readonly rules: Rules | undefined;
  readonly methods: readonly RandomMethod[];
}

/** Any text without white space and control characters: quotes, markup and other scripts included. */
const role = fc.oneof(
  fc.constantFrom("admin", "ops", "a,b", "__proto__", "*/", '"', "\\", "`${x", "роль", "役割"),
  fc.string({ unit: "grapheme", minLength: 1 }).filter((text) => !/[\s\p{Cc}]/u.test(text)),
);

/** RFC 6749 §3.3, without the comma: in the header of a gateway it is a sign of two headers. */
const scope = fc.oneof(
  fc.constantFrom("users:read", "users:write", "'", "`${x", "*/"),
  fc.string({ minLength: 1 }).filter((text) => /^[\x21\x23-\x2b\x2d-\x5b\x5d-\x7e]+$/.test(text)),
);

const requirements = fc.record({
  roles: fc.uniqueArray(role, { maxLength: 3 }),
  scopes: fc.uniqueArray(scope, { maxLength: 3 }),
});

/** Nothing, anything, and what anything at random is too rarely: open, and undecided but for a policy. */
const rules: fc.Arbitrary<Rules | undefined> = fc.oneof(
  fc.constant(undefined),
  fc.record(
    {
      public: fc.boolean(),
      internal: fc.boolean(),
      policy: fc.constantFrom("allow", "deny"),
      requires: requirements,
    },
    { requiredKeys: [] },
  ),
  fc.record(
    { public: fc.constant(true), internal: fc.constant(false), policy: fc.constant("allow") },
    { requiredKeys: ["public"] },
  ),
  fc.record(
    {
      public: fc.constant(false),
      internal: fc.boolean(),
      policy: fc.constantFrom("allow", "deny"),
    },
    { requiredKeys: [] },
  ),
);

/** Services whose rules the plugin accepts: those that do not contradict themselves. */
export const randomService: fc.Arbitrary<RandomService> = rules
  .filter((service) => !contradicts(service, undefined))
  .chain((service) =>
    fc.record({
      rules: fc.constant(service),
      methods: fc.array(
        fc.record({
          rules: rules.filter((method) => !contradicts(method, service)),
          clientStreaming: fc.boolean(),
          serverStreaming: fc.boolean(),
        }),
        { minLength: 4, maxLength: 4 },
      ),
    }),
  );

/** Whether fields contradict each other: those written on an element, and what it inherits. */
export function contradicts(written: Rules | undefined, inherited: Rules | undefined): boolean {
  const effective = { ...inherited, ...written };
  const restricts = written?.public === undefined ? ["allow", "deny"] : ["deny"];
  return (
    effective.public === true &&
    (effective.internal === true ||
      written?.requires !== undefined ||
      restricts.includes(written?.policy ?? ""))
  );
}

/** The policy of a method, straight from the contract: what is set on the method replaces the service's. */
export function expectedPolicy(service: RandomService, method: RandomMethod): MethodPolicy {
  const effective: Rules = { ...service.rules, ...method.rules };
  if (effective.public === true) {
    return { kind: "public" };
  }
  if (effective.internal === true) {
    return { kind: "internal", ...(effective.requires ?? { roles: [], scopes: [] }) };
  }
  if (effective.requires !== undefined) {
    return { kind: "requires", ...effective.requires };
  }
  if (effective.policy === undefined) {
    return { kind: "unspecified" };
  }
  return { kind: effective.policy === "allow" ? "authenticated" : "denied" };
}

/** Where the options come from: the name of the proto file to import, and its package. */
export interface OptionsSchema {
  readonly file: string;
  readonly package: string;
}

/** A proto file of services S0, S1 and so on, with methods M0, M1 and so on. */
export function printProto(services: readonly RandomService[], schema: OptionsSchema): string {
  const option = (extension: string, rules: Rules | undefined, names: FieldNames) =>
    rules === undefined
      ? ""
      : `option (${schema.package}.${extension}) = {${printRules(rules, names)}};`;
  const lines = services.flatMap((service, s) => [
    `service S${s} {`,
    option("service_auth", service.rules, serviceFields),
    ...service.methods.map(({ rules, clientStreaming, serverStreaming }, m) => {
      const input = clientStreaming ? "stream Message" : "Message";
      const output = serverStreaming ? "stream Message" : "Message";
      return `rpc M${m}(${input}) returns (${output}) { ${option("method_auth", rules, methodFields)} }`;
    }),
    "}",
  ]);
  return [
    'syntax = "proto3";',
    "package parity.v1;",
    `import "${schema.file}";`,
    "message Message {}",
    ...lines,
  ].join("\n");
}

interface FieldNames {
  readonly policy: string;
  readonly requires: string;
}
const serviceFields: FieldNames = { policy: "default_policy", requires: "default_requires" };
const methodFields: FieldNames = { policy: "policy", requires: "requires" };

function printRules(rules: Rules, names: FieldNames): string {
  const fields: string[] = [];
  for (const name of ["public", "internal"] as const) {
    if (rules[name] !== undefined) {
      fields.push(`${name}: ${rules[name]}`);
    }
  }
  if (rules.policy !== undefined) {
    fields.push(`${names.policy}: "${rules.policy}"`);
  }
  if (rules.requires !== undefined) {
    const { roles, scopes } = rules.requires;
    const items = [
      ...roles.map((item) => `roles: ${printString(item)}`),
      ...scopes.map((item) => `scopes: ${printString(item)}`),
    ];
    fields.push(`${names.requires}: {${items.join(" ")}}`);
  }
  return fields.join(" ");
}

/** Every byte as an escape: what is tested is not our idea of quotes in proto files. */
function printString(text: string): string {
  const bytes = [...new TextEncoder().encode(text)];
  return `"${bytes.map((byte) => `\\${byte.toString(8).padStart(3, "0")}`).join("")}"`;
}
