import { type DescMethod, getOption, hasOption } from "@bufbuild/protobuf";
import { method_auth, service_auth } from "../gen/connectum/auth/v1/options_pb.js";
import type { MethodPolicy, Requirements } from "./method-policy.js";

/** The options of a method, with those of its service filled in. */
export interface ResolvedMethodAuth {
  /** Anyone may call the method. */
  readonly public: boolean;
  /** Only other services may call the method. */
  readonly internal: boolean;
  /** What holds where `requires` does not decide. `undefined`: not said. */
  readonly policy: "allow" | "deny" | undefined;
  /** Roles and scopes of the caller. `undefined`: not said. */
  readonly requires: Requirements | undefined;
}

const resolved = /*@__PURE__*/ new WeakMap<DescMethod, ResolvedMethodAuth>();
const policies = /*@__PURE__*/ new WeakMap<DescMethod, MethodPolicy>();

/**
 * Reads the `connectum.auth.v1` options of a method from its descriptor. A
 * field that is set on the method replaces the field of the service, presence
 * counts: `public: false` on a method of a public service closes the method.
 * `requires` replaces `default_requires` as a whole.
 *
 * A `policy` other than `allow` and `deny` (the plugin refuses it) is `deny`.
 *
 * The result is kept for the life of the descriptor.
 */
export function resolveMethodAuth(method: DescMethod): ResolvedMethodAuth {
  let auth = resolved.get(method);
  if (auth === undefined) {
    auth = readOptions(method);
    resolved.set(method, auth);
  }
  return auth;
}

/** The policy of a method, from the options on its descriptor. */
export function resolveMethodPolicy(method: DescMethod): MethodPolicy {
  let policy = policies.get(method);
  if (policy === undefined) {
    policy = policyOf(resolveMethodAuth(method));
    policies.set(method, policy);
  }
  return policy;
}

function readOptions(method: DescMethod): ResolvedMethodAuth {
  // Extensions are found by their number, so a schema that was compiled from
  // another copy of options.proto is read as well.
  const own = hasOption(method, method_auth) ? getOption(method, method_auth) : undefined;
  const service = hasOption(method.parent, service_auth)
    ? getOption(method.parent, service_auth)
    : undefined;

  // A proto2 field that is not set is on the prototype: hasOwn is presence.
  const isPublic = pick(own, "public") ?? pick(service, "public") ?? false;
  const internal = pick(own, "internal") ?? pick(service, "internal") ?? false;
  const policy = pick(own, "policy") ?? pick(service, "defaultPolicy");
  const requires = own?.requires ?? service?.defaultRequires;

  return {
    public: isPublic,
    internal,
    policy: policy === undefined ? undefined : policy === "allow" ? "allow" : "deny",
    requires:
      requires === undefined ? undefined : { roles: requires.roles, scopes: requires.scopes },
  };
}

function pick<T extends object, K extends keyof T>(message: T | undefined, field: K) {
  return message !== undefined && Object.hasOwn(message, field) ? message[field] : undefined;
}

/** The first that applies decides: public, internal, requires, policy. */
function policyOf(auth: ResolvedMethodAuth): MethodPolicy {
  if (auth.public) {
    return { kind: "public" };
  }
  if (auth.internal) {
    return { kind: "internal", roles: [], scopes: [], ...auth.requires };
  }
  if (auth.requires) {
    return { kind: "requires", ...auth.requires };
  }
  switch (auth.policy) {
    case "allow":
      return { kind: "authenticated" };
    case "deny":
      return { kind: "denied" };
    case undefined:
      return { kind: "unspecified" };
  }
}
