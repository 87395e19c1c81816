import { createTargetGuard } from "../client/guards.js";
import type { Auth } from "../credentials/auth.js";
import { buildAuthHeaders, dpopOf } from "../credentials/auth-headers.js";
import { missingScopes, readChallenge } from "../credentials/challenge.js";
import { isSameAuth } from "../credentials/is-same-auth.js";
import { authorizationHeader, dpopNonceHeader } from "../headers.js";
import { checkKnownOptions } from "../known-options.js";
import { type AuthClient, type GetTokenOptions, internalsOf } from "./auth-client.js";
import { checkFunction } from "./oauth-options.js";
import { parseResource, parseScope, unite } from "./scopes.js";

/** Options of `createAuthFetch`. */
export interface AuthFetchOptions extends Pick<GetTokenOptions, "scope" | "resource"> {
  /** Where the API is. Tokens go to the origin of this URL only, and relative URLs are resolved against it. */
  readonly baseUrl: string;
  /** Send tokens over plain http to other hosts than loopback. Default: false. */
  readonly allowInsecureTransport?: boolean | undefined;
  /** Used in place of the global `fetch`. */
  readonly fetch?: typeof globalThis.fetch | undefined;
}

/**
 * A `fetch` that sends the tokens of a client, with DPoP proofs where they are
 * bound to a key: for plain HTTP calls to one API.
 *
 * Where the API answers 401, or 403 and names scopes that are missing, the call
 * is made once more with another token, and once more for a DPoP nonce, unless
 * `init.body` is a stream. Redirects are errors unless `redirect` is `manual`. A
 * call that brings its own `Authorization` goes as it is.
 *
 * Throws `AuthClientError` where there is no token, and `AuthError` for another
 * origin than that of `baseUrl` (`foreign_origin`) and plain http (`insecure_transport`).
 *
 * ```ts
 * const api = createAuthFetch(auth, { baseUrl: "https://api.acme.dev" });
 * const response = await api("/internal/ping");
 * ```
 */
export function createAuthFetch(
  client: AuthClient,
  options: AuthFetchOptions,
): typeof globalThis.fetch {
  const { getAuth, reject, usualScopes } = internalsOf(client);
  checkKnownOptions("createAuthFetch", options, optionNames);
  const { baseUrl, scope, allowInsecureTransport = false } = options;
  const scopes = scope === undefined ? usualScopes : parseScope(scope);
  const resource = options.resource === undefined ? undefined : parseResource(options.resource);
  checkFunction("fetch", options.fetch);
  const checkTarget = createTargetGuard(baseUrl, allowInsecureTransport);
  const send = options.fetch ?? ((...args) => globalThis.fetch(...args));

  return async (input, init) => {
    const isRequest = input instanceof Request;
    const url = new URL(isRequest ? input.url : input, baseUrl).href;
    const request = new Request(isRequest ? input : url, {
      ...init,
      redirect: (init?.redirect ?? (isRequest && input.redirect)) === "manual" ? "manual" : "error",
    });
    if (request.headers.has(authorizationHeader)) {
      return send(request);
    }
    checkTarget(url);
    // that of a Request can be had twice
    const isRepeatable = !isStream(init?.body);
    const attempt = async (auth: Auth) => {
      const copy = isRepeatable ? request.clone() : request;
      let response: Response | undefined;
      try {
        const headers = await buildAuthHeaders(auth, { htm: request.method, url }, request.signal);
        for (const [name, value] of headers) {
          copy.headers.set(name, value);
        }
        response = await send(copy);
        return response;
      } finally {
        // also where there is no answer: other requests wait for it
        dpopOf(auth)?.onNonce?.(response?.headers.get(dpopNonceHeader) ?? null, url);
      }
    };

    let auth = await getAuth({ scope: scopes, resource, signal: request.signal });
    let response = await attempt(auth);
    for (let isRenewed = false, hasNonce = false; ; ) {
      const challenge = readChallenge(response.headers);
      const wantsNonce = challenge?.params.get("error") === "use_dpop_nonce";
      const missing = response.status === 403 ? missingScopes(challenge) : undefined;
      if (response.status === 401 && !wantsNonce) {
        reject(auth);
      }
      if (
        !isRepeatable ||
        !(response.status === 401 || missing) ||
        (wantsNonce ? hasNonce : isRenewed)
      ) {
        return response;
      }
      if (wantsNonce) {
        hasNonce = true;
      } else {
        isRenewed = true;
        const more = missing ? unite(scopes, missing) : scopes;
        const fresh = await getAuth({ scope: more, resource, signal: request.signal }).catch(
          async (error) => {
            // for want of more scopes, the answer stays what it was
            if (missing) {
              return auth;
            }
            await response.body?.cancel();
            throw error;
          },
        );
        if (isSameAuth(fresh, auth)) {
          return response;
        }
        auth = fresh;
      }
      await response.body?.cancel();
      response = await attempt(auth);
    }
  };
}

const optionNames: Record<keyof AuthFetchOptions, true> = {
  baseUrl: true,
  scope: true,
  resource: true,
  allowInsecureTransport: true,
  fetch: true,
};

/** A stream is gone once it was sent. */
function isStream(body: BodyInit | null | undefined): boolean {
  return body instanceof ReadableStream;
}
