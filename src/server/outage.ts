import { createSteadyClock } from "../steady-clock.js";

/** The longest time that a server is left alone, in milliseconds. */
const maxBackoffMs = 10_000;

/** A request that was let through. One of its functions is called when it is over. */
export interface Attempt {
  /** The server is there, whatever it said. */
  answered(): void;
  /** It gave no answer, or wants fewer requests. `retryAfterMs`: when it wants the next one. */
  failed(retryAfterMs?: number): void;
}

/** What is known of the failures of a server. */
export interface Outage {
  /** Whether the server is not to be asked now. */
  isOn(): boolean;
  /** Begins a request. `undefined`: the server is not to be asked now. */
  begin(): Attempt | undefined;
}

/**
 * Notices when a server fails, so that calls do not wait for it one after the
 * other: after a failure none asks it for 1 s × 1.6ⁿ, ±20 %, or as long as it
 * says, 10 s at most. Then one request finds out whether it is back, while the
 * others still fail at once.
 *
 * A failure counts where nothing else was heard of the server since that
 * request began: requests that fail together count once, and one that fails
 * among others that succeed says nothing about the server.
 */
export function createOutage(): Outage {
  const now = createSteadyClock();
  let failures = 0;
  let retryAt = 0;
  let isProbing = false;
  let news = 0;
  const isOn = () => now() < retryAt || (failures > 0 && isProbing);

  return {
    isOn,
    begin() {
      if (isOn()) {
        return undefined;
      }
      const before = news;
      const isProbe = failures > 0;
      isProbing ||= isProbe;
      const end = () => {
        isProbing &&= !isProbe;
        news += 1;
      };
      return {
        answered() {
          end();
          failures = 0;
        },
        failed(retryAfterMs) {
          const isNews = news === before;
          end();
          if (!isNews && !retryAfterMs) {
            return;
          }
          const backoffMs = 1000 * 1.6 ** failures * (0.8 + Math.random() * 0.4);
          failures += isNews ? 1 : 0;
          // "Retry-After: 0" is no leave to hammer
          retryAt = Math.max(retryAt, now() + Math.min(retryAfterMs || backoffMs, maxBackoffMs));
        },
      };
    },
  };
}
