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

/** Options of `createAuthInterceptor`. */
export interface AuthInterceptorOptions extends CommonAuthOptions {
  /**
   * Finds the credential of a call. `null` or `undefined`: it has none. Default:
   * the token of `Authorization: Bearer`.
   */
  readonly extractCredentials?: (
    call: IncomingCall,
  ) => string | null | undefined | Promise<string | null | undefined>;
  /**
   * Says who a credential stands for. Must throw for one that is not to be
   * accepted: whatever it throws is `Unauthenticated`, but a `ConnectError`
   * that says `Unavailable` or `PermissionDenied`. An `expiresAt` that has
   * passed is refused, too.
   */
  readonly verifyCredentials: (credentials: string) => AuthContext | Promise<AuthContext>;
  /** Remembers whom credentials stand for. Default: every call asks `verifyCredentials`. */
  readonly cache?: CacheOptions;
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
  const { extractCredentials, verifyCredentials } = options;
  if (typeof verifyCredentials !== "function") {
    throw new TypeError("verifyCredentials must be a function");
  }
  if (extractCredentials !== undefined && typeof extractCredentials !== "function") {
    throw new TypeError("extractCredentials must be a function");
  }
  const verify: Verify = (credentials) =>
    askForIdentity("verifyCredentials", () => verifyCredentials(credentials));
  const identify = "cache" in options ? cacheIdentities(options.cache, verify) : verify;

  return createAuthenticatingInterceptor(
    {
      // readable by handlers: which headers hold the credential is known to extractCredentials alone
      identityHeaders: [],
      ...(extractCredentials === undefined && { challenge: bearerChallenge() }),
      async authenticate(call) {
        const credentials = await extract(extractCredentials ?? readBearer, call);
        return credentials === undefined ? undefined : identify(credentials);
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

function readBearer({ header }: IncomingCall): string | undefined {
  return readAuthScheme(header) === "bearer" ? readToken(header, "Bearer") : undefined;
}

/** The credential of a call, where it has one. Throws `Unauthenticated` for what cannot be one. */
export async function extract(
  extractCredentials: NonNullable<AuthInterceptorOptions["extractCredentials"]>,
  call: IncomingCall,
): Promise<string | undefined> {
  let credentials: unknown;
  try {
    credentials = await extractCredentials(call);
  } catch (error) {
    throw toRefusal(error, "extractCredentials");
  }
  if (credentials === null || credentials === undefined) {
    return undefined;
  }
  if (typeof credentials !== "string" || credentials === "") {
    throw invalidCredentials("the credential is empty, or no text");
  }
  if (credentials.length > maxCredentialBytes) {
    throw invalidCredentials(`the credential has more than ${maxCredentialBytes} bytes`);
  }
  return credentials;
}
