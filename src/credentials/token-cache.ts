import { AuthError, isAuthError } from "../errors.js";
import { createSteadyClock } from "../steady-clock.js";
import type { Auth } from "./auth.js";
import { type AuthEventListener, emit } from "./auth-event.js";
import { staticHeaders } from "./auth-headers.js";
import { obtain } from "./obtain.js";
import { lifetimeOf } from "./token-lifetime.js";
import {
  canServe,
  fetchFailed,
  isInBackoff,
  isRejected,
  noToken,
  shouldFetch,
  type TokenState,
  tokenCame,
  tokenRejected,
} from "./token-state.js";

/** Settings of a cache. Each credential that has one passes them on. */
export interface TokenCacheOptions {
  /** Is told of tokens that come, are renewed, fail to come or are refused. */
  readonly onEvent?: AuthEventListener | undefined;
  /** The clock, for tests. Default: the system's. */
  readonly now?: (() => Date) | undefined;
  /** After how many milliseconds a fetch counts as failed. Default: 10,000. */
  readonly timeoutMs?: number | undefined;
}

/**
 * Gets a token, in place of `rejected` if the API refused that. The signal
 * aborts when the time is over, not when a caller gives up.
 */
export type FetchAuth = (signal: AbortSignal, rejected: Auth | undefined) => Promise<Auth>;

/** Tokens by key, each fetched once however many calls wait for it. */
export interface TokenCache {
  /**
   * The token of a key, at once where there is one to serve. Throws `AuthError`.
   * `isForced`: another one than what is at hand.
   */
  get(key: string, fetch: FetchAuth, isForced?: boolean): Auth | Promise<Auth>;
  /** The API refused this token: it is not served again, unless that forces too many fetches. */
  reject(auth: Auth): void;
  clear(): void;
}

interface Entry extends TokenState<Auth> {
  flight?: Promise<Auth>;
  /** When the flight began. */
  startedAt: number;
}

/** The one that was used longest ago makes room. */
const maxKeys = 1000;

/** So long calls wait for a new token while they could have the old one. */
const patienceMs = 1000;

/** Makes a cache that follows the rules of `token-state.ts`. */
export function createTokenCache(
  { onEvent, now, timeoutMs = 10_000 }: TokenCacheOptions,
  skewMs?: number,
): TokenCache {
  // what AbortSignal.timeout takes
  if (timeoutMs < 1 || timeoutMs >> 0 !== timeoutMs) {
    throw new TypeError(`timeoutMs ${timeoutMs} must be a whole number above 0`);
  }
  const clock = createSteadyClock(now);
  const entries = new Map<string, Entry>();
  const owners = new WeakMap<Auth, Entry>();

  const fetchInto = async (entry: Entry, fetch: FetchAuth) => {
    const start = clock();
    const signal = AbortSignal.timeout(timeoutMs);
    try {
      const rejected = isRejected(entry) ? entry.value : undefined;
      const auth = await obtain(signal, () => fetch(signal, rejected));
      staticHeaders(auth); // throws for what could not be sent
      const lifetimeMs = lifetimeOf(auth, now?.().getTime());
      if (!(lifetimeMs > 0)) {
        throw new AuthError("credentials_failed", "the token had expired when it came");
      }
      emit(onEvent, {
        type: entry.value ? "token_refreshed" : "token_acquired",
        durationMs: clock() - start,
        expiresAt: new Date(clock() + lifetimeMs),
      });
      tokenCame(entry, auth, lifetimeMs, clock(), Math.random(), skewMs);
      owners.set(auth, entry);
      return auth;
    } catch (cause) {
      const error = isAuthError(cause)
        ? cause
        : new AuthError("credentials_unavailable", `no token within ${timeoutMs} ms`, cause);
      fetchFailed(entry, error, error.retryAfterMs, clock(), Math.random());
      emit(onEvent, { type: "token_failed", durationMs: clock() - start, error });
      throw error;
    } finally {
      delete entry.flight;
    }
  };

  return {
    get(key, fetch, isForced) {
      const entry: Entry = entries.get(key) ?? { ...noToken(), startedAt: 0 };
      // the order of a map is that of insertion: the first key was used longest ago
      entries.delete(key);
      entries.set(key, entry);
      if (entries.size > maxKeys) {
        for (const [oldest, { flight }] of entries) {
          // without its entry, a fetch would be made a second time
          if (!flight) {
            entries.delete(oldest);
            break;
          }
        }
      }

      const time = clock();
      const served = !isForced && canServe(entry, time) && entry.value;
      if (!entry.flight) {
        if (isForced ? isInBackoff(entry, time) : !shouldFetch(entry, time)) {
          if (served) {
            return served; // 2
          }
          throw entry.error; // 1
        }
        entry.startedAt = time;
        entry.flight = fetchInto(entry, fetch);
        // perhaps nobody waits any more when it fails
        entry.flight.catch(() => {});
      }
      if (!served) {
        return entry.flight; // 1
      }
      if (time < entry.staleAt || time > entry.startedAt + patienceMs) {
        return served; // 3, and 4 where the fetch hangs
      }
      const { flight } = entry;
      return new Promise((resolve, reject) => {
        // 4, if it did not expire meanwhile
        const orServed = (error: unknown) =>
          canServe(entry, clock()) ? resolve(served) : reject(error);
        flight.then(resolve, orServed);
        AbortSignal.timeout(patienceMs).addEventListener("abort", () => {
          resolve(canServe(entry, clock()) ? served : flight);
        });
      });
    },
    reject(auth) {
      const entry = owners.get(auth);
      if (entry) {
        tokenRejected(entry, auth, clock());
      }
    },
    clear() {
      entries.clear();
    },
  };
}
