import { errors, type JWTVerifyGetKey } from "jose";
import { isLoopback } from "../loopback.js";
import { createSteadyClock } from "../steady-clock.js";
import { type FetchedKeySet, fetchKeySet } from "./fetch-key-set.js";
import { cannotVerify } from "./refusal.js";

const refreshAfterMs = 10 * 60_000;
const waitAfterMs = 20 * 60_000;
const cooldownMs = 30_000;

/**
 * The keys at a JWKS URL (RFC 7517 §5). They are fetched when the first token
 * comes, again for an unknown key (at most every 30 s), and in the background
 * when they are 10 minutes old. Where no call came for 20 minutes, the next
 * one waits for them: a key may have been withdrawn meanwhile.
 *
 * What is there goes on working while the URL does not answer, or answers with
 * something that is no key set (`fetchKeySet`). Without any keys, or for an
 * unknown one, a failing URL is `Unavailable`, and is asked again after a
 * backoff of 1 s × 1.6ⁿ, ±20 %, at most 120 s.
 *
 * A key is found by `kid` and `alg`. Where several fit, none is taken.
 *
 * Throws `TypeError` where `jwksUri` is no https URL (http only on loopback).
 */
export function createKeySet(jwksUri: string): JWTVerifyGetKey {
  const url = parseJwksUri(jwksUri);
  // a query may hold a key
  const shown = `${url.origin}${url.pathname}`;
  const now = createSteadyClock();
  let known: JWTVerifyGetKey | undefined;
  let fetchedAt = 0;
  let failures = 0;
  let failure = "";
  let retryAt = 0;
  let pending: Promise<FetchedKeySet> | undefined;

  async function load(): Promise<FetchedKeySet> {
    const fetched = await fetchKeySet(url);
    pending = undefined;
    if (fetched.keys === undefined) {
      failure = fetched.failure;
      const backoffMs = 1000 * 1.6 ** failures * (0.8 + Math.random() * 0.4);
      failures += 1;
      retryAt = now() + Math.min(backoffMs, 120_000);
    } else {
      known = fetched.keys;
      fetchedAt = now();
      failures = 0;
    }
    return fetched;
  }

  async function loadOrThrow(): Promise<JWTVerifyGetKey> {
    if (now() < retryAt) {
      throw cannotVerify(`${shown}: ${failure}, and is not asked again yet`);
    }
    pending ??= load();
    const { keys } = await pending;
    if (keys === undefined) {
      throw cannotVerify(`${shown}: ${failure}`);
    }
    return keys;
  }

  /** What there is, after asking for more where it is old. */
  async function refreshed(keys: JWTVerifyGetKey): Promise<JWTVerifyGetKey> {
    if (now() - fetchedAt < refreshAfterMs || now() < retryAt) {
      return keys;
    }
    const isForgotten = now() - Math.max(fetchedAt, retryAt) > waitAfterMs;
    pending ??= load();
    return isForgotten ? ((await pending).keys ?? keys) : keys;
  }

  return async (header, token) => {
    const keys = await (known === undefined ? loadOrThrow() : refreshed(known));
    try {
      return await keys(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) {
        throw error;
      }
    }
    // others may have come while this one was looking
    const isCooling = now() - fetchedAt < cooldownMs;
    const newer = isCooling ? (known ?? keys) : await loadOrThrow();
    return newer(header, token);
  };
}

function parseJwksUri(jwksUri: string): URL {
  let url: URL | undefined;
  try {
    url = new URL(jwksUri);
  } catch {
    // said below
  }
  if (url?.username || url?.password) {
    throw new TypeError("jwksUri must have no user name and password: they are not sent");
  }
  if (url?.protocol !== "https:" && !(url?.protocol === "http:" && isLoopback(url))) {
    // what stands before "@" or in a query may be secret
    const shown = String(jwksUri)
      .replace(/[?#].*$/s, "")
      .replace(/^.*@/s, "");
    throw new TypeError(
      `jwksUri ${JSON.stringify(shown)} must be an https URL (http only on loopback)`,
    );
  }
  return url;
}
