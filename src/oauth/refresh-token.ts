import type { CachedAuth } from "../credentials/cached-source.js";
import { AuthError } from "../errors.js";
import { checkFunction, checkOAuthOptions, type OAuthOptions } from "./oauth-options.js";
import { checkToken, createRefreshSession } from "./refresh-session.js";
import { createSourceByScopes, type ScopeOptions } from "./scoped-source.js";
import { createTokenEndpoint, type TokenResponse } from "./token-endpoint.js";

/** Options of `refreshToken`. */
export interface RefreshTokenOptions extends OAuthOptions, ScopeOptions {
  /**
   * The refresh token to begin with. A function is asked before each request:
   * for a token that several processes share.
   */
  readonly refreshToken: string | (() => string | Promise<string>);
  /**
   * Stores new tokens. Servers that rotate refresh tokens take the old one only
   * once, and revoke all where it comes again. No call continues before this has
   * resolved; where it throws, or takes longer than `timeoutMs`, calls fail, and
   * it is called with the same tokens again before the next request. Default:
   * they are kept in memory only.
   */
  readonly onTokens?: ((tokens: TokenResponse) => void | Promise<void>) | undefined;
}

/**
 * The tokens of a user who signed in elsewhere: the refresh token grant
 * (RFC 6749 §6). They are kept and renewed as `cachedAuth` does it; one request
 * is under way at a time, whatever the scopes, and it is not aborted with the
 * calls that wait. `clear()` signs the user out: tokens that are on their way are
 * neither stored nor used, and a refresh token that was no function is forgotten.
 * Calls then fail with `credentials_missing`; a function is asked again.
 *
 * Calls fail with `Unauthenticated` and the `AuthClientError` code
 * `invalid_grant` once the server takes the refresh token no more: let the user
 * sign in again. Otherwise errors are those of `clientCredentials`.
 *
 * ```ts
 * const credentials = refreshToken({
 *   issuer: "https://auth.acme.dev",
 *   clientId: "cli",
 *   clientAuthentication: publicClient(),
 *   refreshToken: await keychain.read(),
 *   onTokens: ({ refresh_token }) => refresh_token && keychain.write(refresh_token),
 * });
 * ```
 */
export function refreshToken(options: RefreshTokenOptions): CachedAuth {
  checkOAuthOptions("refreshToken", options, { scope: true, refreshToken: true, onTokens: true });
  checkFunction("onTokens", options.onTokens);
  if (typeof options.refreshToken !== "function") {
    checkToken(options.refreshToken);
  }
  const endpoint = createTokenEndpoint(options);
  const newSession = () => createRefreshSession(options, endpoint);
  let session: ReturnType<typeof newSession> | undefined = newSession();
  const source = createSourceByScopes(options, async (scopes) => {
    if (!session) {
      throw new AuthError("credentials_missing", "signed out: make a new credential");
    }
    return session.request(scopes);
  });
  return {
    ...source,
    clear() {
      session?.end();
      session = typeof options.refreshToken === "function" ? newSession() : undefined;
      source.clear();
    },
  };
}
