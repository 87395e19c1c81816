import { Code, ConnectError } from "@connectrpc/connect";
import { createSteadyClock } from "../steady-clock.js";
import type { Verify } from "./identity-cache.js";
import { cannotVerify, invalidToken } from "./refusal.js";
import { hashToken } from "./verify-dpop.js";

/** How long refusals are remembered, and how many. */
export interface RefusalMemory {
  /** Those of tokens that are not accepted, in milliseconds. */
  readonly refusedMs: number;
  /** Those of tokens that could not be judged, in milliseconds. */
  readonly unavailableMs: number;
  readonly maxSize: number;
}

interface Refusal {
  readonly code: Code;
  readonly reason: string;
  readonly until: number;
}

/**
 * Remembers for a short time which tokens were refused, so that one that is
 * repeated costs nothing. Above `maxSize` the oldest is forgotten. Tokens are
 * remembered under their SHA-256: a copy of the memory shows none.
 */
export function rememberRefusals(memory: RefusalMemory, verify: Verify): Verify {
  const refusals = new Map<string, Refusal>();
  const now = createSteadyClock();

  function keep(key: string, { code, cause }: ConnectError): void {
    const lifetimeMs = code === Code.Unauthenticated ? memory.refusedMs : memory.unavailableMs;
    const reason = cause instanceof Error ? cause.message : "refused";
    refusals.delete(key);
    refusals.set(key, { code, reason, until: now() + lifetimeMs });
    const [oldest] = refusals.keys();
    if (refusals.size > memory.maxSize && oldest !== undefined) {
      refusals.delete(oldest);
    }
  }

  return async (token) => {
    const key = hashToken(token);
    const refusal = refusals.get(key);
    if (refusal !== undefined && now() < refusal.until) {
      // a new one for each call, which completes it by itself
      throw refusal.code === Code.Unauthenticated
        ? invalidToken(refusal.reason)
        : cannotVerify(refusal.reason);
    }
    try {
      return await verify(token);
    } catch (error) {
      if (error instanceof ConnectError) {
        keep(key, error);
      }
      throw error;
    }
  };
}
