import type { IncomingCall } from "./authenticate.js";
import { forbiddenOrigin } from "./refusal.js";

/** Throws `PermissionDenied` for a call that a page of a foreign origin made. */
export type CrossSiteCheck = (call: Pick<IncomingCall, "header" | "url">) => void;

/**
 * Makes what refuses calls that pages of foreign origins made: a browser adds
 * cookies to those, too. In this order, whatever the HTTP method:
 *
 * 1. `Origin` is one of `allowedOrigins`: passes.
 * 2. `Sec-Fetch-Site`, which pages cannot set: `same-origin`, and `none` (no
 *    page was involved), pass; any other value is refused.
 * 3. No `Origin`: passes. It is no browser, or one from before `Sec-Fetch-Site`
 *    that gets, and whose page cannot read what is answered.
 * 4. `Origin` is the origin of the URL that is called: passes. Where that is
 *    http, TLS may have ended before, and `https` passes as well.
 * 5. Everything else is refused: `null`, several origins, what is none.
 *
 * Throws `TypeError` for `allowedOrigins` that are no origins.
 */
export function createCrossSiteCheck(allowedOrigins: readonly string[]): CrossSiteCheck {
  const allowed = checkOrigins(allowedOrigins);
  return ({ header, url }) => {
    const origin = header.get("origin");
    if (origin !== null && allowed.has(origin)) {
      return;
    }
    const site = header.get("sec-fetch-site");
    if (site === "same-origin" || site === "none") {
      return;
    }
    if (site !== null) {
      throw forbiddenOrigin(`Sec-Fetch-Site is ${quote(site)}, Origin ${quote(origin)}`);
    }
    if (origin !== null && !isOriginOf(origin, url)) {
      throw forbiddenOrigin(`Origin is ${quote(origin)}`);
    }
  };
}

function isOriginOf(origin: string, url: string): boolean {
  if (!isHttpOrigin(origin) || !URL.canParse(url)) {
    return false;
  }
  const { host, protocol } = new URL(origin);
  const called = new URL(url);
  return host === called.host && (protocol === called.protocol || called.protocol === "http:");
}

/** As browsers write it: lower case, without the port that the scheme has anyway (RFC 6454 §6.2). */
function isHttpOrigin(origin: string): boolean {
  return /^https?:/.test(origin) && URL.canParse(origin) && new URL(origin).origin === origin;
}

function checkOrigins(allowedOrigins: readonly string[]): ReadonlySet<string> {
  if (!Array.isArray(allowedOrigins)) {
    throw new TypeError("allowedOrigins must be a list of origins");
  }
  for (const origin of allowedOrigins) {
    // pages of apps have origins such as capacitor://localhost
    const isOrigin =
      typeof origin === "string" &&
      /^[a-z][a-z\d+.-]*:\/\/[^\s/?#@,*]+$/.test(origin) &&
      (!/^https?:/.test(origin) || isHttpOrigin(origin));
    if (!isOrigin) {
      throw new TypeError(
        `allowedOrigins ${JSON.stringify(origin)} must be an origin as browsers write it, such as "https://app.acme.dev"`,
      );
    }
  }
  return new Set(allowedOrigins);
}

/** For a log: what a header holds has any length. */
function quote(value: string | null): string {
  return value === null ? "missing" : JSON.stringify(value.slice(0, 200));
}
