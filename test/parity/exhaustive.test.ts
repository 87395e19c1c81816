import { readFileSync } from "node:fs";
import { create } from "@bufbuild/protobuf";
import { CodeGeneratorRequestSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { beforeAll, describe, expect, test } from "vitest";
import { compile, problemsOf } from "../../plugin/test/generate.js";
import type { MethodPolicy, Requirements } from "../../src/index.js";
import {
  type ResolvedMethodAuth,
  resolveMethodAuth,
  resolveMethodPolicy,
} from "../../src/policy/resolve-method-auth.js";
import type { AuthContext } from "../../src/server/auth-context.js";
import { createDecision } from "../../src/server/decide.js";
import { actualOutcomes, asksForNothing, enough, expectedOutcomes, lackingOne } from "./demands.js";
import { type GeneratedService, generate } from "./generate.js";
import {
  contradicts,
  expectedPolicy,
  type OptionsSchema,
  printProto,
  type RandomMethod,
  type RandomService,
  type Rules,
} from "./random-rules.js";
import { expectedHeaders, sentHeaders } from "./sent-headers.js";

const schema: OptionsSchema = {
  file: "connectum/auth/v1/options.proto",
  package: "connectum.auth.v1",
};
const optionsProto = readFileSync(new URL(`../../proto/${schema.file}`, import.meta.url), "utf8");
const file = "parity/v1/services.proto";

/** Every combination of values of the four fields. */
const allRules: readonly Rules[] = [undefined, true, false].flatMap((isPublic) =>
  [undefined, true, false].flatMap((internal) =>
    [undefined, "allow", "deny", "dney"].flatMap((policy) =>
      [
        undefined,
        { roles: [], scopes: [] },
        { roles: ["admin", "ops"], scopes: [] },
        { roles: [], scopes: ["a:read", "a:write"] },
        { roles: ["admin"], scopes: ["a:read", "a:write"] },
      ].map(
        (requires): Rules => ({
          ...(isPublic !== undefined && { public: isPublic }),
          ...(internal !== undefined && { internal }),
          ...(policy !== undefined && { policy }),
          ...(requires !== undefined && { requires }),
        }),
      ),
    ),
  ),
);

const unary = { clientStreaming: false, serverStreaming: false };

/** Each of them on a service, with each of them, and no option at all, on its methods. */
const allServices: readonly RandomService[] = [undefined, ...allRules].map((rules) => ({
  rules,
  methods: [undefined, ...allRules].map((own): RandomMethod => ({ rules: own, ...unary })),
}));

/** What the plugin must refuse. `inherited`: the rules of the service, for a method. */
function isWrong(written: Rules | undefined, inherited?: Rules): boolean {
  return written?.policy === "dney" || contradicts(written, inherited);
}

/** Those services and methods that the plugin must not refuse. */
const validServices: readonly RandomService[] = allServices
  .filter(({ rules }) => !isWrong(rules))
  .map(({ rules, methods }) => ({
    rules,
    methods: methods.filter((method) => !isWrong(method.rules, rules)),
  }));

/** A line of the plugin about one of the services or methods. */
interface Line {
  readonly severity: string;
  readonly code: string;
  readonly place: string;
}

let linesFound: Map<string, Line[]> | undefined;

/** What the plugin says about all services and methods, by their indexes. */
function findLines(): Map<string, Line[]> {
  if (linesFound === undefined) {
    linesFound = new Map();
    const req = create(CodeGeneratorRequestSchema, {
      protoFile: compile({ [file]: printProto(allServices, schema) }),
      fileToGenerate: [file],
      parameter: "target=ts",
    });
    for (const line of problemsOf(req)) {
      const match = /^\S+:(\d+:\d+): (\w+) (AUTH\d+) parity\.v1\.S(\d+)(?:\.M(\d+))?: /.exec(line);
      if (match === null) {
        throw new Error(`a line about something else: ${line}`);
      }
      const [, place = "", severity = "", code = "", service, method] = match;
      const key = [service, method].filter((index) => index !== undefined).join();
      linesFound.set(key, [...(linesFound.get(key) ?? []), { place, severity, code }]);
    }
  }
  return linesFound;
}

/** The codes of the lines about a service, or about one of its methods. */
function codesOn(indexes: readonly number[], severity: string): string[] {
  const lines = findLines().get(indexes.join()) ?? [];
  return lines.filter((line) => line.severity === severity).map(({ code }) => code);
}

describe("every combination of options on a service and its methods", () => {
  let generated: readonly GeneratedService[];

  beforeAll(async () => {
    ({ services: generated } = await generate(
      { [schema.file]: optionsProto, [file]: printProto(validServices, schema) },
      file,
      validServices.map((_, i) => `S${i}`),
    ));
  }, 120_000);

  test("is refused with an error, or accepted, as the contract says", () => {
    const errors = (...indexes: number[]) => codesOn(indexes, "error").length > 0;
    for (const [s, service] of allServices.entries()) {
      const label = `S${s} ${JSON.stringify(service.rules)}`;
      expect(errors(s), label).toBe(isWrong(service.rules));
      // a service that is refused has no methods that are accepted
      for (const [m, { rules }] of isWrong(service.rules) ? [] : service.methods.entries()) {
        expect(errors(s, m), `${label} M${m} ${JSON.stringify(rules)}`).toBe(
          isWrong(rules, service.rules),
        );
      }
    }
  }, 120_000);

  test("has one finding about each thing that is written", () => {
    expect(findLines().size).toBeGreaterThan(10_000);
    for (const [key, found] of findLines()) {
      expect(new Set(found.map(({ place }) => place)).size, key).toBe(found.length);
    }
  });

  test("has a warning where nothing decides, nobody passes, or something written does not apply", () => {
    for (const [s, service] of allServices.entries()) {
      for (const [m, method] of isWrong(service.rules) ? [] : service.methods.entries()) {
        if (!isWrong(method.rules, service.rules)) {
          expect(
            codesOn([s, m], "warning").sort(),
            `S${s} M${m} ${JSON.stringify([service.rules, method.rules])}`,
          ).toEqual(expectedWarnings(service, method));
        }
      }
    }
  });

  test("comes out the same in the table and from the descriptor", () => {
    expect(generated.flatMap(({ service }) => service.methods).length).toBeGreaterThan(5_000);
    for (const [s, { service, policies }] of generated.entries()) {
      const rules = validServices[s];
      const want = policiesOf(rules);
      const label = `S${s} ${JSON.stringify(rules?.rules)}`;
      const table = service.methods.map((method) => policies.methods[method.localName]);
      expect(table, `table of ${label}`).toEqual(want);
      expect(service.methods.map(resolveMethodPolicy), `descriptor of ${label}`).toEqual(want);
      expect(service.methods.map(resolveMethodAuth), `options of ${label}`).toEqual(
        rules?.methods.map((method) => expectedAuth(rules, method)),
      );
    }
  });

  test("is decided by the server as the table says, for each caller", async () => {
    const decide = createDecision({});
    for (const [s, { service, policies }] of generated.entries()) {
      const want = policiesOf(validServices[s]);
      for (const [m, method] of service.methods.entries()) {
        const policy = policies.methods[method.localName];
        const rules = want[m];
        if (policy === undefined || rules === undefined) {
          throw new Error(`no policy for ${method}`);
        }
        const call = { method, header: new Headers() };
        const outcomes = identitiesFor(rules).map((identity) => {
          try {
            return decide(policy, call, identity) === undefined ? "passes" : "asks";
          } catch (error) {
            return Code[ConnectError.from(error).code];
          }
        });
        expect(outcomes, `${method} ${JSON.stringify(rules)}`).toEqual(expectedDecisions(rules));
      }
    }
  });

  test("is answered by a server for each caller, for each policy that there is", async () => {
    const seen = new Set<string>();
    for (const [s, { service, policies }] of generated.entries()) {
      const want = policiesOf(validServices[s]);
      const unseen = want.filter((policy) => !seen.has(JSON.stringify(policy)));
      if (unseen.length > 0) {
        for (const policy of want) {
          seen.add(JSON.stringify(policy));
        }
        expect(await actualOutcomes(service, policies, want)).toEqual(want.map(expectedOutcomes));
      }
    }
    // internal and requires are each with nothing, roles, scopes and both
    expect(seen.size).toBe(4 + 4 + 4);
  });

  test("is what the client sends a credential by", async () => {
    for (const [s, service] of generated.entries()) {
      const want = policiesOf(validServices[s]).map(expectedHeaders);
      expect(await sentHeaders(service), `S${s}`).toEqual(want);
    }
  }, 60_000);
});

function policiesOf(service: RandomService | undefined): MethodPolicy[] {
  return service?.methods.map((method) => expectedPolicy(service, method)) ?? [];
}

function expectedAuth(service: RandomService, method: RandomMethod): ResolvedMethodAuth {
  const effective: Rules = { ...service.rules, ...method.rules };
  const { policy } = effective;
  return {
    public: effective.public ?? false,
    internal: effective.internal ?? false,
    policy: policy === "allow" || policy === "deny" ? policy : undefined,
    requires: effective.requires,
  };
}

/** The warnings on a method that is accepted, in order. */
function expectedWarnings(service: RandomService, { rules, ...method }: RandomMethod): string[] {
  const policy = expectedPolicy(service, { rules, ...method });
  const lifts = service.rules?.requires !== undefined && !asksForNothing(service.rules.requires);
  switch (policy.kind) {
    case "unspecified":
      return ["AUTH001"];
    case "denied":
      return ["AUTH009"];
    case "public":
    case "authenticated":
      return [];
    case "internal":
    case "requires": {
      const isEmpty = rules?.requires !== undefined && asksForNothing(rules.requires) && !lifts;
      const saysTheSame = policy.kind === "requires" && asksForNothing(policy);
      const isIdle = rules?.policy === "deny" || (rules?.policy === "allow" && !saysTheSame);
      return [...(isEmpty ? ["AUTH005"] : []), ...(isIdle ? ["AUTH006"] : [])];
    }
  }
}

/** Nobody, somebody, somebody who lacks one thing, and one who has all that is asked for. */
function identitiesFor(policy: MethodPolicy): (AuthContext | undefined)[] {
  const requirements = "roles" in policy ? policy : { roles: [], scopes: [] };
  const identity = ({ roles, scopes }: Requirements): AuthContext => ({
    subject: "somebody",
    roles,
    scopes,
    claims: {},
    type: "test",
  });
  return [
    undefined,
    identity({ roles: [], scopes: [] }),
    identity(lackingOne(requirements)),
    identity(enough(requirements)),
  ];
}

function expectedDecisions(policy: MethodPolicy): string[] {
  const denied = "PermissionDenied";
  switch (policy.kind) {
    case "public":
    case "authenticated":
      return ["passes", "passes", "passes", "passes"];
    case "denied":
      return [denied, denied, denied, denied];
    case "unspecified":
      return ["Unauthenticated", denied, denied, denied];
    case "internal":
    case "requires": {
      const without = asksForNothing(policy) ? "passes" : denied;
      return ["Unauthenticated", without, without, "passes"];
    }
  }
}
