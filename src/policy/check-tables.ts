import type { MethodPolicy, MethodPolicyInit, ServicePolicies } from "./method-policy.js";

const kinds: Record<MethodPolicy["kind"], true> = {
  public: true,
  internal: true,
  requires: true,
  authenticated: true,
  denied: true,
  unspecified: true,
};

/**
 * Throws `TypeError` where a value is not a list of policy tables. A table that
 * is written in JavaScript, or made by a program, may hold what the types do
 * not allow, and a requirement that is not understood would let callers in.
 */
export function checkTables(tables: readonly ServicePolicies[]): void {
  if (!Array.isArray(tables)) {
    throw new TypeError("policies must be a list of policy tables, such as [UserServicePolicies]");
  }
  for (const table of tables) {
    if (typeof table?.methods !== "object" || table.service?.kind !== "service") {
      throw new TypeError("policies must be policy tables, of the plugin or of definePolicies()");
    }
    for (const { localName } of table.service.methods) {
      const what = `policies for ${table.service.typeName}, ${localName}`;
      checkPolicy(what, table.methods[localName]);
    }
  }
}

/**
 * Throws `TypeError` for a policy of no known kind, or with members that its
 * kind has not; `what` says whose it is.
 */
export function checkPolicy(what: string, policy: MethodPolicyInit | undefined): void {
  if (policy === undefined || !Object.hasOwn(kinds, policy.kind)) {
    throw new TypeError(`${what}: the kind must be one of ${Object.keys(kinds).join(", ")}`);
  }
  const isRestricted = policy.kind === "internal" || policy.kind === "requires";
  const members = ["kind", ...(isRestricted ? ["roles", "scopes"] : [])];
  const unknown = Object.keys(policy).find((member) => !members.includes(member));
  if (unknown !== undefined) {
    throw new TypeError(
      `${what}: a policy of kind ${policy.kind} has no "${unknown}", only ${members.join(", ")}`,
    );
  }
  if (isRestricted) {
    checkRequirements(what, policy);
  }
}

/** Throws `TypeError` where roles or scopes are not lists of strings, or are given as `undefined`. */
export function checkRequirements(
  what: string,
  requires: { readonly roles?: unknown; readonly scopes?: unknown },
): void {
  for (const list of ["roles", "scopes"] as const) {
    // what is undefined by mistake must not open a method
    const items: unknown = list in requires ? requires[list] : [];
    if (!Array.isArray(items) || !items.every((item) => typeof item === "string")) {
      throw new TypeError(`${what}: ${list} must be a list of strings`);
    }
  }
}
