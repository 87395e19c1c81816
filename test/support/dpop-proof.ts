import { createHash, randomUUID } from "node:crypto";
import {
  type CryptoKey,
  calculateJwkThumbprint,
  exportJWK,
  generateKeyPair,
  type JWK,
  SignJWT,
} from "jose";

/** The key pair of a client. */
export interface DpopKeys {
  readonly alg: string;
  readonly privateKey: CryptoKey;
  readonly jwk: JWK;
  readonly jkt: string;
}

export async function createDpopKeys(alg = "ES256"): Promise<DpopKeys> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  const jwk = await exportJWK(publicKey);
  return { alg, privateKey, jwk, jkt: await calculateJwkThumbprint(jwk) };
}

/** What differs from a good proof. `undefined` removes a member. */
export interface DpopProofInit {
  readonly header?: Record<string, unknown>;
  readonly claims?: Record<string, unknown>;
}

/** Signs a proof (RFC 9449 §4.2) that was made now, whatever `init` says. */
export function signDpopProof(
  keys: DpopKeys,
  { header, claims }: DpopProofInit,
  token?: string,
): Promise<string> {
  const ath = token && createHash("sha256").update(token).digest("base64url");
  const iat = Math.floor(Date.now() / 1000);
  const payload = JSON.parse(JSON.stringify({ jti: randomUUID(), iat, ath, ...claims }));
  return new SignJWT(payload)
    .setProtectedHeader({ typ: "dpop+jwt", alg: keys.alg, jwk: keys.jwk, ...header })
    .sign(keys.privateKey);
}
