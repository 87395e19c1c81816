import type { MethodPolicy } from "../../../src/policy/method-policy.js";

/** The policies of methods by their names, `package.Service/Method`. */
export type PolicySet = ReadonlyMap<string, MethodPolicy>;

/** Gathers policies. Throws for a name that is none, and for a second policy of a method. */
export function policySet(policies: Iterable<readonly [string, MethodPolicy]>): PolicySet {
  const set = new Map<string, MethodPolicy>();
  for (const [method, policy] of policies) {
    if (!methodForm.test(method)) {
      throw new Error(`${JSON.stringify(method)} is no method, such as "package.Service/Method"`);
    }
    if (set.has(method)) {
      throw new Error(`${method} is there twice`);
    }
    set.set(method, policy);
  }
  return set;
}

const methodForm = /^[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*\/[A-Za-z_]\w*$/;
