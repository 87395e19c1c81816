import type { AuthRequest } from "../credentials/auth-provider.js";
import { missingScopes } from "../credentials/challenge.js";
import type { MethodPolicy } from "../policy/method-policy.js";
import { parseScope, type Scope, unite } from "./scopes.js";

/** Which scopes the token of a call has. */
export interface ScopesOfCall {
  /** The scopes to ask for, always the same list for the same policy, but for calls that need more. */
  get(request: AuthRequest): readonly string[];
  /** A token came with what a server said that the call needs: from now on it is asked for at once. */
  learn(request: AuthRequest): void;
}

/** What servers ask for is added to so many scopes at most. */
const maxScopes = 50;

/**
 * Makes the choice of scopes: always the same ones, or with `from-policy` those
 * that the policy of the method names. Where a server says that a call needs
 * more (`insufficient_scope`, RFC 6750 §3.1), these are added.
 */
export function createScopesOfCall(scope: Scope | "from-policy" | undefined): ScopesOfCall {
  const constant = scope === "from-policy" ? undefined : parseScope(scope);
  const chosen = new WeakMap<MethodPolicy, readonly string[]>();
  const get = ({ policy, challenge }: AuthRequest) => {
    let scopes = chosen.get(policy);
    if (!scopes) {
      scopes = constant ?? ("scopes" in policy ? parseScope(policy.scopes) : []);
      chosen.set(policy, scopes);
    }
    const missing = missingScopes(challenge);
    return missing
      ? unite(scopes, missing.slice(0, Math.max(0, maxScopes - scopes.length)))
      : scopes;
  };
  return {
    get,
    learn(request) {
      chosen.set(request.policy, get(request));
    },
  };
}
