import {
  createPublicKey,
  sign as cryptoSign,
  generateKeyPairSync,
  type KeyObject,
} from "node:crypto";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { JwtAuthInterceptorOptions } from "../../src/server/index.js";
import {
  acceptedClaims,
  acceptedHeader,
  audience,
  identify,
  issuer,
  issuerKeys,
  now,
  reasonOf,
  segment,
  signature,
  signToken,
} from "../support/signed-tokens.js";

const rsaKeys = generateKeyPairSync("rsa", { modulusLength: 2048 });
const p384Keys = generateKeyPairSync("ec", { namedCurve: "P-384" });
const edKeys = generateKeyPairSync("ed25519");
const secret = "a secret of tests, which has at least sixty-four bytes, and some more";
const secretKey = Buffer.from(secret);

const unverified = "token: signature verification failed";
const otherAlg = 'token: "alg" (Algorithm) Header Parameter value not allowed';

beforeEach(() => {
  vi.useFakeTimers({ now: now * 1000, toFake: ["Date"] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** Accepts what one kind of key has signed. */
type Keys = Pick<JwtAuthInterceptorOptions, "publicKey" | "secret" | "algorithms">;
const accepting = (keys: Keys): JwtAuthInterceptorOptions => ({ ...keys, issuer, audience });

/** A token of this algorithm, signed with this key, whatever the header says. */
function tokenOf(alg: string, key: KeyObject | Uint8Array, headerAlg = alg): string {
  return signToken({ header: { ...acceptedHeader, alg: headerAlg }, alg, key });
}

/** The accepted token with another signature. */
function signedBy(change: (input: string) => Uint8Array): string {
  const input = `${segment(acceptedHeader)}.${segment(acceptedClaims)}`;
  return `${input}.${Buffer.from(change(input)).toString("base64url")}`;
}

describe("a signature is accepted", () => {
  test.each<{ alg: string; key: KeyObject | Uint8Array; keys: Keys }>([
    { alg: "ES256", key: issuerKeys.privateKey, keys: { publicKey: issuerKeys.publicKey } },
    { alg: "ES384", key: p384Keys.privateKey, keys: { publicKey: p384Keys.publicKey } },
    { alg: "RS256", key: rsaKeys.privateKey, keys: { publicKey: rsaKeys.publicKey } },
    { alg: "PS256", key: rsaKeys.privateKey, keys: { publicKey: rsaKeys.publicKey } },
    { alg: "EdDSA", key: edKeys.privateKey, keys: { publicKey: edKeys.publicKey } },
    { alg: "HS256", key: secretKey, keys: { secret } },
    { alg: "HS512", key: secretKey, keys: { secret, algorithms: ["HS512"] } },
  ])("of $alg", async ({ alg, key, keys }) => {
    expect(await identify(tokenOf(alg, key), accepting(keys))).toMatchObject({ subject: "alice" });
  });
});

describe("a signature is refused", () => {
  const half = Buffer.alloc(32);
  // SEC 2 §2.4.2
  const order = Buffer.from(
    "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
    "hex",
  );
  const raw = (input: string) => signature("ES256", issuerKeys.privateKey, input);
  const other = generateKeyPairSync("ec", { namedCurve: "P-256" });

  test.each<{ name: string; change: (input: string) => Uint8Array }>([
    {
      name: "in DER",
      change: (input) => cryptoSign("sha256", Buffer.from(input), issuerKeys.privateKey),
    },
    { name: "of zeros", change: () => Buffer.concat([half, half]) },
    { name: "whose r is zero", change: (input) => Buffer.concat([half, raw(input).subarray(32)]) },
    {
      name: "whose s is zero",
      change: (input) => Buffer.concat([raw(input).subarray(0, 32), half]),
    },
    { name: "whose r and s are the order", change: () => Buffer.concat([order, order]) },
    { name: "of one byte", change: () => Buffer.from([1]) },
    { name: "without its last byte", change: (input) => raw(input).subarray(0, 63) },
    {
      name: "with one byte more",
      change: (input) => Buffer.concat([raw(input), Buffer.from([0])]),
    },
    { name: "twice", change: (input) => Buffer.concat([raw(input), raw(input)]) },
    {
      name: "with r and s exchanged",
      change: (input) => Buffer.concat([raw(input).subarray(32), raw(input).subarray(0, 32)]),
    },
    { name: "of another key", change: (input) => signature("ES256", other.privateKey, input) },
    { name: "of the payload alone", change: (input) => raw(input.split(".")[1] ?? "") },
    {
      name: "of the parts the other way round",
      change: (input) => raw(input.split(".").reverse().join(".")),
    },
    {
      name: "of the parts before they were encoded",
      change: () => raw(`${JSON.stringify(acceptedHeader)}.${JSON.stringify(acceptedClaims)}`),
    },
    {
      name: "of another hash",
      change: (input) =>
        cryptoSign("sha384", Buffer.from(input), {
          key: issuerKeys.privateKey,
          dsaEncoding: "ieee-p1363",
        }),
    },
    { name: "of a secret of zeros", change: (input) => signature("HS256", half, input) },
  ])("$name", async ({ change }) => {
    expect(await reasonOf(signedBy(change))).toBe(unverified);
  });

  test.each([0, 1])("when part %d is another", async (index) => {
    const parts = signToken().split(".");
    parts[index] = segment({ ...acceptedHeader, ...acceptedClaims, sub: "mallory" });
    expect(await reasonOf(parts.join("."))).toBe(unverified);
  });

  test("of another token of the same key", async () => {
    const theirs = signToken({ payload: { ...acceptedClaims, sub: "bob" } });
    const [header, payload] = signToken().split(".");
    expect(await reasonOf(`${header}.${payload}.${theirs.split(".")[2]}`)).toBe(unverified);
  });
});

describe("a key of one kind does not count as another:", () => {
  const jwkOf = (key: KeyObject) => Buffer.from(JSON.stringify(key.export({ format: "jwk" })));
  const spki = (key: KeyObject) => key.export({ type: "spki", format: "der" });
  const pem = (key: KeyObject) => Buffer.from(key.export({ type: "spki", format: "pem" }));

  /** CVE-2015-9235: whoever knows the public key would know the secret. */
  const asSecrets = [
    { kind: "P-256", publicKey: issuerKeys.publicKey },
    { kind: "RSA", publicKey: rsaKeys.publicKey },
    { kind: "Ed25519", publicKey: edKeys.publicKey },
  ].flatMap(({ kind, publicKey }) => [
    { name: `${kind} in PEM`, publicKey, bytes: pem(publicKey) },
    { name: `${kind} in PEM, trimmed`, publicKey, bytes: Buffer.from(`${pem(publicKey)}`.trim()) },
    { name: `${kind} in DER`, publicKey, bytes: spki(publicKey) },
    { name: `${kind} as a JWK`, publicKey, bytes: jwkOf(publicKey) },
    {
      name: `${kind} in its bytes`,
      publicKey,
      bytes: Buffer.from(
        publicKey.export({ format: "jwk" }).x ?? publicKey.export({ format: "jwk" }).n ?? "",
        "base64url",
      ),
    },
  ]);

  test.each(asSecrets)("$name as a secret", async ({ publicKey, bytes }) => {
    for (const alg of ["HS256", "HS384", "HS512"]) {
      expect(await reasonOf(tokenOf(alg, bytes), accepting({ publicKey }))).toBe(otherAlg);
    }
  });

  test("a secret of PKCS #1 in PEM", async () => {
    const { publicKey } = rsaKeys;
    const bytes = Buffer.from(publicKey.export({ type: "pkcs1", format: "pem" }));
    expect(await reasonOf(tokenOf("HS256", bytes), accepting({ publicKey }))).toBe(otherAlg);
  });

  test.each<{ name: string; token: string; keys: Keys; reason: string }>([
    {
      name: "RSA for P-256",
      token: tokenOf("RS256", rsaKeys.privateKey),
      keys: { publicKey: issuerKeys.publicKey },
      reason: otherAlg,
    },
    {
      name: "P-256 for RSA",
      token: tokenOf("ES256", issuerKeys.privateKey),
      keys: { publicKey: rsaKeys.publicKey },
      reason: otherAlg,
    },
    {
      name: "P-384 for P-256",
      token: tokenOf("ES384", p384Keys.privateKey),
      keys: { publicKey: issuerKeys.publicKey },
      reason: otherAlg,
    },
    {
      name: "P-384 for P-256, under its name",
      token: tokenOf("ES384", p384Keys.privateKey, "ES256"),
      keys: { publicKey: issuerKeys.publicKey },
      reason: unverified,
    },
    {
      name: "Ed25519 for P-256",
      token: tokenOf("EdDSA", edKeys.privateKey),
      keys: { publicKey: issuerKeys.publicKey },
      reason: otherAlg,
    },
    {
      name: "RS256 for PS256",
      token: tokenOf("RS256", rsaKeys.privateKey),
      keys: { publicKey: rsaKeys.publicKey, algorithms: ["PS256"] },
      reason: otherAlg,
    },
    {
      name: "RS256 for PS256, under its name",
      token: tokenOf("RS256", rsaKeys.privateKey, "PS256"),
      keys: { publicKey: rsaKeys.publicKey, algorithms: ["PS256"] },
      reason: unverified,
    },
    {
      name: "RS256 for RS512, under its name",
      token: tokenOf("RS256", rsaKeys.privateKey, "RS512"),
      keys: { publicKey: rsaKeys.publicKey },
      reason: unverified,
    },
    {
      name: "RSA for a secret",
      token: tokenOf("RS256", rsaKeys.privateKey),
      keys: { secret },
      reason: otherAlg,
    },
    {
      name: "another secret",
      token: tokenOf("HS256", Buffer.from("another secret of tests, as long as it has to be")),
      keys: { secret },
      reason: unverified,
    },
    {
      name: "an empty secret",
      token: tokenOf("HS256", new Uint8Array()),
      keys: { secret },
      reason: unverified,
    },
    {
      name: "a secret with a line break",
      token: tokenOf("HS256", Buffer.from(`${secret}\n`)),
      keys: { secret },
      reason: unverified,
    },
    {
      name: "HS512 where HS256 is the default",
      token: tokenOf("HS512", secretKey),
      keys: { secret },
      reason: otherAlg,
    },
    {
      name: "HS512 as HS256",
      token: tokenOf("HS512", secretKey, "HS256"),
      keys: { secret },
      reason: unverified,
    },
  ])("$name", async ({ token, keys, reason }) => {
    expect(await reasonOf(token, accepting(keys))).toBe(reason);
  });

  test("half of an HMAC", async () => {
    const token = tokenOf("HS256", secretKey);
    const [header, payload, mac = ""] = token.split(".");
    const half = Buffer.from(mac, "base64url").subarray(0, 16).toString("base64url");
    expect(await reasonOf(`${header}.${payload}.${half}`, accepting({ secret }))).toBe(unverified);
  });
});

describe("a key that a token brings does not count", () => {
  const own = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const jwk = own.publicKey.export({ format: "jwk" });

  test.each<{ name: string; header: object }>([
    { name: "in jwk", header: { jwk } },
    {
      name: "in x5c",
      header: { x5c: [own.publicKey.export({ type: "spki", format: "der" }).toString("base64")] },
    },
    {
      name: "in a jwk of a private key",
      header: { jwk: own.privateKey.export({ format: "jwk" }) },
    },
    { name: "at jku", header: { jku: "https://mallory.test/jwks" } },
    { name: "at x5u", header: { x5u: "https://mallory.test/chain.pem" } },
    { name: "as its kid", header: { kid: JSON.stringify(jwk) } },
  ])("$name", async ({ header }) => {
    const token = signToken({ header: { ...acceptedHeader, ...header }, key: own.privateKey });
    expect(await reasonOf(token)).toBe(unverified);
  });

  test("and does no harm beside a good signature", async () => {
    const token = signToken({ header: { ...acceptedHeader, jwk } });
    expect(await identify(token)).toMatchObject({ subject: "alice" });
    expect(createPublicKey({ key: jwk, format: "jwk" }).equals(issuerKeys.publicKey)).toBe(false);
  });
});
