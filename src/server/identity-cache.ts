import crypto from "node:crypto";
import { createSteadyClock } from "../steady-clock.js";
import type { AuthContext } from "./auth-context.js";
import { checkIdentity } from "./check-identity.js";
import { freezeIdentity } from "./freeze-identity.js";
import { shareAnswers } from "./share-answers.js";
import { askDuringCall } from "./wait-for-answer.js";

/** How long, and for how many credentials, it is remembered who they stand for. */
export interface CacheOptions {
  /**
   * Milliseconds. A credential that is revoked passes for as long at most; one
   * that expires, no longer than it is valid.
   */
  readonly ttl: number;
  /**
   * Above it, the credential that was not seen for longest is forgotten. Where
   * verifications hang, as many may do so, and 1,000 at least, before calls with
   * further credentials are `Unavailable`. Default: 10,000.
   */
  readonly maxSize?: number;
}

/** Who a credential stands for. Throws where it is not to be accepted. `rest`: what else the judge is shown. */
export type Verify<Rest extends readonly unknown[] = []> = (
  credential: string,
  ...rest: Rest
) => Promise<AuthContext>;

/**
 * Says who a credential stands for, from memory or by `Verify`. Throws
 * `Unavailable` where the call ends first: `signal` is its own.
 */
export type Identify<Rest extends readonly unknown[] = []> = (
  credential: string,
  signal: AbortSignal,
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
 * returns is frozen, because many calls share it. `false`: nothing is
 * remembered, shared or frozen.
 *
 * `validUntil`: when an identity has to be verified again at the latest, in
 * milliseconds since 1970. Default: its `expiresAt`. Throws `TypeError` for
 * sizes and times that are none.
 */
export function cacheIdentities<Rest extends readonly unknown[] = []>(
  options: CacheOptions | false,
  verify: Verify<Rest>,
  validUntil: (identity: AuthContext) => number = expiryOf,
): Identify<Rest> {
  if (options === false) {
    return (credential, signal, ...rest) =>
      askDuringCall(signal, async () => verify(credential, ...rest));
  }
  const { ttl, maxSize = 10_000 } = checked(options);
  const entries = new Map<string, Entry>();
  const share = shareAnswers<AuthContext>(Math.max(maxSize, 1_000));
  const now = createSteadyClock();

  async function verifyAndKeep(key: string, credential: string, rest: Rest): Promise<AuthContext> {
    // what is revoked while it is verified passes for no longer
    const start = now();
    const identity = freezeIdentity(checkIdentity(await verify(credential, ...rest)));
    const until = Math.min(start + ttl, validUntil(identity));
    // one that hung may end after one that began later
    if (until > Math.max(now(), entries.get(key)?.until ?? 0)) {
      entries.set(key, { identity, until });
      const [oldest] = entries.keys();
      if (entries.size > maxSize && oldest !== undefined) {
        entries.delete(oldest);
      }
    }
    return identity;
  }

  return async (credential, signal, ...rest) => {
    const key = sha256(credential);
    const entry = entries.get(key);
    if (entry !== undefined) {
      entries.delete(key);
      if (entry.until > now()) {
        entries.set(key, entry); // the last ones are those that were seen last
        return entry.identity;
      }
    }
    return share(key, signal, () => verifyAndKeep(key, credential, rest));
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

function sha256(text: string): string {
  // Node 20.12; takes half the time
  return crypto.hash === undefined
    ? crypto.createHash("sha256").update(text).digest("base64url")
    : crypto.hash("sha256", text, "base64url");
}
