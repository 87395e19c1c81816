import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { Code, ConnectError } from "@connectrpc/connect";
import type { JWK, JWTVerifyGetKey } from "jose";
import { expect } from "vitest";
import { resolveJwtKeys } from "../../src/server/jwt-keys.js";
import { verifyJwt } from "../../src/server/verify-jwt.js";
import { now, signToken } from "./signed-tokens.js";

/** A key of an issuer, with its name in the key set. */
export interface IssuerKey {
  readonly kid: string;
  readonly privateKey: KeyObject;
  /** The public part, as the key set has it. */
  readonly jwk: JWK;
}

/** Makes one for ES256. */
export function createIssuerKey(kid: string): IssuerKey {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return { kid, privateKey, jwk: { ...publicKey.export({ format: "jwk" }), kid } };
}

/** A key set with the public parts. */
export function keySetOf(...keys: readonly IssuerKey[]): { readonly keys: readonly JWK[] } {
  return { keys: keys.map(({ jwk }) => jwk) };
}

/** A token that is valid for a day. `header` replaces members of the header. */
export function tokenBy(key: IssuerKey, header: Readonly<Record<string, unknown>> = {}): string {
  return signToken({
    header: { alg: "ES256", kid: key.kid, ...header },
    payload: { sub: "alice", exp: now + 86_400 },
    key: key.privateKey,
  });
}

const { algorithms } = resolveJwtKeys({ jwksUri: "https://issuer.test/jwks" });

/** What comes of a token: `ok`, or the code of the refusal and why. */
export async function outcomeOf(key: JWTVerifyGetKey, token: string): Promise<string> {
  try {
    await verifyJwt(token, { key, algorithms }, { clockToleranceSeconds: 5 });
    return "ok";
  } catch (error) {
    expect.assert(error instanceof ConnectError && error.cause instanceof Error);
    expect(error.rawMessage).toBe(
      error.code === Code.Unavailable
        ? "credentials cannot be verified at the moment"
        : "invalid token",
    );
    return `${Code[error.code]}: ${error.cause.message}`;
  }
}

/** For a key that is not in the set. */
export const unknownKey = "Unauthenticated: token: no applicable key found in the JSON Web Key Set";
