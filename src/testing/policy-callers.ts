import type { MethodPolicy, Requirements } from "../policy/method-policy.js";

/**
 * As whom a method is called.
 *
 * | kind | who it is |
 * |---|---|
 * | `nobody` | no credential |
 * | `invalid` | a credential that nobody issued |
 * | `underPrivileged` | a user who lacks something that the policy requires |
 * | `privileged` | a user who just meets it |
 * | `internal` | another service, which meets what the policy requires |
 * | `underPrivilegedInternal` | another service, which lacks something of it |
 *
 * Where a policy requires no role and no scope, an under-privileged user has
 * none at all, and a privileged one all that are named for the service.
 */
export type PolicyCallerKind =
  | "nobody"
  | "invalid"
  | "underPrivileged"
  | "privileged"
  | "internal"
  | "underPrivilegedInternal";

/** As whom a method is called, and what that caller was granted: exactly these roles and scopes. */
export interface PolicyCaller extends Requirements {
  readonly kind: PolicyCallerKind;
}

const nothing: Requirements = { roles: [], scopes: [] };

/**
 * Everybody that a policy is tried with. Of the under-privileged each lacks one
 * thing, or has another in its place, so that a server shows that forgets to
 * look at it, or does not look closely; of the privileged each has one of the
 * roles. `everything`: what the policies of the service name.
 */
export function callersOf(
  policy: MethodPolicy,
  everything: Requirements,
  hasInternalCallers: boolean,
): PolicyCaller[] {
  const isDemanding = policy.kind === "requires" || policy.kind === "internal";
  const enough = isDemanding ? justEnough(policy) : [everything];
  const tooLittle = isDemanding && requiresSomething(policy) ? nearMisses(policy) : [];
  // a policy is about one of the two; the other has nothing, or whatever there is
  const isForServices = policy.kind === "internal";
  const callers = [
    ...as("nobody", [nothing]),
    ...as("invalid", [nothing]),
    ...as("underPrivileged", isForServices || tooLittle.length === 0 ? [nothing] : tooLittle),
    ...as("privileged", isForServices ? [everything] : enough),
  ];
  return hasInternalCallers
    ? [
        ...callers,
        ...as("internal", isForServices ? enough : [everything]),
        ...as("underPrivilegedInternal", isForServices ? tooLittle : []),
      ]
    : callers;
}

function as(kind: PolicyCallerKind, grants: readonly Requirements[]): PolicyCaller[] {
  return grants.map(({ roles, scopes }) => ({ kind, roles, scopes }));
}

/** All roles and scopes that policies name. */
export function everythingOf(policies: Iterable<MethodPolicy>): Requirements {
  const roles = new Set<string>();
  const scopes = new Set<string>();
  for (const policy of policies) {
    if ("roles" in policy) {
      for (const role of policy.roles) {
        roles.add(role);
      }
      for (const scope of policy.scopes) {
        scopes.add(scope);
      }
    }
  }
  return { roles: [...roles], scopes: [...scopes] };
}

/** Whether there is anybody with an identity who does not meet it. */
export function requiresSomething({ roles, scopes }: Requirements): boolean {
  return roles.length > 0 || scopes.length > 0;
}

/** One of the roles, all of the scopes. */
function justEnough({ roles, scopes }: Requirements): Requirements[] {
  return roles.length === 0
    ? [{ roles, scopes }]
    : roles.map((role) => ({ roles: [role], scopes }));
}

/**
 * Nothing at all; no role, or only wrong ones; and for each scope the others, alone or with a
 * wrong one in its place.
 */
function nearMisses({ roles, scopes }: Requirements): Requirements[] {
  const withoutRole =
    roles.length === 0
      ? []
      : [[], ...wrongNames.map((wrong) => namesBeside(roles, roles.map(wrong("role"))))];
  const withoutScope = scopes.flatMap((missing) => [
    scopes.filter((scope) => scope !== missing),
    ...wrongNames.map((wrong) =>
      namesBeside(
        [missing],
        scopes.map((scope) => (scope === missing ? wrong("scope")(scope) : scope)),
      ),
    ),
  ]);
  const misses = [
    nothing,
    ...withoutRole.map((wrong) => ({ roles: wrong, scopes })),
    ...withoutScope.map((wrong) => ({ roles, scopes: wrong })),
  ];
  const distinct = new Map(misses.map((miss) => [JSON.stringify(miss), miss]));
  return [...distinct.values()];
}

/**
 * What a server must not take for the name of a role or scope: another one, one that begins
 * with it, the same in other letters. Each is made up: a server may let the roles of a service
 * imply each other.
 */
const wrongNames: readonly ((what: "role" | "scope") => (name: string) => string)[] = [
  (what) => () => `another-${what}`,
  () => (name) => `${name}-x`,
  () => (name) => (name === name.toUpperCase() ? name.toLowerCase() : name.toUpperCase()),
];

/** Each name once, without those that are right: that of a role in capitals may be another one. */
function namesBeside(right: readonly string[], names: readonly string[]): string[] {
  return [...new Set(names)].filter((name) => !right.includes(name));
}
