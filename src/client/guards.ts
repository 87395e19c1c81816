import { AuthError } from "../errors.js";
import { isLoopback } from "../loopback.js";

/**
 * Makes the check that a credential goes nowhere but to the origin of
 * `baseUrl`, and not over plain http, except to loopback or where
 * `allowInsecureTransport` says that something else encrypts. The check throws
 * `AuthError` (`foreign_origin`, `insecure_transport`).
 *
 * A `baseUrl` that is a path is resolved as `fetch` does it, against the page.
 * Throws `TypeError` where it is no http or https URL.
 */
export function createTargetGuard(
  baseUrl: string,
  allowInsecureTransport: boolean,
): (url: string) => void {
  const base = parseUrl(baseUrl);
  if (!base?.protocol.startsWith("http") || base.username || base.password) {
    // what is before an @ may be a password
    const shown = `${baseUrl}`.replace(/.*@/s, "…@");
    throw new TypeError(`baseUrl "${shown}" must be an http or https URL`);
  }
  const { origin } = base;
  const insecure = base.protocol === "http:" && !allowInsecureTransport && !isLoopback(base);
  return (url) => {
    // the prefix saves parsing the URL of each call
    if (!url.startsWith(`${origin}/`) && parseUrl(url)?.origin !== origin) {
      throw new AuthError("foreign_origin", `credentials for ${origin} go to no other origin`);
    }
    if (insecure) {
      throw new AuthError(
        "insecure_transport",
        `credentials for ${origin} need https, or allowInsecureTransport`,
      );
    }
  };
}

/** A URL, resolved against the page where there is one. */
export function parseUrl(url: string): URL | undefined {
  try {
    return new URL(url, globalThis.document?.baseURI ?? globalThis.location?.href);
  } catch {
    return undefined;
  }
}
