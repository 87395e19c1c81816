import { webcrypto } from "node:crypto";
import { decodeJwt, decodeProtectedHeader, EmbeddedJWK, jwtVerify } from "jose";
import { describe, expect, test } from "vitest";
import { createDpopSigner, type DpopKeyOptions } from "../../src/oauth/dpop-proof.js";
import { type AuthClientOptions, createAuthClient } from "../../src/oauth/index.js";

const request = { htm: "GET", htu: "https://api.test/orders" };
const now = () => new Date();

/** Makes a proof, which its own key has signed. */
async function prove(options: DpopKeyOptions, sign = createDpopSigner(options, now)) {
  const proof = await sign(request);
  const { protectedHeader } = await jwtVerify(proof, EmbeddedJWK, { typ: "dpop+jwt" });
  return protectedHeader;
}

async function generateKeyPair(
  params: { name: string; namedCurve?: string },
  extractable = false,
): Promise<CryptoKeyPair> {
  const pair = await webcrypto.subtle.generateKey(params, extractable, ["sign", "verify"]);
  if (!("privateKey" in pair)) {
    throw new Error("no pair");
  }
  return pair;
}

const p256 = { name: "ECDSA", namedCurve: "P-256" };
const ed25519 = { name: "Ed25519" };

describe("a key of its own", () => {
  test.each<{ options: DpopKeyOptions; alg: string; members: string[] }>([
    { options: {}, alg: "ES256", members: ["crv", "kty", "x", "y"] },
    { options: { algorithm: "ES256" }, alg: "ES256", members: ["crv", "kty", "x", "y"] },
    { options: { algorithm: "Ed25519" }, alg: "Ed25519", members: ["crv", "kty", "x"] },
    { options: { algorithm: "EdDSA" }, alg: "EdDSA", members: ["crv", "kty", "x"] },
  ])("of $options signs, and shows its public part only", async ({ options, alg, members }) => {
    const header = await prove(options);
    expect(header.alg).toBe(alg);
    expect(Object.keys(header.jwk ?? {}).sort()).toEqual(members);
  });

  test("serves for all proofs, and no other credential has it", async () => {
    const sign = createDpopSigner({}, now);
    const [first, second] = await Promise.all([prove({}, sign), prove({}, sign)]);
    expect(second.jwk).toEqual(first.jwk);
    expect((await prove({})).jwk).not.toEqual(first.jwk);
  });
});

describe("the key pair of a user", () => {
  test.each([
    { params: p256, algorithm: undefined, alg: "ES256" },
    { params: p256, algorithm: "ES256" as const, alg: "ES256" },
    { params: ed25519, algorithm: undefined, alg: "Ed25519" },
    { params: ed25519, algorithm: "Ed25519" as const, alg: "Ed25519" },
    { params: ed25519, algorithm: "EdDSA" as const, alg: "EdDSA" },
  ])("signs with $algorithm: $params", async ({ params, algorithm, alg }) => {
    const keyPair = await generateKeyPair(params);
    const header = await prove({ keyPair, ...(algorithm && { algorithm }) });
    expect(header.alg).toBe(alg);
    const { kty, crv, x, y } = await crypto.subtle.exportKey("jwk", keyPair.publicKey);
    expect(header.jwk).toEqual(JSON.parse(JSON.stringify({ kty, crv, x, y })));
  });

  test("shows nothing of the private key where that is extractable", async () => {
    const keyPair = await generateKeyPair(p256, true);
    const { d } = await crypto.subtle.exportKey("jwk", keyPair.privateKey);
    const sign = createDpopSigner({ keyPair }, now);
    const [header = "", payload = ""] = (await sign(request)).split(".");
    expect(d).toMatch(/^[\w-]{43}$/);
    expect(atob(header.replaceAll("-", "+").replaceAll("_", "/"))).not.toContain(d);
    expect(atob(payload.replaceAll("-", "+").replaceAll("_", "/"))).not.toContain(d);
  });

  test.each([
    {
      params: p256,
      algorithm: "Ed25519" as const,
      message: "dpop.keyPair is for ECDSA, and Ed25519 needs Ed25519",
    },
    {
      params: ed25519,
      algorithm: "ES256" as const,
      message: "dpop.keyPair is for Ed25519, and ES256 needs ECDSA",
    },
    {
      params: { name: "ECDSA", namedCurve: "P-384" },
      algorithm: undefined,
      message: "dpop.keyPair is for P-384, and ES256 needs P-256",
    },
    {
      params: { name: "X25519" },
      algorithm: undefined,
      message: "dpop.keyPair is for X25519, and Ed25519 needs Ed25519",
    },
  ])("is refused for $algorithm: $params", async ({ params, algorithm, message }) => {
    const usages: KeyUsage[] = params.name === "X25519" ? ["deriveBits"] : ["sign", "verify"];
    const keyPair = await webcrypto.subtle.generateKey(params, false, usages);
    if (!("privateKey" in keyPair)) {
      throw new Error("no pair");
    }
    const options: DpopKeyOptions = { keyPair, ...(algorithm && { algorithm }) };
    expect(() => createDpopSigner(options, now)).toThrow(new TypeError(message));
  });
});

test.each([
  { dpop: { algorithm: "HS256" }, message: 'dpop.algorithm "HS256" must be ES256 or Ed25519' },
  { dpop: { algorithm: "none" }, message: 'dpop.algorithm "none" must be ES256 or Ed25519' },
  { dpop: { key: 1 }, message: 'dpop has no option "key"; there are algorithm, keyPair' },
  { dpop: "ES256", message: "dpop takes an object of options" },
])("rejects $dpop", ({ dpop, message }) => {
  const options = { issuer: "https://a.test", clientId: "a", clientSecret: "b" };
  const make = () => createAuthClient(Object.assign<AuthClientOptions, object>(options, { dpop }));
  expect(make).toThrow(new TypeError(message));
});

describe("ath", () => {
  test("is that of the token, whichever came before and run beside it", async () => {
    const sign = createDpopSigner({}, now);
    const prove = async (accessToken: string) => {
      const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(accessToken));
      const { ath } = decodeJwt(await sign({ ...request, accessToken }));
      expect(ath).toBe(Buffer.from(hash).toString("base64url"));
    };
    for (const token of ["a", "b", "b", "a"]) {
      await prove(token);
    }
    await Promise.all(Array.from({ length: 50 }, (_, i) => prove(`token-${i % 5}`)));
  });

  test("is left out without a token", async () => {
    const sign = createDpopSigner({}, now);
    await sign({ ...request, accessToken: "token" });
    expect(decodeJwt(await sign(request))).not.toHaveProperty("ath");
  });
});

test("iat is the time of the given clock", async () => {
  const proof = await createDpopSigner({}, () => new Date(1_700_000_000_999))(request);
  expect(decodeJwt(proof).iat).toBe(1_700_000_000);
});

test("letters beyond ASCII survive", async () => {
  const htu = "https://api.test/größe/注文";
  const proof = await createDpopSigner({}, now)({ ...request, htu });
  expect(decodeJwt(proof).htu).toBe(htu);
  expect(decodeProtectedHeader(proof).typ).toBe("dpop+jwt");
});
