import { checkKnownOptions } from "../known-options.js";

/**
 * Remembers what may be used once. Replicas of a server need one that they
 * share: `createRedisReplayStore`, or one of your own.
 */
export interface ReplayStore {
  /**
   * Adds a key, in one step for all who add: of several calls with the same key
   * only one gets `true`. `false`: the key is there already. It may be
   * forgotten after `expiresAt`, and not before. Throws where it cannot say;
   * the call is then refused with `Unavailable`.
   */
  add(key: string, expiresAt: Date): Promise<boolean>;
}

/** Options of `createMemoryReplayStore`. */
export interface MemoryReplayStoreOptions {
  /**
   * How many keys it holds, of about 200 bytes each. A full store throws until
   * some have expired: one that is forgotten early could be used again.
   * Default: 100,000, which is 1,500 calls per second where keys are kept for
   * 65 seconds.
   */
  readonly maxSize?: number;
}

const sweepIntervalMs = 1_000;

/**
 * A replay store in the memory of this process. Do not use it where several
 * processes serve one API: what was used with one could be used with each other.
 * `createRedisReplayStore` is for them. Throws `TypeError` for unknown options.
 */
export function createMemoryReplayStore(options: MemoryReplayStoreOptions = {}): ReplayStore {
  checkKnownOptions("createMemoryReplayStore", options, { maxSize: true });
  const { maxSize = 100_000 } = options;
  if (!Number.isInteger(maxSize) || maxSize < 1) {
    throw new TypeError(`maxSize ${maxSize} must be a whole number above 0`);
  }
  const expiresAtMs = new Map<string, number>();
  let sweptAt = 0;

  function sweep(now: number): void {
    // also after the clock was set back
    if (Math.abs(now - sweptAt) < sweepIntervalMs) {
      return;
    }
    sweptAt = now;
    for (const [key, expiry] of expiresAtMs) {
      if (expiry < now) {
        expiresAtMs.delete(key);
      }
    }
  }

  return {
    // without await, so nothing comes between the look and the entry
    async add(key, expiresAt) {
      const now = Date.now();
      sweep(now);
      const known = expiresAtMs.get(key);
      if (known !== undefined && !(known < now)) {
        return false;
      }
      if (known === undefined && expiresAtMs.size >= maxSize) {
        throw new Error(`the replay store is full, it holds ${maxSize} keys`);
      }
      expiresAtMs.set(key, expiresAt.getTime());
      return true;
    },
  };
}
