import type { MethodPolicy, Requirements } from "../../../src/policy/method-policy.js";
import { nameText } from "./policy-text.js";

/**
 * What lets callers in by the policy `after` that were kept out by `before`, as
 * short sentences. None: whoever passes now has passed before.
 *
 * Where the proto file says nothing, the server decides, and nobody here knows
 * how: before the change that counts as closed, after it as open to any user.
 */
export function gains(before: MethodPolicy, after: MethodPolicy): string[] {
  if (before.kind === "unspecified" && after.kind === "unspecified") {
    return [];
  }
  const then = passing(before, nobody);
  const now = passing(after, anyUser);
  if (now.everybody) {
    return then.everybody ? [] : ["anyone may call it"];
  }
  const list = [
    ...gainsOf(then.users, now.users, "users may call it"),
    ...gainsOf(then.services, now.services, "other services may call it"),
  ];
  return list.length > 0 && after.kind === "unspecified"
    ? ["the server decides who may call it"]
    : list;
}

/** Who passes: a caller of that group who meets the requirements. `undefined`: none of them. */
interface Passing {
  /** Also those who are not authenticated at all. */
  readonly everybody: boolean;
  /** With `credentials`. */
  readonly users: Requirements | undefined;
  /** With `internalCredentials`. */
  readonly services: Requirements | undefined;
}

const nothing: Requirements = { roles: [], scopes: [] };
const nobody: Passing = { everybody: false, users: undefined, services: undefined };
const anyUser: Passing = { ...nobody, users: nothing };

function passing(policy: MethodPolicy, unspecified: Passing): Passing {
  switch (policy.kind) {
    case "public":
      return { everybody: true, users: nothing, services: nothing };
    case "internal":
      return { ...nobody, services: policy };
    case "requires":
      return { ...nobody, users: policy };
    case "authenticated":
      return anyUser;
    case "denied":
      return nobody;
    case "unspecified":
      return unspecified;
  }
}

/** One role is enough, so each more lets callers in; all scopes are needed, so each less does. */
function gainsOf(
  then: Requirements | undefined,
  now: Requirements | undefined,
  whole: string,
): string[] {
  if (now === undefined) {
    return [];
  }
  if (then === undefined) {
    return [whole];
  }
  const scopes = then.scopes.filter((scope) => !now.scopes.includes(scope));
  const dropped = scopes.map((scope) => `scope ${nameText(scope)} is not needed`);
  if (then.roles.length > 0 && now.roles.length === 0) {
    return ["no role is needed", ...dropped];
  }
  const roles = now.roles.filter((role) => then.roles.length > 0 && !then.roles.includes(role));
  return [...roles.map((role) => `role ${nameText(role)} is enough`), ...dropped];
}
