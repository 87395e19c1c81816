import { createRemoteJWKSet, customFetch, type JWTVerifyGetKey } from "jose";
import { isLoopback } from "../loopback.js";
import { cannotVerify } from "./refusal.js";

const maxAgeMs = 10 * 60_000;
const maxBytes = 50 * 1024;
const firstBackoffMs = 1_000;
const maxBackoffMs = 120_000;

/**
 * The keys at a JWKS URL (RFC 7517 §5). They are fetched when the first token
 * comes, again for an unknown key (at most every 30 s), and every 10 minutes
 * in the background. What is there goes on working while the URL does not
 * answer, or answers with something that is no key set: 50 KiB at most, not
 * empty, no redirect. Without any keys, or for an unknown one, a failing URL is
 * `Unavailable`, and is asked again after a backoff.
 *
 * Throws `TypeError` where `jwksUri` is no https URL (http only on loopback).
 */
export function createKeySet(jwksUri: string): JWTVerifyGetKey {
  const url = parseJwksUri(jwksUri);
  // a query may hold a key
  const shown = `${url.origin}${url.pathname}`;
  let fetchedAt = 0;
  let failures = 0;
  let retryAt = 0;

  const keys = createRemoteJWKSet(url, {
    cacheMaxAge: Number.POSITIVE_INFINITY,
    [customFetch]: async (resource, init) => {
      if (Date.now() < retryAt) {
        throw cannotVerify(`${shown} failed and is not asked again yet`);
      }
      try {
        const response = await fetch(resource, init);
        const body = await readKeySet(response);
        failures = 0;
        fetchedAt = Date.now();
        return new Response(body);
      } catch (error) {
        const backoff = Math.min(firstBackoffMs * 1.6 ** failures, maxBackoffMs);
        failures += 1;
        retryAt = Date.now() + backoff * (0.8 + 0.4 * Math.random());
        const reason = error instanceof Error ? error.message : "unknown failure";
        throw cannotVerify(`${shown}: ${reason}`);
      }
    },
  });

  return (header, token) => {
    if (keys.jwks() !== undefined && Date.now() - fetchedAt > maxAgeMs && !keys.reloading) {
      // in the background: the keys at hand serve until it is done
      keys.reload().catch(() => {});
    }
    return keys(header, token);
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
    throw new TypeError(
      `jwksUri ${JSON.stringify(jwksUri)} must be an https URL (http only on loopback)`,
    );
  }
  return url;
}

async function readKeySet(response: Response): Promise<string> {
  if (response.status !== 200) {
    await response.body?.cancel();
    throw new Error(`status ${response.status}`);
  }
  const text = await readLimited(response);
  if (!isKeySet(text)) {
    throw new Error("no key set");
  }
  return text;
}

/** Whether it has a key that signatures can be verified with. An empty set would lock everybody out. */
function isKeySet(text: string): boolean {
  try {
    const { keys }: { keys?: unknown } = JSON.parse(text) ?? {};
    return (
      Array.isArray(keys) &&
      keys.every((key: unknown) => typeof key === "object" && key !== null) &&
      keys.some(({ kty }: { kty?: unknown }) => ["RSA", "EC", "OKP"].includes(String(kty)))
    );
  } catch {
    return false;
  }
}

async function readLimited(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.byteLength;
    if (size > maxBytes) {
      throw new Error(`more than ${maxBytes} bytes`); // leaving the loop cancels the body
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}
