import type { MethodPolicy } from "../../../src/policy/method-policy.js";
import { compareText } from "../compare-text.js";
import { gains } from "./gains.js";
import type { PolicySet } from "./policy-set.js";

/**
 * What a change does to callers:
 *
 * - `relaxed`: some get in that did not before, whoever else is kept out.
 * - `restricted`: some are kept out, and none gets in.
 * - `neutral`: the same callers pass, or a new method is not open.
 */
export type Effect = "relaxed" | "restricted" | "neutral";

/** A method whose policy is another one, or that is new or gone. */
export interface Change {
  /** `package.Service/Method`. */
  readonly method: string;
  readonly effect: Effect;
  /** `undefined`: the method is new. */
  readonly before: MethodPolicy | undefined;
  /** `undefined`: the method is gone. */
  readonly after: MethodPolicy | undefined;
  /** Who gets in, and why. Empty unless it is relaxed. */
  readonly because: readonly string[];
}

/** All changes from one set of policies to another, by name. */
export function comparePolicies(before: PolicySet, after: PolicySet): Change[] {
  const removed = [...before]
    .filter(([method]) => !after.has(method))
    .sort(([a], [b]) => compareText(a, b));
  const names = [...new Set([...before.keys(), ...after.keys()])].sort(compareText);
  return names.flatMap((method): Change[] => {
    const then = normalized(before.get(method));
    const now = normalized(after.get(method));
    if (JSON.stringify(then) === JSON.stringify(now)) {
      return [];
    }
    return [{ method, before: then, after: now, ...judge(method, then, now, removed) }];
  });
}

function judge(
  method: string,
  before: MethodPolicy | undefined,
  after: MethodPolicy | undefined,
  removed: readonly [string, MethodPolicy][],
): Pick<Change, "effect" | "because"> {
  if (before !== undefined && after !== undefined) {
    const because = gains(before, after);
    return because.length > 0 ? relaxed(because) : closing(gains(after, before).length > 0);
  }
  if (after === undefined) {
    return closing(before?.kind !== "denied");
  }
  const because = isOpen(after)
    ? gains({ kind: "denied" }, after)
    : gainsByNewName(method, after, removed);
  return because.length > 0 ? relaxed(because) : closing(false);
}

function relaxed(because: string[]): Pick<Change, "effect" | "because"> {
  return { effect: "relaxed", because };
}

function closing(isRestricted: boolean): Pick<Change, "effect" | "because"> {
  return { effect: isRestricted ? "restricted" : "neutral", because: [] };
}

/** Whether a new method is for any user, or may be. One that asks for a role, a scope or a service is not. */
function isOpen(policy: MethodPolicy): boolean {
  switch (policy.kind) {
    case "public":
    case "authenticated":
    case "unspecified":
      return true;
    case "requires":
      return policy.roles.length === 0 && policy.scopes.length === 0;
    case "internal":
    case "denied":
      return false;
  }
}

/**
 * A method that is new where another one is gone may be that one, renamed. So
 * it must not let in more than a method that is gone from its service, or one
 * of its name that is gone from another.
 */
function gainsByNewName(
  method: string,
  policy: MethodPolicy,
  removed: readonly [string, MethodPolicy][],
): string[] {
  const [service, name] = method.split("/");
  for (const [other, old] of removed) {
    const [otherService, otherName] = other.split("/");
    const because = service === otherService || name === otherName ? gains(old, policy) : [];
    if (because.length > 0) {
      return because.map((gain) => `${gain}, if it was ${other}`);
    }
  }
  return [];
}

/** The order of roles and scopes means nothing, and neither does a second mention. */
function normalized(policy: MethodPolicy | undefined): MethodPolicy | undefined {
  return policy?.kind === "requires" || policy?.kind === "internal"
    ? { kind: policy.kind, roles: sorted(policy.roles), scopes: sorted(policy.scopes) }
    : policy;
}

function sorted(names: readonly string[]): string[] {
  return [...new Set(names)].sort(compareText);
}
