/*
 * The life of one token, without timers, promises and clocks. All times are
 * milliseconds, `now` comes from outside. For each call:
 *
 * 1 no token, or a rejected or expired one: fetch, and wait for it; during the backoff fail.
 * 2 before `refreshAt`, and during the backoff: serve.
 * 3 before `staleAt`: serve, and fetch in the background.
 * 4 after `staleAt`: fetch, and wait a second for it; serve where that fails or takes longer.
 */

/** What is known of one token. */
export interface TokenState<T> {
  value?: T;
  /** From here on a new one is fetched ahead. */
  refreshAt: number;
  /** From here on it counts as expired, for as long as a new one can be had. */
  staleAt: number;
  /** From here on it is never served: at once after a rejection. */
  expiresAt: number;
  /** From here on a rejection forces a fetch. */
  forceableAt: number;
  /** What the last fetch failed with. */
  error?: unknown;
  /** How many fetches failed one after the other. */
  failures: number;
  /** Until then the backoff lasts. */
  retryAt: number;
}

/** What is known at first. */
export function noToken<T>(): TokenState<T> {
  return {
    refreshAt: 0,
    staleAt: 0,
    expiresAt: 0,
    forceableAt: 0,
    failures: 0,
    retryAt: 0,
  };
}

/** Whether a call can have the token: 2, 3 and 4. */
export function canServe({ expiresAt }: TokenState<unknown>, now: number): boolean {
  return now < expiresAt;
}

/** Whether it is time to fetch another one: 1, 3 and 4. */
export function shouldFetch(state: TokenState<unknown>, now: number): boolean {
  return now >= Math.min(state.refreshAt, state.expiresAt) && !isInBackoff(state, now);
}

/** Whether none is to be fetched, because that failed a moment ago. */
export function isInBackoff({ retryAt }: TokenState<unknown>, now: number): boolean {
  return now < retryAt;
}

/** Whether the API refused the token, and no other one came since. */
export function isRejected({ expiresAt }: TokenState<unknown>): boolean {
  return expiresAt === 0;
}

/** A token came that lives for `lifetimeMs`. `random` is at least 0 and below 1. */
export function tokenCame<T>(
  state: TokenState<T>,
  value: T,
  lifetimeMs: number,
  now: number,
  random: number,
  skewMs = 30_000,
): void {
  state.value = value;
  state.expiresAt = now + lifetimeMs;
  state.staleAt = state.expiresAt - Math.min(skewMs, lifetimeMs / 2);
  const ahead = Math.min(Math.max(60_000, lifetimeMs / 5), 300_000) * (0.9 + random / 5);
  // a short life has no room for the whole window
  state.refreshAt = state.staleAt - Math.min(ahead, (state.staleAt - now) / 2);
  state.failures = 0;
}

/** A fetch failed. `retryAfterMs` is what the server asked for (`Retry-After`). */
export function fetchFailed(
  state: TokenState<unknown>,
  error: unknown,
  retryAfterMs: number | undefined,
  now: number,
  random: number,
): void {
  const backoffMs = Math.min(1000 * 1.6 ** state.failures++ * (0.8 + random * 0.4), 120_000);
  state.error = error;
  // "Retry-After: 0" is no leave to hammer
  state.retryAt = now + Math.max(Math.min(retryAfterMs || backoffMs, 300_000), 800);
}

/**
 * The API refused a token. Nothing changes if another one took its place, or if
 * a rejection forced a fetch within the last 10 s.
 */
export function tokenRejected<T>(state: TokenState<T>, value: T, now: number): void {
  if (state.value === value && now >= state.forceableAt) {
    state.forceableAt = now + 10_000;
    state.expiresAt = 0;
  }
}
