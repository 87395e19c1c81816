import { maxCredentialBytes } from "../headers.js";
import { checkKnownOptions } from "../known-options.js";
import { askForIdentity } from "./ask-for-identity.js";
import type { AuthContext } from "./auth-context.js";
import {
  type AuthInterceptor,
  type CommonAuthOptions,
  commonOptionNames,
  createAuthenticatingInterceptor,
  type IncomingCall,
} from "./authenticate.js";
import { bearerChallenge } from "./challenge.js";
import { type CacheOptions, cacheIdentities, type Verify } from "./identity-cache.js";
import { readAuthScheme, readToken } from "./read-credentials.js";
import { invalidCredentials, toRefusal } from "./refusal.js";

/** Finds the credential of a call. `null` or `undefined`: it has none. */
export type FindCredential = (
  call: IncomingCall,
) => string | null | undefined | Promise<string | null | undefined>;

/** Options of `createAuthInterceptor`. */
export interface AuthInterceptorOptions extends CommonAuthOptions {
  /**
   * Finds the credential of a call. `null` or `undefined`: it has none. Default:
   * the token of `Authorization: Bearer`.
   */
  readonly extractCredentials?: FindCredential;
  /**
   * Says who a credential stands for. Must throw for one that is not to be
   * accepted: whatever it throws is `Unauthenticated`, but a `ConnectError`
   * that says `Unavailable` or `PermissionDenied`. An `expiresAt` that has
   * passed is refused, too.
   */
  readonly verifyCredentials: (credentials: string) => AuthContext | Promise<AuthContext>;
  /** Remembers whom credentials stand for. Default: `false`, every call asks `verifyCredentials`. */
  readonly cache?: CacheOptions | false;
}

/**
 * Authenticates callers by any credential: API keys, opaque tokens, what a
 * proxy found out about a client certificate.
 *
 * Refuses with `Unauthenticated` where a credential is missing, empty, above
 * 8 KiB, or `verifyCredentials` throws, and where what it returns is no
 * identity. Throws `TypeError` for unknown options.
 *
 * ```ts
 * createAuthInterceptor({
 *   extractCredentials: ({ header }) => header.get("x-api-key"),
 *   verifyCredentials: async (key) => {
 *     const owner = await apiKeys.find(sha256(key));
 *     if (owner === undefined) throw new Error("unknown key");
 *     return { subject: owner.id, roles: owner.roles, scopes: [], claims: {}, type: "api-key" };
 *   },
 *   cache: { ttl: 30_000 },
 * });
 * ```
 */
export function createAuthInterceptor(options: AuthInterceptorOptions): AuthInterceptor {
  checkKnownOptions("createAuthInterceptor", options, optionNames);
  const { extractCredentials, verifyCredentials, cache = false } = options;
  const find = extractCredentials ?? readBearer;
  if (typeof verifyCredentials !== "function") {
    throw new TypeError("verifyCredentials must be a function");
  }
  if (extractCredentials !== undefined && typeof extractCredentials !== "function") {
    throw new TypeError("extractCredentials must be a function");
  }
  const verify: Verify = (credentials) =>
    askForIdentity("verifyCredentials", () => verifyCredentials(credentials));
  const identify = cacheIdentities(cache, verify);

  return createAuthenticatingInterceptor(
    {
      // readable by handlers: which headers hold the credential is known to extractCredentials alone
      identityHeaders: [],
      ...(extractCredentials === undefined && { challenge: bearerChallenge() }),
      async authenticate(call) {
        const credentials = await extract("extractCredentials", find, call);
        return credentials === undefined ? undefined : identify(credentials, call.signal);
      },
    },
    options,
  );
}

const optionNames: Record<keyof AuthInterceptorOptions, true> = {
  extractCredentials: true,
  verifyCredentials: true,
  cache: true,
  ...commonOptionNames,
};

/** The token of `Authorization: Bearer`, where that is what a call has. Throws `Unauthenticated` for what cannot be one. */
export function readBearer({ header }: Pick<IncomingCall, "header">): string | undefined {
  return readAuthScheme(header) === "bearer" ? readToken(header, "Bearer") : undefined;
}

/**
 * The credential that a function of the user's finds; `what` is its name.
 * Throws `Unauthenticated` where it throws, and for what cannot be a
 * credential; what it throws as `Unavailable` or `PermissionDenied` stays.
 */
export async function extract(
  what: string,
  find: FindCredential,
  call: IncomingCall,
): Promise<string | undefined> {
  let credential: unknown;
  try {
    credential = await find(call);
  } catch (error) {
    throw toRefusal(error, what);
  }
  if (credential === null || credential === undefined) {
    return undefined;
  }
  if (typeof credential !== "string" || credential === "") {
    throw invalidCredentials(`${what}: the credential is empty, or no text`);
  }
  if (Buffer.byteLength(credential) > maxCredentialBytes) {
    throw invalidCredentials(`${what}: the credential has more than ${maxCredentialBytes} bytes`);
  }
  return credential;
}
