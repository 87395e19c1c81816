import { AuthError } from "../errors.js";

/**
 * Makes the check that a credential goes nowhere but to the origin of
 * `baseUrl`, and not over plain http, except to loopback or where
 * `allowInsecureTransport` says that something else encrypts. The check throws
 * `AuthError` (`foreign_origin`, `insecure_transport`).
 *
 * A `baseUrl` that is a path is resolved against the page. Throws `TypeError`
 * where it is no http or https URL.
 */
export function createTargetGuard(
  baseUrl: string,
  allowInsecureTransport: boolean,
): (url: string) => void {
  const base = parseUrl(baseUrl);
  if (base === undefined || !/^https?:$/.test(base.protocol)) {
    throw new TypeError(
      `baseUrl ${JSON.stringify(baseUrl)} must be an http or https URL, such as "https://api.example.com"`,
    );
  }
  const { origin, host } = base;
  const insecure =
    base.protocol === "http:" && !allowInsecureTransport && !isLoopback(base.hostname);
  return (url) => {
    // the prefix saves parsing the URL of each call
    if (!url.startsWith(`${origin}/`) && parseUrl(url)?.origin !== origin) {
      throw new AuthError(
        "foreign_origin",
        `credentials for ${origin} are not sent to another origin`,
      );
    }
    if (insecure) {
      throw new AuthError(
        "insecure_transport",
        `credentials are not sent to ${host} over plain http; use https, or set allowInsecureTransport where something else encrypts`,
      );
    }
  };
}

function parseUrl(url: string): URL | undefined {
  try {
    return new URL(url, globalThis.location?.href);
  } catch {
    return undefined;
  }
}

/** RFC 6761 §6.3, RFC 1122 §3.2.1.3, RFC 4291 §2.5.3. */
function isLoopback(hostname: string): boolean {
  return /^(?:localhost|.+\.localhost|127(?:\.\d+){3}|\[::1\])$/.test(hostname);
}
