import { AUTH_HEADERS, asciiJson, maxCredentialBytes } from "../headers.js";
import type { AuthContext } from "./auth-context.js";
import { invalidCredentials } from "./refusal.js";

/** Options of all authentications: what handlers, and services behind them, read of the identity in headers. */
export interface PropagationOptions {
  /**
   * Writes the identity into the `x-auth-*` headers that handlers see, for
   * services that they pass them on to; see `setAuthHeaders`. What the caller
   * sent there is deleted in any case. Default: false.
   */
  readonly propagateHeaders?: boolean;
  /** The claims that are written, by name. Default: all of them. */
  readonly propagatedClaims?: readonly string[];
}

/** Which header carries which part of an identity. Left out: that part is not read. */
export interface IdentityHeaderMapping {
  /** Who is calling. */
  readonly subject: string;
  /** The caller's display name. */
  readonly name?: string;
  /** Roles, a JSON array of strings. */
  readonly roles?: string;
  /** Scopes, separated by spaces. */
  readonly scopes?: string;
  /** How the caller was authenticated. */
  readonly type?: string;
  /** Further claims, a JSON object. */
  readonly claims?: string;
}

const authHeaderMapping: IdentityHeaderMapping = {
  subject: AUTH_HEADERS.SUBJECT,
  name: AUTH_HEADERS.NAME,
  roles: AUTH_HEADERS.ROLES,
  scopes: AUTH_HEADERS.SCOPES,
  type: AUTH_HEADERS.TYPE,
  claims: AUTH_HEADERS.CLAIMS,
};

/**
 * Writes an identity into headers, for a service that trusts whoever sends
 * them: `x-auth-subject`, `x-auth-name`, `x-auth-type`, `x-auth-roles` (JSON
 * array), `x-auth-scopes` (separated by spaces) and `x-auth-claims` (JSON).
 * Those that are there already are replaced or deleted. `propagatedClaims`: the
 * claims to write, by name; left out, all of them.
 *
 * A name that no header can carry, and claims above 8 KiB, are left out.
 * Throws `TypeError` where that is so of the subject, type, roles or scopes:
 * without them it would be another identity.
 */
export function setAuthHeaders(
  headers: Headers,
  context: AuthContext,
  propagatedClaims?: readonly string[],
): void {
  const { subject, name = "", type, roles, scopes } = context;
  const claims = Object.entries(context.claims).filter(
    ([claim]) => propagatedClaims === undefined || propagatedClaims.includes(claim),
  );
  const claimsText = claims.length > 0 ? asciiJson(Object.fromEntries(claims)) : "";
  const isWhole = scopes.every((scope) => /^[\x21-\x7e]+$/.test(scope));
  const values: readonly (readonly [string, string])[] = [
    [AUTH_HEADERS.SUBJECT, carried("subject", subject)],
    [AUTH_HEADERS.NAME, isCarried(name) ? name : ""],
    [AUTH_HEADERS.TYPE, carried("type", type)],
    [AUTH_HEADERS.ROLES, roles.length > 0 ? carried("roles", asciiJson(roles)) : ""],
    [
      AUTH_HEADERS.SCOPES,
      scopes.length > 0 ? carried("scopes", isWhole ? scopes.join(" ") : "") : "",
    ],
    [AUTH_HEADERS.CLAIMS, isCarried(claimsText) ? claimsText : ""],
  ];
  for (const [header, value] of values) {
    headers.delete(header);
    if (value !== "") {
      headers.set(header, value);
    }
  }
}

/**
 * Reads what `setAuthHeaders` wrote. `undefined`: there is no `x-auth-subject`.
 * Throws `Unauthenticated` for roles and claims that are malformed, and for
 * values above 8 KiB.
 *
 * Use it only where nobody but services that you trust can send headers, in a
 * mesh say: it looks at no secret. `createGatewayAuthInterceptor` does.
 */
export function parseAuthHeaders(headers: Headers): AuthContext | undefined {
  return headers.has(AUTH_HEADERS.SUBJECT)
    ? readIdentity(headers, authHeaderMapping, "unknown")
    : undefined;
}

/** Reads an identity from headers. Throws `Unauthenticated` where it is malformed or has no subject. */
export function readIdentity(
  header: Headers,
  mapping: IdentityHeaderMapping,
  defaultType: string,
): AuthContext {
  const read = (name: string | undefined): string | undefined => {
    const value = name === undefined ? undefined : (header.get(name) ?? undefined);
    if (value !== undefined && value.length > maxCredentialBytes) {
      throw invalidCredentials(`${name} has more than ${maxCredentialBytes} bytes`);
    }
    return value;
  };
  const subject = read(mapping.subject);
  if (!subject) {
    throw invalidCredentials(`no subject in ${mapping.subject}`);
  }
  const name = read(mapping.name);
  const roles = parseJson(mapping.roles, read(mapping.roles)) ?? [];
  if (!Array.isArray(roles) || !roles.every((role) => typeof role === "string")) {
    throw invalidCredentials(`${mapping.roles} is not a JSON array of strings`);
  }
  const claims = parseJson(mapping.claims, read(mapping.claims)) ?? {};
  if (typeof claims !== "object" || Array.isArray(claims)) {
    throw invalidCredentials(`${mapping.claims} is not a JSON object`);
  }
  return {
    subject,
    ...(name !== undefined && { name }),
    roles,
    scopes: read(mapping.scopes)?.split(" ").filter(Boolean) ?? [],
    claims: { ...claims },
    type: read(mapping.type) || defaultType,
  };
}

function parseJson(name: string | undefined, text: string | undefined): unknown {
  if (text === undefined) {
    return undefined;
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = null;
  }
  if (value === null) {
    throw invalidCredentials(`${name} is not JSON`);
  }
  return value;
}

/** Visible ASCII with spaces between (RFC 9110 §5.5), up to 8 KiB. */
function isCarried(value: string): boolean {
  return (
    /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(value) && value.length <= maxCredentialBytes
  );
}

function carried(what: string, value: string): string {
  if (!isCarried(value)) {
    throw new TypeError(
      `${what} cannot be carried in a header: it must be visible ASCII, at most ${maxCredentialBytes} bytes`,
    );
  }
  return value;
}
