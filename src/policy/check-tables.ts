import type { MethodPolicy, ServicePolicies } from "./method-policy.js";

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
      checkPolicy(`${table.service.typeName}, ${localName}`, table.methods[localName]);
    }
  }
}

function checkPolicy(name: string, policy: MethodPolicy | undefined): void {
  if (policy === undefined || !Object.hasOwn(kinds, policy.kind)) {
    throw new TypeError(
      `policies for ${name}: the kind must be one of ${Object.keys(kinds).join(", ")}`,
    );
  }
  if (policy.kind === "internal" || policy.kind === "requires") {
    checkRequirements(`policies for ${name}`, policy);
  }
}

/** Throws `TypeError` where roles or scopes are not lists of strings. */
export function checkRequirements(
  what: string,
  requires: { readonly roles?: unknown; readonly scopes?: unknown },
): void {
  for (const list of ["roles", "scopes"] as const) {
    const items: unknown = requires[list] ?? [];
    if (!Array.isArray(items) || !items.every((item) => typeof item === "string")) {
      throw new TypeError(`${what}: ${list} must be a list of strings`);
    }
  }
}
