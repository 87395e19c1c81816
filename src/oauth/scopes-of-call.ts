import type { AuthRequest } from "../credentials/auth-provider.js";
import { missingScopes } from "../credentials/challenge.js";
import type { MethodPolicy } from "../policy/method-policy.js";
import { parseScope, type Scope, unite } from "./scopes.js";

/** Which scopes the token of a call has. */
export interface ScopesOfCall {
  /** The scopes to ask for, always the same list for the same call. */
  get(request: AuthRequest): readonly string[];
  /** The server did not grant what a call learned to ask for: it asks for the usual ones again. */
  forget(policy: MethodPolicy): void;
}

/** So many scopes of a challenge are asked for at most. */
const maxScopes = 50;

/**
 * Makes the choice of scopes: always the same ones, or with `from-policy` those
 * that the policy of the method names. Where a server says that a call needs
 * more (`insufficient_scope`, RFC 6750 §3.1), these are added from then on.
 */
export function createScopesOfCall(scope: Scope | "from-policy" | undefined): ScopesOfCall {
  const constant = scope === "from-policy" ? undefined : parseScope(scope);
  const usual = (policy: MethodPolicy) =>
    constant ?? ("scopes" in policy ? parseScope(policy.scopes) : []);
  const chosen = new WeakMap<MethodPolicy, readonly string[]>();
  return {
    get({ policy, challenge }) {
      let scopes = chosen.get(policy);
      const missing = missingScopes(challenge);
      if (!scopes || missing) {
        scopes = unite(scopes ?? usual(policy), (missing ?? []).slice(0, maxScopes));
        chosen.set(policy, scopes);
      }
      return scopes;
    },
    forget(policy) {
      chosen.delete(policy);
    },
  };
}
