import { checkKnownOptions } from "../known-options.js";
import type { AuthContext } from "./auth-context.js";
import type { Authenticator } from "./authenticate.js";
import { checkOwnHeader, hiddenHeaders } from "./check-header-name.js";
import { createSecretCheck } from "./check-secret.js";
import { type Grants, readGrants } from "./grants.js";
import { invalidCredentials } from "./refusal.js";

/** Options of `sharedSecretTrust`. */
export interface SharedSecretTrustOptions extends Grants {
  /**
   * What services send: printable ASCII, at least 32 bytes. Several while a
   * secret rotates: add the new one here, give it to all callers, remove the old one.
   */
  readonly secret: string | readonly string[];
  /** Default: `x-internal-secret`. */
  readonly header?: string;
  /** `AuthContext.subject` of every caller. Default: `internal`. */
  readonly subject?: string;
  /** `AuthContext.type`. Default: `secret`. */
  readonly type?: string;
}

const defaultHeader = "x-internal-secret";
/** As for the secret of HS256 (RFC 7518 §3.2). */
const minBytes = 32;

/**
 * Trusts other services by a secret that all of them know:
 * `Auth.header("x-internal-secret", secret)` on the client side. For
 * `createInternalAuthInterceptor`, and `internal` of `createServerAuth`.
 *
 * Whoever has the secret is every service: it does not say which one calls,
 * one leak opens all internal methods of all servers that take it, and it
 * passes until it is replaced. Prefer `signedTokenTrust` or
 * `meshIdentityTrust` where there are more than a few services, and send it
 * over TLS only.
 *
 * Refuses any other value with `Unauthenticated`. Throws `TypeError` for a
 * secret of less than 32 bytes: make one with `openssl rand -base64 32`.
 *
 * ```ts
 * sharedSecretTrust({ secret: process.env.INTERNAL_SECRET! });
 * ```
 */
export function sharedSecretTrust(options: SharedSecretTrustOptions): Authenticator {
  checkKnownOptions("sharedSecretTrust", options, optionNames);
  const { secret, subject = "internal", type = "secret" } = options;
  const header = checkOwnHeader("header", options.header ?? defaultHeader);
  const isTrusted = createSecretCheck("secret", [secret].flat(), minBytes);
  if (typeof subject !== "string" || subject === "") {
    throw new TypeError(`subject ${JSON.stringify(subject)} must be a string that is not empty`);
  }
  const identity: AuthContext = Object.freeze({
    subject,
    ...readGrants(options),
    claims: Object.freeze({}),
    type,
  });
  return {
    identityHeaders: hiddenHeaders(header),
    async authenticate(call) {
      const value = call.header.get(header);
      if (value === null) {
        return undefined;
      }
      if (!isTrusted(value)) {
        throw invalidCredentials(`${header} is not the secret`);
      }
      return identity;
    },
  };
}

const optionNames: Record<keyof SharedSecretTrustOptions, true> = {
  secret: true,
  header: true,
  subject: true,
  roles: true,
  scopes: true,
  type: true,
};
