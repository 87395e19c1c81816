import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { AuthRequirementsSchema } from "../../src/gen/connectum/auth/v1/options_pb.js";
import type { Requirements } from "../../src/policy/method-policy.js";
import type { Finding, Rule } from "./diagnostics.js";
import { elements } from "./elements.js";
import type { MethodRules, WrittenRules } from "./read-policies.js";
import { inherits } from "./rules-on-defaults.js";

/**
 * Finds requirements that ask for nothing. On a method that lifts the
 * requirements of its service with them they are right: nothing else does that.
 */
export const emptyRequirements: Rule = function* ({ services }) {
  for (const { service, written: defaults, methods } of services) {
    const inheriting = methods.filter((method) => inherits(method, "requires"));
    yield* findEmpty(service, defaults, inheriting);
    if (defaults.requires === undefined || asksForNothing(defaults.requires.value)) {
      for (const rules of methods) {
        yield* findEmpty(rules.method, rules.written, [rules]);
      }
    }
  }
};

/** `methods`: those for which these requirements would hold. */
function* findEmpty(
  on: DescService | DescMethod,
  { requires, policy }: WrittenRules,
  methods: readonly MethodRules[],
): Iterable<Finding> {
  const kinds = new Set(methods.map((method) => method.policy.kind));
  if (requires === undefined || !asksForNothing(requires.value)) {
    return;
  }
  const { field } = requires;
  const path = [field.number];
  if (kinds.has("requires")) {
    const name = on.kind === "rpc" ? "policy" : "default_policy";
    const advice = policy === undefined ? `write ${name}: "allow" instead` : "remove it";
    const message = `${field.name} with neither role nor scope lets any authenticated caller in; ${advice}, or name a role or scope`;
    yield { on, path, message };
  } else if (kinds.has("internal")) {
    const message = `${field.name} with neither role nor scope asks nothing of an internal caller; remove it, or name a role or scope`;
    yield { on, path, message };
  }
}

/** Finds roles and scopes that nobody can have been granted, and repeated ones. */
export const malformedRequirements: Rule = function* (rules) {
  for (const { on, written } of elements(rules)) {
    if (written.requires === undefined) {
      continue;
    }
    const { field, value } = written.requires;
    for (const list of ["roles", "scopes"] as const) {
      const check = list === "roles" ? wrongWithRole : wrongWithScope;
      for (const [index, item] of value[list].entries()) {
        const message =
          value[list].indexOf(item) < index
            ? `${singular[list]} ${JSON.stringify(item)} is listed twice; remove one`
            : check(item);
        if (message !== undefined) {
          const path = [field.number, AuthRequirementsSchema.field[list].number, index];
          yield { on, path, message };
        }
      }
    }
  }
};

const singular = { roles: "role", scopes: "scope" } as const;

function wrongWithRole(role: string): string | undefined {
  if (role === "") {
    return 'role "" is empty; remove it, or name a role';
  }
  if (/[\s\p{Cc}]/u.test(role)) {
    return `role ${JSON.stringify(role)} has white space or a control character; list each role by itself`;
  }
  return undefined;
}

function wrongWithScope(scope: string): string | undefined {
  if (scope === "") {
    return 'scope "" is empty; remove it, or name a scope';
  }
  // RFC 6749 §3.3
  if (!/^[\x21\x23-\x5b\x5d-\x7e]+$/.test(scope)) {
    const advice = /^[\x20\x21\x23-\x5b\x5d-\x7e]+$/.test(scope)
      ? "list each scope by itself"
      : 'use printable ASCII without space, " and \\';
    return `scope ${JSON.stringify(scope)} must be one scope-token (RFC 6749 §3.3); ${advice}`;
  }
  return undefined;
}

/** Whether every caller with an identity meets the requirements. */
export function asksForNothing({ roles, scopes }: Requirements): boolean {
  return roles.length === 0 && scopes.length === 0;
}
