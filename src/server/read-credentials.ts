import { authorizationHeader, maxCredentialBytes } from "../headers.js";
import { invalidToken } from "./refusal.js";

/** How a token is presented (RFC 6750 §2.1, RFC 9449 §7.1). */
export type TokenScheme = "Bearer" | "DPoP";

/** The scheme of the `Authorization` header, in lower case. `undefined`: there is none. */
export function readAuthScheme(header: Headers): string | undefined {
  // RFC 9110 §11.1: a token, case-insensitive
  const [scheme] = /^[!#$%&'*+.^_`|~0-9a-z-]+/i.exec(header.get(authorizationHeader) ?? "") ?? [];
  return scheme?.toLowerCase();
}

/**
 * The token of an `Authorization` header that has this scheme. Throws
 * `Unauthenticated` where it is malformed or larger than 8 KiB, and where
 * several were joined to one.
 */
export function readToken(header: Headers, scheme: TokenScheme): string {
  const value = header.get(authorizationHeader)?.slice(scheme.length) ?? "";
  if (value.length > " ".length + maxCredentialBytes) {
    throw invalidToken(`the token has more than ${maxCredentialBytes} bytes`);
  }
  // RFC 9110 §11.4: one or more spaces after the scheme
  const token = /^ +([\x21-\x2b\x2d-\x7e]+)$/.exec(value)?.[1];
  if (token === undefined) {
    throw invalidToken(`Authorization: ${scheme} without exactly one token`);
  }
  return token;
}
