import { createLocalJWKSet, type JWK, type JWTVerifyGetKey } from "jose";
import { isRedirect, networkReason, parseJsonObject, readText } from "../http-answer.js";

const maxBytes = 50 * 1024;
const timeoutMs = 5_000;

/** The keys at a URL, or why there are none. */
export type FetchedKeySet =
  | { readonly keys: JWTVerifyGetKey; readonly failure?: never }
  | { readonly keys?: never; readonly failure: string };

/**
 * Asks a URL for a JSON Web Key Set (RFC 7517 §5). It never rejects. The whole
 * answer must be there within 5 s, be the one of that URL and not of another
 * that it redirects to, have 50 KiB at most, and hold a key that tokens can be
 * signed with: an empty set would lock everybody out.
 */
export async function fetchKeySet(url: URL): Promise<FetchedKeySet> {
  const signal = AbortSignal.timeout(timeoutMs);
  try {
    const response = await fetch(url, {
      headers: { accept: "application/jwk-set+json, application/json" },
      redirect: "manual",
      signal,
    });
    if (response.status !== 200) {
      await response.body?.cancel();
      const { status } = response;
      return {
        failure: isRedirect(response) ? `redirects (status ${status})` : `status ${status}`,
      };
    }
    const text = await readText(response, maxBytes);
    if (text === undefined) {
      return { failure: `more than ${maxBytes} bytes` };
    }
    const keys = readKeySet(text);
    return keys === undefined ? { failure: "no key set" } : { keys };
  } catch (error) {
    return {
      failure: signal.aborted
        ? `no answer within ${timeoutMs / 1000} s`
        : `no answer${networkReason(error)}`,
    };
  }
}

function readKeySet(text: string): JWTVerifyGetKey | undefined {
  const { keys } = parseJsonObject(text) ?? {};
  const usable = Array.isArray(keys) ? keys.filter(isVerificationKey) : [];
  try {
    return usable.length === 0 ? undefined : createLocalJWKSet({ keys: usable });
  } catch {
    return undefined; // nested too deep to be copied
  }
}

/** RFC 7517 §5: others that the set has are left out, and do not spoil it. */
function isVerificationKey(key: unknown): key is JWK {
  const { kty, use = "sig" }: { kty?: unknown; use?: unknown } = Object(key);
  return (kty === "RSA" || kty === "EC" || kty === "OKP") && use === "sig";
}
