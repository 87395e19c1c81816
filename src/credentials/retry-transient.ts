import { Code, ConnectError } from "@connectrpc/connect";
import { AuthError, isAuthError } from "../errors.js";
import { obtain } from "./obtain.js";

/** How often one attempt to get a token asks again where the other side is down. */
export interface RetryOptions {
  /** How often it asks at most. Default: 3. */
  readonly maxAttempts?: number | undefined;
  /** The wait before it asks for the second time, doubled for each one after. Default: 200. */
  readonly initialBackoffMs?: number | undefined;
  /** The longest wait. Where the other side asks for a longer one, it is not asked again. Default: 2,000. */
  readonly maxBackoffMs?: number | undefined;
}

/** Throws `TypeError` for numbers that make no sense. */
export function checkRetryOptions(options: RetryOptions): void {
  for (const [name, least] of [
    ["maxAttempts", 1],
    ["initialBackoffMs", 0],
    ["maxBackoffMs", 0],
  ] as const) {
    const value = options[name];
    if (value !== undefined && !(Number.isSafeInteger(value) && value >= least)) {
      throw new TypeError(`${name} ${value} must be a whole number of at least ${least}`);
    }
  }
}

/**
 * Asks code of the user, and again after a while if that failed because
 * something is down: `credentials_unavailable`. Throws like `obtain`.
 */
export async function retryTransient<T>(
  signal: AbortSignal,
  { maxAttempts = 3, initialBackoffMs = 200, maxBackoffMs = 2000 }: RetryOptions,
  ask: () => T | PromiseLike<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await obtain(signal, () => withAuthError(ask));
    } catch (error) {
      const isDown = isAuthError(error) && error.code === "credentials_unavailable";
      const retryAfterMs = (isDown && error.retryAfterMs) || 0;
      if (!isDown || attempt >= maxAttempts || retryAfterMs > maxBackoffMs) {
        throw error;
      }
      const backoffMs = Math.min(initialBackoffMs * 2 ** (attempt - 1), maxBackoffMs);
      const waitMs = Math.max(backoffMs * (0.5 + Math.random() / 2), retryAfterMs);
      await obtain(signal, () => wait(waitMs, signal));
    }
  }
}

/** A timer that is left would keep the process alive. */
function wait(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener("abort", end);
  });
}

async function withAuthError<T>(ask: () => T | PromiseLike<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    const { cause } = Object(error);
    if (error instanceof ConnectError && isAuthError(cause) && !cause.sent) {
      // where a call failed for want of a credential, the reason says more than the call
      throw cause;
    }
    throw isTransient(error)
      ? new AuthError("credentials_unavailable", "the credential could not be obtained", error)
      : error;
  }
}

function isTransient(error: unknown): boolean {
  if (!(error instanceof ConnectError)) {
    return isNetworkError(error);
  }
  switch (error.code) {
    case Code.Unavailable:
    case Code.DeadlineExceeded:
    case Code.ResourceExhausted:
      return true;
    case Code.Unknown:
      // that is what Connect says where fetch failed
      return isNetworkError(error.cause);
    default:
      return false;
  }
}

/** What fetch throws without a network: in Node, Chrome, Firefox, Safari, Deno. */
function isNetworkError(error: unknown): boolean {
  return (
    error instanceof TypeError &&
    /^(fetch failed|failed to fetch|networkerror|load failed|error sending)/i.test(error.message)
  );
}
