import {
  constants,
  createHmac,
  sign as cryptoSign,
  generateKeyPairSync,
  type KeyObject,
} from "node:crypto";
import { inspect } from "node:util";
import { Code, ConnectError } from "@connectrpc/connect";
import { expect } from "vitest";
import {
  type AuthContext,
  createJwtAuthInterceptor,
  type JwtAuthInterceptorOptions,
} from "../../src/server/index.js";
import { incomingCall } from "./incoming-call.js";

/** Seconds since 1970, the time of the tests. */
export const now = 1_800_000_000;
export const issuer = "https://issuer.test/";
export const audience = "https://api.test";

/** Of the issuer. */
export const issuerKeys: { readonly publicKey: KeyObject; readonly privateKey: KeyObject } =
  generateKeyPairSync("ec", { namedCurve: "P-256" });

/** Accepts the tokens of `signToken()`. */
export const acceptingOptions: JwtAuthInterceptorOptions = {
  publicKey: issuerKeys.publicKey,
  issuer,
  audience,
};

export const acceptedHeader = { alg: "ES256", typ: "at+jwt" };
export const acceptedClaims = {
  iss: issuer,
  aud: audience,
  sub: "alice",
  exp: now + 60,
  nbf: now - 60,
  iat: now - 60,
};

/** A part of a token: JSON, unless it is a text or bytes. */
export type Part = string | Uint8Array | object | null;

/** What stands in a token, and who signs it. By default one that is accepted. */
export interface TokenParts {
  readonly header?: Part;
  readonly payload?: Part;
  readonly alg?: string;
  readonly key?: KeyObject | Uint8Array;
}

/** Signs anything, without the checks of a library. */
export function signToken(parts: TokenParts = {}): string {
  const { header = acceptedHeader, payload = acceptedClaims } = parts;
  const { alg = "ES256", key = issuerKeys.privateKey } = parts;
  const input = `${segment(header)}.${segment(payload)}`;
  return `${input}.${signature(alg, key, input).toString("base64url")}`;
}

/** One segment of a token. */
export function segment(part: Part): string {
  const isText = typeof part === "string" || part instanceof Uint8Array;
  return Buffer.from(isText ? part : JSON.stringify(part)).toString("base64url");
}

/** A signature as RFC 7518 §3 wants it. `alg` decides, and not the header. */
export function signature(alg: string, key: KeyObject | Uint8Array, input: string): Buffer {
  const data = Buffer.from(input);
  const hash = `sha${alg.slice(2)}`;
  if (key instanceof Uint8Array) {
    return createHmac(hash, key).update(data).digest();
  }
  switch (alg.slice(0, 2)) {
    case "ES":
      return cryptoSign(hash, data, { key, dsaEncoding: "ieee-p1363" });
    case "RS":
      return cryptoSign(hash, data, key);
    case "PS": {
      const padding = constants.RSA_PKCS1_PSS_PADDING;
      return cryptoSign(hash, data, { key, padding, saltLength: Number(alg.slice(2)) / 8 });
    }
    default:
      return cryptoSign(null, data, key);
  }
}

/** Who a token stands for. */
export function identify(
  token: string,
  options: JwtAuthInterceptorOptions = acceptingOptions,
): Promise<AuthContext | undefined> {
  const call = incomingCall({ authorization: `Bearer ${token}` });
  return createJwtAuthInterceptor(options).authenticate(call);
}

/**
 * Why a token is refused, as the log of the server says. That the client is
 * told no more than "invalid token", and that nobody sees the token, is checked.
 */
export async function reasonOf(
  token: string,
  options: JwtAuthInterceptorOptions = acceptingOptions,
): Promise<string> {
  const error = await identify(token, options).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect.assert(error instanceof ConnectError);
  expect(error).toMatchObject({
    code: Code.Unauthenticated,
    rawMessage: "invalid token",
    details: [],
  });
  expect([...error.metadata]).toEqual([["www-authenticate", 'Bearer error="invalid_token"']]);
  expect.assert(error.cause instanceof Error);
  const shown = inspect(error, { depth: 10, maxStringLength: null });
  for (const part of token.split(".").filter(({ length }) => length > 20)) {
    expect(shown).not.toContain(part);
  }
  return error.cause.message;
}
