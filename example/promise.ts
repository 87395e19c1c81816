import type { DescMethod } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { type MethodPolicy, matchesMethodPattern, type Requirements } from "connectrpc-auth";
import type { AuthzRule } from "connectrpc-auth/server";
import type { Identity } from "./callers.js";

/** How a call ends: it is served, or refused with a code of Connect. */
export type Outcome = "ok" | Code;

/**
 * What the proto file promises for a call: by the generated table, and by the
 * server's rules where the proto file leaves the method to them. Thought
 * through here once more, apart from the code that enforces it.
 */
export function promisedOutcome(
  method: DescMethod,
  policy: MethodPolicy,
  identity: Identity | undefined,
  rules: readonly AuthzRule[],
): Outcome {
  if (policy.kind === "public") {
    return "ok";
  }
  const needed = policy.kind === "internal" ? "service" : "user";
  if (identity?.kind !== needed) {
    return Code.Unauthenticated;
  }
  return mayCall(method, policy, identity, rules) ? "ok" : Code.PermissionDenied;
}

function mayCall(
  method: DescMethod,
  policy: MethodPolicy,
  identity: Identity,
  rules: readonly AuthzRule[],
): boolean {
  switch (policy.kind) {
    case "public":
    case "authenticated":
      return true;
    case "denied":
      return false;
    case "internal":
    case "requires":
      return has(identity, policy);
    case "unspecified": {
      const rule = rules.find(
        ({ methods, requires }) =>
          matchesMethodPattern(method.parent.typeName, method.name, methods) &&
          has(identity, requires ?? {}),
      );
      return rule?.effect === "allow";
    }
  }
}

function has(identity: Identity, { roles = [], scopes = [] }: Partial<Requirements>): boolean {
  const hasRole = roles.length === 0 || roles.some((role) => identity.roles.includes(role));
  const hasScopes = scopes.every((scope) => identity.scopes.includes(scope));
  return hasRole && hasScopes;
}
