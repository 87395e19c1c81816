import { maxCredentialBytes } from "../headers.js";
import { invalidCredentials } from "./refusal.js";

/**
 * The value of a cookie as it stands in the header, which is what
 * `Auth.session(token, { cookie })` sends: cookies are opaque (RFC 6265 §5.4),
 * so nothing is percent-decoded. `undefined`: there is no such cookie.
 *
 * Throws `Unauthenticated` where it is there more than once, empty, above
 * 8 KiB, or has characters that RFC 6265 §4.1.1 leaves out, quotes included.
 */
export function readCookie(header: Headers, name: string): string | undefined {
  const [cookie, ...others] = (header.get("cookie") ?? "")
    .split(";")
    // trim() takes more for white space than cookies do: what another parser could take for this cookie counts
    .filter((pair) => pair.slice(0, Math.max(pair.indexOf("="), 0)).trim() === name);
  if (cookie === undefined) {
    return undefined;
  }
  if (others.length > 0) {
    // one of them may be from another host of the domain, or another path
    throw invalidCredentials(`several cookies ${name}`);
  }
  const value = /^[ \t]*[!-<>-~]+[ \t]*=[ \t]*([!#-+\--:<-[\]-~]+)[ \t]*$/.exec(cookie)?.[1];
  if (value === undefined) {
    throw invalidCredentials(`the cookie ${name} is empty, or has a character that no cookie has`);
  }
  if (value.length > maxCredentialBytes) {
    throw invalidCredentials(`the cookie ${name} has more than ${maxCredentialBytes} bytes`);
  }
  return value;
}

/** The name of a cookie, as it is. Throws `TypeError` for what is none (RFC 6265 §4.1.1). */
export function checkCookieName(option: string, name: string): string {
  if (typeof name !== "string" || !/^[\w!#$%&'*+.^`|~-]+$/.test(name)) {
    throw new TypeError(`${option} ${JSON.stringify(name)} must be the name of a cookie`);
  }
  return name;
}
