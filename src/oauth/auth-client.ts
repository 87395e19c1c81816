import type { Auth, DpopProofRequest } from "../credentials/auth.js";
import { createTokenCache } from "../credentials/token-cache.js";
import { type AuthError, isAuthError } from "../errors.js";
import { checkKnownOptions } from "../known-options.js";
import { AuthClientError, isAuthClientError, toAuthError } from "./auth-client-error.js";
import { checkOAuthOptions, type OAuthOptions } from "./oauth-options.js";
import { skewOf } from "./scoped-source.js";
import { parseResource, parseScope, type Scope } from "./scopes.js";
import { createTokenEndpoint } from "./token-endpoint.js";
import { unlessAborted } from "./unless-aborted.js";

/** Options of `createAuthClient`. */
export interface AuthClientOptions extends OAuthOptions {
  /** The scopes of tokens, unless `getToken` says others. Default: none, and the server decides. */
  readonly scope?: Scope | undefined;
}

/** Which token to get. What is left out is as in `createAuthClient`. */
export interface GetTokenOptions {
  readonly scope?: Scope | undefined;
  /** Resource indicators, one or several (RFC 8707). */
  readonly resource?: string | readonly string[] | undefined;
  /** Get another token, also where the one at hand is valid. Default: false. */
  readonly forceRefresh?: boolean | undefined;
  /** Ends the wait of this caller. The request goes on for the others. */
  readonly signal?: AbortSignal | undefined;
}

/** An access token. */
export interface AccessToken {
  readonly access_token: string;
  readonly token_type: "Bearer" | "DPoP";
  /** In seconds since the epoch. */
  readonly expires_at: number;
  /** What was granted, separated by spaces, where the server or the request says so. */
  readonly scope?: string;
}

/** Gets access tokens, and keeps them. */
export interface AuthClient {
  /** A token that is valid now. Throws `AuthClientError`, and the reason of `signal`. */
  getToken(options?: GetTokenOptions): Promise<AccessToken>;
  /**
   * A DPoP proof for one request to an API (RFC 9449 §4.2), with the key that
   * the tokens are bound to. `nonce`: the one that the API asked for. Throws
   * `TypeError` without the option `dpop`, and for a member that there is not.
   */
  buildDpopProof(request: DpopProofRequest): Promise<string>;
  /** Forgets all tokens. */
  clearCache(): void;
}

/**
 * Gets access tokens for a service by the client credentials grant (RFC 6749
 * §4.4), where calls do not go through a generated client: for those,
 * `clientCredentials` does the same and sends the token as well. Tokens are kept
 * for each scope and resource and renewed by the rules of `cachedAuth`.
 *
 * Throws `TypeError` for wrong options, like `clientCredentials`.
 *
 * ```ts
 * const auth = createAuthClient({
 *   issuer: "https://auth.acme.dev",
 *   clientId: "my-service",
 *   clientSecret,
 *   scope: ["service:ping"],
 *   resource: "https://api.acme.dev",
 * });
 * const token = await auth.getToken();
 * ```
 */
export function createAuthClient(options: AuthClientOptions): AuthClient {
  checkOAuthOptions("createAuthClient", options, { scope: true });
  const endpoint = createTokenEndpoint(options);
  const cache = createTokenCache(options, skewOf(options));
  const responses = new WeakMap<Auth, AccessToken>();
  const usualScopes = parseScope(options.scope);
  const usualResources = parseResource(options.resource);

  const getAuth = async ({ scope, resource, forceRefresh, signal }: GetTokenOptions) => {
    const scopes = scope === undefined ? usualScopes : parseScope(scope);
    const resources = resource === undefined ? usualResources : parseResource(resource);
    const fetch = async (limit: AbortSignal) => {
      try {
        const {
          auth,
          response: { refresh_token: _, ...response },
        } = await endpoint.request({ type: "client_credentials", scopes, resources }, limit);
        responses.set(auth, response);
        return auth;
      } catch (error) {
        throw toAuthError(error);
      }
    };
    const key = JSON.stringify([scopes, resources]);
    signal?.throwIfAborted();
    try {
      return await unlessAborted(signal, cache.get(key, fetch, forceRefresh));
    } catch (error) {
      throw isAuthError(error) ? toClientError(error) : error;
    }
  };

  const client: AuthClient = {
    async getToken(request = {}) {
      const auth = await getAuth(request);
      const response = responses.get(auth);
      if (!response) {
        throw new AuthClientError("invalid_response", "the token was lost");
      }
      return { ...response };
    },
    async buildDpopProof(request) {
      checkKnownOptions("buildDpopProof", request, proofMembers);
      return endpoint.prove(request);
    },
    clearCache: () => cache.clear(),
  };
  internals.set(client, { getAuth, reject: (auth) => cache.reject(auth), usualScopes });
  return client;
}

const proofMembers: Record<keyof DpopProofRequest, true> = {
  htm: true,
  htu: true,
  accessToken: true,
  nonce: true,
};

/** What `createAuthFetch` needs of a client, and users do not. */
export interface AuthClientInternals {
  getAuth(options: GetTokenOptions): Promise<Auth>;
  reject(auth: Auth): void;
  /** Those of the client's options. */
  readonly usualScopes: readonly string[];
}

const internals = new WeakMap<AuthClient, AuthClientInternals>();

/** Throws `TypeError` for an object that `createAuthClient` did not make. */
export function internalsOf(client: AuthClient): AuthClientInternals {
  const found = internals.get(client);
  if (!found) {
    throw new TypeError("client must be made by createAuthClient");
  }
  return found;
}

/** The cause where it says more. Without: the time was over, or no header can carry the token. */
function toClientError({ code, message, cause }: AuthError): AuthClientError {
  return isAuthClientError(cause)
    ? cause
    : new AuthClientError(
        code === "credentials_unavailable" ? "timeout" : "invalid_response",
        message,
      );
}
