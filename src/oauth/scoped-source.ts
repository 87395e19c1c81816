import type { Auth } from "../credentials/auth.js";
import type { AuthRequest } from "../credentials/auth-provider.js";
import {
  type CachedAuth,
  createCachedSource,
  type WantedToken,
} from "../credentials/cached-source.js";
import { missingScopes } from "../credentials/challenge.js";
import { toAuthError } from "./auth-client-error.js";
import type { OAuthOptions } from "./oauth-options.js";
import type { Scope } from "./scopes.js";
import { createScopesOfCall } from "./scopes-of-call.js";
import type { IssuedToken } from "./token-endpoint.js";

/** Where the scopes of a token come from. */
export interface ScopeOptions {
  /**
   * The scopes to ask for. `from-policy`: those that the policy of the method
   * names, so that each call carries what it needs and no more; methods with
   * the same scopes share a token. Default: none, and the server decides.
   */
  readonly scope?: Scope | "from-policy" | undefined;
}

/** Makes a credential that asks for the scopes that a call needs, and learns of servers which those are. */
export function createScopedSource(
  options: OAuthOptions & ScopeOptions,
  wantedFor: (scopes: readonly string[], call: AuthRequest) => WantedToken | Promise<WantedToken>,
): CachedAuth {
  const scopesOfCall = createScopesOfCall(options.scope);
  const source = createCachedSource(
    options,
    (call) => wantedFor(scopesOfCall.get(call), call),
    skewOf(options),
  );
  const learning = async (call: AuthRequest) => {
    const auth = await source.getAuth(call);
    scopesOfCall.learn(call);
    return auth;
  };
  return {
    ...source,
    getAuth: (call) => (missingScopes(call.challenge) ? learning(call) : source.getAuth(call)),
  };
}

/** Makes a credential that keeps one token for each list of scopes. */
export function createSourceByScopes(
  options: OAuthOptions & ScopeOptions,
  request: (scopes: readonly string[], signal: AbortSignal) => Promise<IssuedToken>,
): CachedAuth {
  const wanted = new WeakMap<readonly string[], WantedToken>();
  return createScopedSource(options, (scopes) => {
    let token = wanted.get(scopes);
    if (!token) {
      token = {
        key: JSON.stringify(scopes),
        fetch: (signal) => toAuth(request(scopes, signal)),
      };
      wanted.set(scopes, token);
    }
    return token;
  });
}

/** The credential in an answer, when it comes. Throws `AuthError`. */
export async function toAuth(issued: Promise<IssuedToken>): Promise<Auth> {
  try {
    return (await issued).auth;
  } catch (error) {
    throw toAuthError(error);
  }
}

/** `refreshSkewSeconds` in milliseconds. */
export function skewOf({ refreshSkewSeconds }: OAuthOptions): number | undefined {
  return refreshSkewSeconds === undefined ? undefined : refreshSkewSeconds * 1000;
}
