import type { DescMethod } from "@bufbuild/protobuf";
import { checkKnownOptions } from "../known-options.js";
import { checkRequirements } from "../policy/check-tables.js";
import { createMethodMatcher } from "../policy/method-pattern.js";
import type { Requirements } from "../policy/method-policy.js";
import type { AuthContext } from "./auth-context.js";

/** A rule in code, for methods that the proto file says nothing about. */
export interface AuthzRule {
  /** What logs call it. */
  readonly name: string;
  /** Method patterns: `package.Service/Method`, `package.Service/*` or `*`. */
  readonly methods: readonly string[];
  /** What holds for a call that the rule matches. */
  readonly effect: "allow" | "deny";
  /** `roles`: at least one must match; `scopes`: all must. Left out: any call matches. */
  readonly requires?: Partial<Requirements>;
}

/** Whether an identity has one of the roles and all of the scopes. */
export function meets(identity: AuthContext, requires: Partial<Requirements>): boolean {
  const { roles = [], scopes = [] } = requires;
  return (
    (roles.length === 0 || roles.some((role) => identity.roles.includes(role))) &&
    scopes.every((scope) => identity.scopes.includes(scope))
  );
}

const ruleMembers: Record<keyof AuthzRule, true> = {
  name: true,
  methods: true,
  effect: true,
  requires: true,
};

/** Finds the first rule that matches a call. */
export type RuleMatcher = (
  method: DescMethod,
  identity: AuthContext | undefined,
) => AuthzRule | undefined;

/**
 * Compiles rules. The first that matches wins. A rule with requirements that
 * are not met, or with no identity to check, does not match. Throws `TypeError`
 * for an unknown effect and a malformed method pattern.
 */
export function createRuleMatcher(rules: readonly AuthzRule[]): RuleMatcher {
  if (!Array.isArray(rules)) {
    throw new TypeError("rules must be a list");
  }
  const compiled = rules.map((rule: AuthzRule) => {
    checkKnownOptions("a rule", rule, ruleMembers);
    if (rule.effect !== "allow" && rule.effect !== "deny") {
      throw new TypeError(
        `rule ${JSON.stringify(rule.name)}: effect ${JSON.stringify(rule.effect)} must be "allow" or "deny"`,
      );
    }
    if (!Array.isArray(rule.methods) || rule.methods.length === 0) {
      throw new TypeError(`rule ${JSON.stringify(rule.name)}: methods must be a list of patterns`);
    }
    checkRuleRequires(rule);
    return { rule, isNamed: createMethodMatcher(rule.methods) };
  });
  return (method, identity) =>
    compiled.find(
      ({ rule, isNamed }) =>
        isNamed(method) &&
        (rule.requires === undefined || (identity !== undefined && meets(identity, rule.requires))),
    )?.rule;
}

/** An empty or misspelt requirement would be met by everybody. */
function checkRuleRequires(rule: AuthzRule): void {
  if (!("requires" in rule)) {
    return;
  }
  const { name, requires } = rule;
  const what = `rule ${JSON.stringify(name)}`;
  const unknown = Object.keys(requires ?? {}).find((key) => key !== "roles" && key !== "scopes");
  if (unknown !== undefined) {
    throw new TypeError(`${what}: requires has no "${unknown}", only roles and scopes`);
  }
  checkRequirements(what, requires ?? {});
  if (!requires?.roles?.length && !requires?.scopes?.length) {
    throw new TypeError(`${what}: requires must name a role or a scope; leave it out for any call`);
  }
}
