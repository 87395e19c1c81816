import type { Auth } from "./auth.js";

/** Where nothing says when a credential expires. */
const unknownLifetimeMs = 5 * 60_000;

/** No credential is kept longer, whatever it says. */
const maxLifetimeMs = 24 * 60 * 60_000;

/**
 * How long a credential can be kept, in milliseconds: until its `expiresAt`,
 * else the `exp` of a JWT (RFC 7519 §4.1.4), else 5 minutes. Several together
 * live as long as the first to go. None at all is not kept: it may be for want
 * of a user, who is about to sign in.
 */
export function lifetimeOf(auth: Auth, now: number = Date.now()): number {
  if (auth.type === "none") {
    return 1;
  }
  if (auth.type === "all") {
    return Math.min(maxLifetimeMs, ...auth.auths.map((part) => lifetimeOf(part, now)));
  }
  const expiresAt = "expiresAt" in auth ? auth.expiresAt : undefined;
  const end = expiresAt ?? ("token" in auth ? expiryOf(auth.token) : undefined);
  return Math.min(Number(end ?? now + unknownLifetimeMs) - now, maxLifetimeMs);
}

/** The time in `exp` of a JWT, in milliseconds. `undefined` for an opaque token. */
export function expiryOf(token: string): number | undefined {
  try {
    const base64 = (token.split(".")[1] ?? "").replaceAll("-", "+").replaceAll("_", "/");
    const claims: { readonly exp?: unknown } = JSON.parse(atob(base64));
    return typeof claims.exp === "number" ? claims.exp * 1000 : undefined;
  } catch {
    return undefined;
  }
}
