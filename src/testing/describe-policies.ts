import type { DescMethod } from "@bufbuild/protobuf";
import type { ConnectRouter } from "@connectrpc/connect";
import { checkKnownOptions } from "../known-options.js";
import { checkTables } from "../policy/check-tables.js";
import {
  type MethodPolicy,
  methodName,
  type Requirements,
  type ServicePolicies,
} from "../policy/method-policy.js";
import { createPolicyLookup } from "../policy/policy-lookup.js";
import { resolveMethodPolicy } from "../policy/resolve-method-auth.js";
import { callAs, type PolicyCallers } from "./call-as.js";
import { expectedOutcome, isAsExpected, type UnspecifiedOutcome } from "./expected-outcome.js";
import { callersOf, everythingOf } from "./policy-callers.js";
import {
  createPolicyReport,
  describePolicy,
  type PolicyCell,
  type PolicyReport,
} from "./policy-report.js";
import { servedMethods } from "./served-methods.js";
import { createStubServer, type EnforcedAuth } from "./stub-server.js";

/** Options of `describePolicies`. */
export interface DescribePoliciesOptions {
  /** What secures the server: what `createServerAuth` returned, or `{ interceptors }`. */
  readonly auth: EnforcedAuth;
  /** Who calls. */
  readonly callers: PolicyCallers;
  /**
   * The routes of the server, where it serves methods without a table, such as
   * exempt ones. Nothing that they register runs. Default: the methods of the
   * tables.
   */
  readonly routes?: (router: ConnectRouter) => unknown;
  /**
   * What is expected where a policy is `unspecified`. Default: nobody and
   * invalid credentials are `Unauthenticated`, and others are not judged.
   */
  readonly unspecified?: UnspecifiedOutcome;
  /** The origin that is called, for DPoP proofs. Default: `https://in-memory`. */
  readonly origin?: string;
}

/**
 * Calls every method of policy tables as everybody, and reports where the
 * server does something else than its table says: what nobody, invalid
 * credentials, users with too little and with just enough, and internal callers
 * get. A table that contradicts the options of its proto file is a difference,
 * too. `PolicyCallerKind` says who calls.
 *
 * The methods are stubs, in this process: no handler of yours runs. Hooks such
 * as `onDenied` and `authorize` do.
 *
 * Throws `TypeError` for options that do not fit, for tables without a method,
 * and where `auth.guard` does, which wants every service that `auth` knows.
 *
 * ```ts
 * const report = await describePolicies([UserServicePolicies], {
 *   auth,
 *   callers: {
 *     user: async ({ roles, scopes }) =>
 *       Auth.jwt(await issuer.createToken({ sub: "alice", roles, scope: scopes.join(" ") })),
 *     internal: ({ roles }) => Auth.gateway({ secret: "mesh-secret", subject: "indexer", roles }),
 *   },
 * });
 * expect(report.differences).toEqual([]);
 * ```
 */
export async function describePolicies(
  policies: readonly ServicePolicies[],
  options: DescribePoliciesOptions,
): Promise<PolicyReport> {
  const entries = entriesOf(policies);
  checkOptions(options, entries);
  const { auth, callers, routes, unspecified } = options;
  const origin = originOf(options.origin ?? "https://in-memory");
  const methods = routes ? servedMethods(routes) : entries.map(({ method }) => method);
  const server = createStubServer(methods, auth, origin);

  const cells: PolicyCell[] = [];
  for (const { method, policy, everything } of entries) {
    for (const caller of callersOf(policy, everything, callers.internal !== undefined)) {
      const expected = expectedOutcome(policy, caller, (who) => unspecified?.(method, who));
      const answer = await callAs(caller, method, callers, { server, origin });
      const actual = answer?.outcome ?? "not tried";
      cells.push({
        method: methodName(method),
        policy,
        caller,
        expected,
        actual,
        ...(answer?.error && { message: answer.error.rawMessage }),
        differs: !isAsExpected(expected, actual),
      });
    }
  }
  return createPolicyReport(cells, entries.flatMap(describeDrift));
}

/** A method of a table. */
interface Entry {
  readonly method: DescMethod;
  readonly policy: MethodPolicy;
  /** All that the table names. */
  readonly everything: Requirements;
}

function entriesOf(policies: readonly ServicePolicies[]): Entry[] {
  checkTables(policies);
  createPolicyLookup(policies); // throws for two different tables of a service
  const entries = new Map<string, Entry>();
  for (const { service, methods } of policies) {
    const everything = everythingOf(Object.values(methods).map(withoutRepetition));
    for (const method of service.methods) {
      const policy = methods[method.localName];
      if (policy !== undefined) {
        entries.set(methodName(method), { method, policy: withoutRepetition(policy), everything });
      }
    }
  }
  if (entries.size === 0) {
    throw new TypeError("policies have no method: there is nothing to call");
  }
  return [...entries.values()];
}

/** Each role and scope once; none where a table that is written in JavaScript leaves the list out. */
function withoutRepetition(policy: MethodPolicy): MethodPolicy {
  if (policy.kind !== "requires" && policy.kind !== "internal") {
    return policy;
  }
  const { kind, roles = [], scopes = [] }: Partial<Requirements> & typeof policy = policy;
  return { kind, roles: [...new Set(roles)], scopes: [...new Set(scopes)] };
}

/** A table of other proto files than the descriptors. */
function describeDrift({ method, policy }: Entry): string[] {
  const inProto = withoutRepetition(resolveMethodPolicy(method));
  // nothing in the proto file: the table was written by hand
  return inProto.kind === "unspecified" || sorted(policy) === sorted(inProto)
    ? []
    : [
        `${methodName(method)}: the table says ${describePolicy(policy)}, the proto file says ${describePolicy(inProto)}`,
      ];
}

function sorted(policy: MethodPolicy): string {
  const lists = "roles" in policy ? [[...policy.roles].sort(), [...policy.scopes].sort()] : [];
  return JSON.stringify([policy.kind, ...lists]);
}

const optionNames: Record<keyof DescribePoliciesOptions, true> = {
  auth: true,
  callers: true,
  routes: true,
  unspecified: true,
  origin: true,
};

const callerNames: Record<keyof PolicyCallers, true> = {
  user: true,
  internal: true,
  invalid: true,
};

function checkOptions(options: DescribePoliciesOptions, entries: readonly Entry[]): void {
  checkKnownOptions("describePolicies", options, optionNames);
  const { auth, callers } = options;
  checkKnownOptions("callers", callers, callerNames);
  if (!Array.isArray(auth?.interceptors)) {
    throw new TypeError("auth must be what createServerAuth() returned, or have interceptors");
  }
  if (typeof callers.user !== "function") {
    throw new TypeError("callers.user must be a function that makes the credentials of a user");
  }
  const internal = entries.find(({ policy }) => policy.kind === "internal");
  if (typeof callers.internal !== "function" && (internal || callers.internal !== undefined)) {
    throw new TypeError(
      `callers.internal must be a function that makes the credentials of another service${internal ? `: ${methodName(internal.method)} is internal` : ""}`,
    );
  }
}

function originOf(origin: string): string {
  if (!URL.canParse(origin) || new URL(origin).origin !== origin) {
    throw new TypeError(
      `origin ${JSON.stringify(origin)} must be an origin, such as "https://api.acme.dev"`,
    );
  }
  return origin;
}
