import {
  type CachedAuth,
  createCachedSource,
  type WantedToken,
} from "../credentials/cached-source.js";
import { isAuthError } from "../errors.js";
import { toAuthError } from "./auth-client-error.js";
import type { OAuthOptions } from "./oauth-options.js";
import type { Scope } from "./scopes.js";
import { createScopesOfCall } from "./scopes-of-call.js";
import type { TokenEndpoint, TokenResponse } from "./token-endpoint.js";

/** Where the scopes of a token come from. */
export interface ScopeOptions {
  /**
   * The scopes to ask for. `from-policy`: those that the policy of the method
   * names, so that each call carries what it needs and no more; methods with
   * the same scopes share a token. Default: none, and the server decides.
   */
  readonly scope?: Scope | "from-policy" | undefined;
}

/** Makes a credential that keeps one token for each list of scopes. */
export function createScopedSource(
  options: OAuthOptions & ScopeOptions,
  endpoint: TokenEndpoint,
  request: (scopes: readonly string[], signal: AbortSignal) => Promise<TokenResponse>,
): CachedAuth {
  const scopesOfCall = createScopesOfCall(options.scope);
  const wanted = new WeakMap<readonly string[], WantedToken>();
  return createCachedSource(
    options,
    (call) => {
      const { policy } = call;
      const scopes = scopesOfCall.get(call);
      let token = wanted.get(scopes);
      if (!token) {
        const fetch = async (signal: AbortSignal) => {
          try {
            return endpoint.toAuth(await request(scopes, signal));
          } catch (cause) {
            const error = toAuthError(cause);
            if (isAuthError(error) && error.code === "credentials_failed") {
              scopesOfCall.forget(policy);
            }
            throw error;
          }
        };
        token = { key: JSON.stringify(scopes), fetch };
        wanted.set(scopes, token);
      }
      return token;
    },
    skewOf(options),
  );
}

/** `refreshSkewSeconds` in milliseconds. */
export function skewOf({ refreshSkewSeconds }: OAuthOptions): number | undefined {
  return refreshSkewSeconds === undefined ? undefined : refreshSkewSeconds * 1000;
}
