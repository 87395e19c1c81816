import type { CachedAuth } from "../credentials/cached-source.js";
import { AuthError } from "../errors.js";
import { checkOAuthOptions, type OAuthOptions } from "./oauth-options.js";
import { createSourceByScopes, type ScopeOptions } from "./scoped-source.js";
import { parseResource } from "./scopes.js";
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
   * resolved; where it throws, calls fail, and it is called with the same tokens
   * again before the next request. Default: they are kept in memory only.
   */
  readonly onTokens?: (tokens: TokenResponse) => void | Promise<void>;
}

/** A request is left alone for so many times `timeoutMs`: its answer may hold the only valid refresh token. */
const patience = 6;

/**
 * The tokens of a user who signed in elsewhere: the refresh token grant
 * (RFC 6749 §6). They are kept and renewed as `cachedAuth` does it; one request
 * is under way at a time, whatever the scopes, and it is not aborted with the
 * calls that wait.
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
  const { refreshToken: given, onTokens, timeoutMs = 10_000 } = options;
  const endpoint = createTokenEndpoint(options);
  const resources = parseResource(options.resource);
  let current = typeof given === "function" ? undefined : checkToken(given);
  let unsaved: TokenResponse | undefined;
  const running = new Map<string, Promise<TokenResponse>>();
  let last: Promise<unknown> = Promise.resolve();

  const save = async () => {
    if (unsaved && onTokens) {
      try {
        await onTokens(unsaved);
      } catch (cause) {
        throw new AuthError("credentials_failed", "onTokens could not store the tokens", cause);
      }
    }
    unsaved = undefined;
  };
  const refresh = async (scopes: readonly string[]) => {
    await save();
    const token = current ?? checkToken(typeof given === "function" ? await given() : given);
    const tokens = await endpoint.request(
      { type: "refresh_token", scopes, resources, parameters: [["refresh_token", token]] },
      AbortSignal.timeout(timeoutMs * patience),
    );
    unsaved = { ...tokens, refresh_token: tokens.refresh_token ?? token };
    if (typeof given !== "function") {
      current = unsaved.refresh_token;
    }
    await save();
    return tokens;
  };

  return createSourceByScopes(options, endpoint, (scopes) => {
    const key = scopes.join(" ");
    // calls that come when others had no more time wait for the same answer
    let tokens = running.get(key);
    if (!tokens) {
      // one after the other: each request may use up the refresh token
      tokens = last.then(() => refresh(scopes)).finally(() => running.delete(key));
      running.set(key, tokens);
      last = tokens.catch(() => {});
    }
    return tokens;
  });
}

function checkToken(token: string): string {
  if (typeof token !== "string" || token === "") {
    throw new TypeError("refreshToken must be a string that is not empty");
  }
  return token;
}
