import { checkKnownOptions } from "../known-options.js";
import { askForIdentity } from "./ask-for-identity.js";
import type { AuthContext } from "./auth-context.js";
import {
  type AuthInterceptor,
  type CommonAuthOptions,
  commonOptionNames,
  createAuthenticatingInterceptor,
  deleteHeaders,
} from "./authenticate.js";
import { type CacheOptions, cacheIdentities, type Verify } from "./identity-cache.js";
import { invalidCredentials, toRefusal } from "./refusal.js";
import { createSessionTokenReader, type SessionTokenOptions } from "./session-token.js";

/** Options of `createSessionAuthInterceptor`. `S`: what `verifySession` finds. */
export interface SessionAuthInterceptorOptions<S> extends SessionTokenOptions, CommonAuthOptions {
  /**
   * Finds the session of a token. `null` or `undefined`: there is none, or it is
   * over. Whatever it throws is `Unauthenticated`, but a `ConnectError` that
   * says `Unavailable` (the store is down, say) or `PermissionDenied`.
   *
   * `headers`: a copy of those of the call, for libraries that want them. A
   * credential elsewhere than in `cookie` or `header` is taken out: nobody has
   * judged it. The session has to be that of the token, and of nothing else in
   * `headers`: with `cache`, the next call with the token is not asked about.
   */
  readonly verifySession: (
    token: string,
    headers: Headers,
  ) => S | null | undefined | Promise<S | null | undefined>;
  /** Says whose session it is. An `expiresAt` that has passed is refused. */
  readonly mapSession: (session: NoInfer<S>) => AuthContext | Promise<AuthContext>;
  /**
   * Remembers whose session a token is. One that ends passes for a `ttl` more at
   * most. Default: `false`, every call asks `verifySession`.
   */
  readonly cache?: CacheOptions | false;
}

/**
 * Authenticates callers by the token of a session that was begun elsewhere, as
 * session libraries do: in a cookie, in a header, or as `Authorization: Bearer`;
 * `Auth.session()` on the client side.
 *
 * Refuses with `Unauthenticated`: a token that is empty, above 8 KiB, there
 * twice, or has no session. Refuses with `PermissionDenied`, before the session
 * is looked up, a cookie with which a page of a foreign origin calls. Throws
 * `TypeError` for options that are unknown or contradict each other.
 *
 * ```ts
 * createSessionAuthInterceptor({
 *   cookie: "better-auth.session_token",
 *   verifySession: (_token, headers) => auth.api.getSession({ headers }),
 *   mapSession: ({ user, session: { expiresAt } }) =>
 *     ({ subject: user.id, roles: [], scopes: [], claims: {}, type: "session", expiresAt }),
 * });
 * ```
 */
export function createSessionAuthInterceptor<S>(
  options: SessionAuthInterceptorOptions<S>,
): AuthInterceptor {
  checkKnownOptions("createSessionAuthInterceptor", options, optionNames);
  const { verifySession, mapSession, cache = false } = options;
  if (typeof verifySession !== "function") {
    throw new TypeError("verifySession must be a function");
  }
  if (typeof mapSession !== "function") {
    throw new TypeError("mapSession must be a function");
  }
  const { read, ...reader } = createSessionTokenReader(options);

  async function findSession(token: string, headers: Headers): Promise<S> {
    let session: S | null | undefined;
    try {
      session = await verifySession(token, headers);
    } catch (error) {
      throw toRefusal(error, "verifySession");
    }
    if (session === null || session === undefined) {
      throw invalidCredentials("verifySession: no such session");
    }
    return session;
  }

  const verify: Verify<[header: Headers, otherHeaders: readonly string[]]> = (
    token,
    header,
    otherHeaders,
  ) =>
    askForIdentity("mapSession", async () => {
      const headers = new Headers(header);
      deleteHeaders(headers, otherHeaders);
      return mapSession(await findSession(token, headers));
    });
  const identify = cacheIdentities(cache, verify);

  return createAuthenticatingInterceptor(
    {
      ...reader,
      async authenticate(call) {
        const found = await read(call);
        return found && identify(found.token, call.signal, call.header, found.otherHeaders);
      },
    },
    options,
  );
}

const optionNames: Record<keyof SessionAuthInterceptorOptions<unknown>, true> = {
  verifySession: true,
  mapSession: true,
  cookie: true,
  header: true,
  extractToken: true,
  allowedOrigins: true,
  cache: true,
  ...commonOptionNames,
};
