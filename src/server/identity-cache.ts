import crypto from "node:crypto";
import { ConnectError } from "@connectrpc/connect";
import { createSteadyClock } from "../steady-clock.js";
import type { AuthContext } from "./auth-context.js";
import { checkIdentity } from "./check-identity.js";

/** How long, and for how many credentials, it is remembered who they stand for. */
export interface CacheOptions {
  /**
   * Milliseconds. A credential that is revoked passes for as long at most; one
   * that expires, no longer than it is valid.
   */
  readonly ttl: number;
  /** Above it, the credential that was not seen for longest is forgotten. Default: 10,000. */
  readonly maxSize?: number;
}

/** Who a credential stands for. Throws where it is not to be accepted. `rest`: what else the judge is shown. */
export type Verify<Rest extends readonly unknown[] = []> = (
  credential: string,
  ...rest: Rest
) => Promise<AuthContext>;

interface Entry {
  readonly identity: AuthContext;
  readonly until: number;
}

/**
 * Remembers who credentials stand for. Only those that were accepted are
 * remembered, under their SHA-256: a copy of the memory shows none. Calls that
 * bring the same credential at once wait for one verification, which is shown
 * the `rest` of the first of them: only the credential may decide. What it
 * returns is frozen, because many calls share it.
 *
 * `validUntil`: when an identity has to be verified again at the latest, in
 * milliseconds since 1970. Default: its `expiresAt`. Throws `TypeError` for
 * sizes and times that are none.
 */
export function cacheIdentities<Rest extends readonly unknown[] = []>(
  options: CacheOptions,
  verify: Verify<Rest>,
  validUntil: (identity: AuthContext) => number = expiryOf,
): Verify<Rest> {
  const { ttl, maxSize = 10_000 } = checked(options);
  const entries = new Map<string, Entry>();
  const pending = new Map<string, Promise<AuthContext>>();
  const now = createSteadyClock();

  async function verifyAndKeep(key: string, credential: string, rest: Rest): Promise<AuthContext> {
    // what is revoked while it is verified passes for no longer
    const start = now();
    const identity = freeze(checkIdentity(await verify(credential, ...rest)));
    const until = Math.min(start + ttl, validUntil(identity));
    if (until > now()) {
      entries.set(key, { identity, until });
      const [oldest] = entries.keys();
      if (entries.size > maxSize && oldest !== undefined) {
        entries.delete(oldest);
      }
    }
    return identity;
  }

  return async (credential, ...rest) => {
    const key = sha256(credential);
    const entry = entries.get(key);
    if (entry !== undefined) {
      entries.delete(key);
      if (entry.until > now()) {
        entries.set(key, entry); // the last ones are those that were seen last
        return entry.identity;
      }
    }
    const waiting = pending.get(key);
    if (waiting !== undefined) {
      return waiting.catch((error: unknown) => {
        throw copyOf(error);
      });
    }
    const verified = verifyAndKeep(key, credential, rest);
    pending.set(key, verified);
    try {
      return await verified;
    } finally {
      pending.delete(key);
    }
  };
}

function checked(options: CacheOptions): CacheOptions {
  const { ttl, maxSize = 1, ...others } = Object(options);
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) {
    throw new TypeError(`cache has no option "${unknown}"; there are ttl, maxSize`);
  }
  if (!(typeof ttl === "number" && Number.isFinite(ttl) && ttl > 0)) {
    throw new TypeError(`cache.ttl ${String(ttl)} must be a number of milliseconds above 0`);
  }
  if (!(Number.isInteger(maxSize) && maxSize > 0)) {
    throw new TypeError(`cache.maxSize ${String(maxSize)} must be a whole number above 0`);
  }
  return options;
}

function expiryOf({ expiresAt }: AuthContext): number {
  return expiresAt?.getTime() ?? Number.POSITIVE_INFINITY;
}

function freeze(identity: AuthContext): AuthContext {
  return Object.freeze({
    ...identity,
    roles: Object.freeze([...identity.roles]),
    scopes: Object.freeze([...identity.scopes]),
    claims: Object.freeze({ ...identity.claims }),
  });
}

/** Each call completes its refusal by itself. */
function copyOf(error: unknown): unknown {
  return error instanceof ConnectError
    ? new ConnectError(error.rawMessage, error.code, error.metadata, undefined, error.cause)
    : error;
}

function sha256(text: string): string {
  // Node 20.12; takes half the time
  return crypto.hash === undefined
    ? crypto.createHash("sha256").update(text).digest("base64url")
    : crypto.hash("sha256", text, "base64url");
}
