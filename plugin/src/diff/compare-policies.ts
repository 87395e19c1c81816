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
  const former = formerMethods(before, after);
  const names = [...new Set([...before.keys(), ...after.keys()])].sort(compareText);
  return names.flatMap((method): Change[] => {
    const then = normalized(before.get(method));
    const now = normalized(after.get(method));
    if (JSON.stringify(then) === JSON.stringify(now)) {
      return [];
    }
    return [{ method, before: then, after: now, ...judge(method, then, now, former) }];
  });
}

function judge(
  method: string,
  before: MethodPolicy | undefined,
  after: MethodPolicy | undefined,
  former: FormerMethods,
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
    : gainsByNewName(method, after, former);
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

/** A method that is gone, or closed to some. */
interface FormerMethod {
  readonly method: string;
  readonly policy: MethodPolicy;
}

/** What a new method may have been: former methods, one for each policy, by `placesOf`. */
type FormerMethods = ReadonlyMap<string, ReadonlyMap<string, FormerMethod>>;

/**
 * A method that is new where another one is gone, or closed, may be that one
 * under a new name. So it must not let in more than a method that is gone from
 * its package, in any version, than one of its name that is gone from
 * elsewhere, or than one of its service that is closed to some.
 */
function gainsByNewName(method: string, policy: MethodPolicy, former: FormerMethods): string[] {
  for (const place of placesOf(method)) {
    for (const other of former.get(place)?.values() ?? []) {
      const because = gains(other.policy, policy);
      if (because.length > 0) {
        return because.map((gain) => `${gain}, if it was ${other.method}`);
      }
    }
  }
  return [];
}

function formerMethods(before: PolicySet, after: PolicySet): FormerMethods {
  const former = new Map<string, Map<string, FormerMethod>>();
  for (const [method, old] of [...before].sort(([a], [b]) => compareText(a, b))) {
    const policy = normalized(old) ?? old;
    const now = after.get(method);
    const isGone = now === undefined;
    if (isGone || gains(now, policy).length > 0) {
      for (const place of isGone ? placesOf(method) : [serviceOf(method)]) {
        const there = former.get(place) ?? new Map<string, FormerMethod>();
        former.set(place, there);
        const key = JSON.stringify(policy);
        there.set(key, there.get(key) ?? { method, policy });
      }
    }
  }
  return former;
}

/** Where a method is looked for under another name, the nearest first. */
function placesOf(method: string): string[] {
  const [service = "", name] = method.split("/");
  const family = service
    .split(".")
    .slice(0, -1)
    .join(".")
    .replace(/(?:^|\.)v\d\w*$/, "");
  return [serviceOf(method), `*/${name}`, `${family}.*`];
}

function serviceOf(method: string): string {
  return method.slice(0, method.indexOf("/"));
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
