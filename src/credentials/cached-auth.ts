import { checkNoOthers } from "../known-options.js";
import { askForAuth, isConstant } from "./ask-for-auth.js";
import type { AuthProvider, AuthRequest, CredentialSource } from "./auth-provider.js";
import { type CachedAuth, createCachedSource } from "./cached-source.js";
import type { TokenCacheOptions } from "./token-cache.js";

/** Options of `cachedAuth`. */
export interface CachedAuthOptions extends TokenCacheOptions {
  /**
   * Which calls share a credential: those for which this returns the same list.
   * Default: all calls.
   */
  readonly key?: ((request: AuthRequest) => readonly string[]) | undefined;
}

/**
 * Keeps the credential that a function or another source returns, and asks for
 * the next one in time. One request is under way at a time, however many calls
 * wait, and it goes on when one of them is aborted.
 *
 * - Lives until `expiresAt`, else the `exp` of a JWT, else 5 minutes, at most a
 *   day. `Auth.none()` is not kept.
 * - Counts as expired 30 s before that, or after half of its life: then it only
 *   serves where no other can be had.
 * - Renewed in the background min(max(60 s, 20 % of its life), 5 min) earlier,
 *   or half of what is left if that is less, when a call comes.
 * - A failure is not repeated before a backoff of 1 s × 1.6ⁿ, at most 120 s, or
 *   what `retryAfterMs` of the `AuthError` says. Until then calls get the
 *   credential at hand while it is valid, else the error.
 * - Asked for anew when a server answers `Unauthenticated` to the credential at
 *   hand, every 10 s at most.
 *
 * Throws `TypeError` for an unknown option, and for what is no provider.
 *
 * ```ts
 * const credentials = cachedAuth(async () => {
 *   const { token, expiresAt } = await session.accessToken();
 *   return Auth.bearer(token, { expiresAt });
 * });
 * ```
 */
export function cachedAuth(
  provider: AuthProvider | CredentialSource,
  options: CachedAuthOptions = {},
): CachedAuth {
  if (isConstant(provider) || typeof options !== "object" || !options) {
    throw new TypeError("cachedAuth takes a function or a source, and options");
  }
  const { key, onEvent, now, timeoutMs, ...others } = options;
  checkNoOthers("cachedAuth", others);
  const source = createCachedSource({ onEvent, now, timeoutMs }, (request) => ({
    key: key ? keyOf(key(request)) : "",
    // whichever call comes first after a refusal
    fetch: async (signal, rejected) =>
      askForAuth(provider, {
        ...request,
        ...(rejected && { reason: "rejected", rejected }),
        signal,
      }),
  }));
  return {
    ...source,
    rejected(auth, challenge) {
      source.rejected(auth, challenge);
      // it may be a promise, which the caller waits for
      return "rejected" in provider ? provider.rejected?.(auth, challenge) : undefined;
    },
  };
}

/** Not what JSON makes of anything else: a promise and a set are both `{}`, for every user. */
function keyOf(list: readonly string[]): string {
  if (!Array.isArray(list) || list.some((item) => typeof item !== "string")) {
    throw new TypeError("key of cachedAuth must return a list of strings");
  }
  return JSON.stringify(list);
}
