import { authorizationHeader, maxCredentialBytes } from "../headers.js";
import { invalidToken } from "./refusal.js";

/**
 * The token of an `Authorization: Bearer` header. `undefined` where there is
 * no such header, or it has another scheme. Throws `Unauthenticated` where it
 * is malformed or larger than 8 KiB, and where several were joined to one.
 */
export function readBearerToken(header: Headers): string | undefined {
  const value = header.get(authorizationHeader);
  if (value === null) {
    return undefined;
  }
  if (value.length > "Bearer ".length + maxCredentialBytes) {
    throw invalidToken(`the token has more than ${maxCredentialBytes} bytes`);
  }
  // RFC 9110 §11.4: the scheme is case-insensitive, one or more spaces follow it
  const [, scheme, token] = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?: +([\x21-\x2b\x2d-\x7e]+))?$/.exec(
    value,
  ) ?? [undefined, /^bearer\b/i.test(value) ? "bearer" : undefined];
  if (scheme?.toLowerCase() !== "bearer") {
    return undefined;
  }
  if (token === undefined) {
    throw invalidToken("Authorization: Bearer without exactly one token");
  }
  return token;
}
