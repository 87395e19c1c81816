import { authorizationHeader, dpopHeader } from "../headers.js";
import { withHyphens } from "./authenticate.js";

/** The name of a header in lower case. Throws `TypeError` for what is none (RFC 9110 §5.1). */
export function checkHeaderName(option: string, name: string): string {
  if (typeof name !== "string" || !/^[\w!#$%&'*+.^`|~-]+$/.test(name)) {
    throw new TypeError(`${option} ${JSON.stringify(name)} must be the name of a header`);
  }
  return name.toLowerCase();
}

/** Headers that other authentications read, on methods where this one has nothing to say. */
const sharedHeaders = new Set([authorizationHeader, dpopHeader, "cookie"]);

/**
 * The name of a header that nobody else may read, in lower case. Throws
 * `TypeError` also for a header that carries credentials of users: it would be
 * deleted before they are looked at.
 */
export function checkOwnHeader(option: string, name: string): string {
  const checked = checkHeaderName(option, name);
  if (sharedHeaders.has(checked)) {
    throw new TypeError(
      `${option} ${JSON.stringify(name)} carries the credentials of users; it must be a header of its own`,
    );
  }
  return checked;
}

/** Names for `Authenticator.identityHeaders`: other spellings are deleted by the one with hyphens. */
export function hiddenHeaders(...names: string[]): string[] {
  return [...new Set(names.flatMap((name) => [name, withHyphens(name)]))];
}
