import { createSecretKey, generateKeyPairSync, type KeyObject, type webcrypto } from "node:crypto";
import { describe, expect, test } from "vitest";
import { type JwtKeyOptions, resolveJwtKeys } from "../../src/server/jwt-keys.js";

const rsa = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];
const asymmetric = [...rsa, "ES256", "ES384", "ES512", "EdDSA", "Ed25519"];
const usedWith = (what: string, algorithms: readonly string[]) =>
  `must be of those that ${what} is used with: ${algorithms.join(", ")}`;

const p256 = generateKeyPairSync("ec", { namedCurve: "P-256" });
const rsa2048 = generateKeyPairSync("rsa", { modulusLength: 2048 });

type Algorithm = webcrypto.EcKeyGenParams | webcrypto.RsaHashedKeyGenParams | { name: "Ed25519" };

async function cryptoKeys(algorithm: Algorithm, usages: webcrypto.KeyUsage[] = ["sign", "verify"]) {
  const pair = await crypto.subtle.generateKey(algorithm, true, usages);
  return pair as CryptoKeyPair;
}

const rsaParams = (name: string, hash: string, modulusLength = 2048): Algorithm => ({
  name,
  hash,
  modulusLength,
  publicExponent: new Uint8Array([1, 0, 1]),
});

/** Without the types, as options from a file would be. */
function untyped(options: Readonly<Record<string, unknown>>): JwtKeyOptions {
  return options;
}

describe("resolveJwtKeys accepts", () => {
  test.each<{ name: string; publicKey: KeyObject; want: readonly string[] }>([
    { name: "RSA", publicKey: rsa2048.publicKey, want: rsa },
    { name: "P-256", publicKey: p256.publicKey, want: ["ES256"] },
    {
      name: "P-384",
      publicKey: generateKeyPairSync("ec", { namedCurve: "P-384" }).publicKey,
      want: ["ES384"],
    },
    {
      name: "P-521",
      publicKey: generateKeyPairSync("ec", { namedCurve: "P-521" }).publicKey,
      want: ["ES512"],
    },
    {
      name: "Ed25519",
      publicKey: generateKeyPairSync("ed25519").publicKey,
      want: ["EdDSA", "Ed25519"],
    },
  ])("a KeyObject of $name, for all that it can sign", ({ publicKey, want }) => {
    expect(resolveJwtKeys({ publicKey })).toEqual({ key: publicKey, algorithms: want });
  });

  test.each<{ name: string; algorithm: Algorithm; want: readonly string[] }>([
    { name: "PS384", algorithm: rsaParams("RSA-PSS", "SHA-384"), want: ["PS384"] },
    { name: "RS512", algorithm: rsaParams("RSASSA-PKCS1-v1_5", "SHA-512"), want: ["RS512"] },
    { name: "ES256", algorithm: { name: "ECDSA", namedCurve: "P-256" }, want: ["ES256"] },
    { name: "Ed25519", algorithm: { name: "Ed25519" }, want: ["EdDSA", "Ed25519"] },
  ])("a CryptoKey of $name, for nothing else", async ({ algorithm, want }) => {
    const { publicKey } = await cryptoKeys(algorithm);
    expect(resolveJwtKeys({ publicKey })).toEqual({ key: publicKey, algorithms: want });
  });

  test.each([
    { algorithms: undefined, bytes: 32, want: ["HS256"] },
    { algorithms: ["HS256"], bytes: 32, want: ["HS256"] },
    { algorithms: ["HS384"], bytes: 48, want: ["HS384"] },
    { algorithms: ["HS512"], bytes: 64, want: ["HS512"] },
    { algorithms: ["HS256", "HS512"], bytes: 64, want: ["HS256", "HS512"] },
  ])("a secret of $bytes bytes for $algorithms", ({ algorithms, bytes, want }) => {
    const secret = "s".repeat(bytes);
    const keys = resolveJwtKeys({ secret, ...(algorithms && { algorithms }) });
    expect(keys).toEqual({ key: new TextEncoder().encode(secret), algorithms: want });
  });

  test("a secret by its bytes, not by its characters", () => {
    const secret = "é".repeat(16);
    expect(resolveJwtKeys({ secret }).key).toHaveLength(32);
  });

  test.each([
    "https://issuer.test/jwks?a=b",
    "http://localhost:8080/jwks",
    "http://keys.localhost/jwks",
    "http://127.0.0.1/jwks",
    "http://[::1]/jwks",
  ])("a key set at %s, and asks for it only when a token comes", (jwksUri) => {
    expect(resolveJwtKeys({ jwksUri })).toEqual({
      key: expect.any(Function),
      algorithms: asymmetric,
    });
  });

  test("algorithms that somebody changes later, as they were", () => {
    const algorithms = ["ES256"];
    const keys = resolveJwtKeys({ publicKey: p256.publicKey, algorithms });
    algorithms.push("none");
    expect(keys.algorithms).toEqual(["ES256"]);
  });
});

describe("resolveJwtKeys rejects", () => {
  const exactlyOne = "exactly one of jwksUri, secret and publicKey must be given";
  const secret = "s".repeat(64);
  const jwksUri = "https://issuer.test/jwks";
  const { publicKey } = p256;

  test.each<{ name: string; options: JwtKeyOptions }>([
    { name: "nothing", options: {} },
    { name: "a secret and a key set", options: { secret, jwksUri } },
    { name: "a key and a key set", options: { publicKey, jwksUri } },
    { name: "all three", options: { secret, publicKey, jwksUri } },
    { name: "null and a secret", options: untyped({ secret, publicKey: null }) },
  ])("$name", ({ options }) => {
    expect(() => resolveJwtKeys(options)).toThrow(new TypeError(exactlyOne));
  });

  test.each([
    { algorithm: "HS256", bytes: 31, needs: 32 },
    { algorithm: "HS384", bytes: 47, needs: 48 },
    { algorithm: "HS512", bytes: 63, needs: 64 },
  ])("a secret of $bytes bytes for $algorithm", ({ algorithm, bytes, needs }) => {
    const options = { secret: "s".repeat(bytes), algorithms: [algorithm] };
    expect(() => resolveJwtKeys(options)).toThrow(
      new TypeError(
        `secret has ${bytes} bytes, ${algorithm} needs at least ${needs} (RFC 7518 §3.2)`,
      ),
    );
  });

  test.each<{ name: string; options: JwtKeyOptions; message: string }>([
    {
      name: "a secret with an algorithm of keys beside its own",
      options: { secret, algorithms: ["HS256", "ES256"] },
      message: `algorithms ["HS256","ES256"] ${usedWith("a secret", ["HS256", "HS384", "HS512"])}`,
    },
    {
      name: "a key set with an algorithm of secrets beside others",
      options: { jwksUri, algorithms: ["RS256", "HS256"] },
      message: `algorithms ["RS256","HS256"] ${usedWith("a key set", asymmetric)}`,
    },
    {
      name: "a key with an algorithm of secrets beside its own",
      options: { publicKey: rsa2048.publicKey, algorithms: ["RS256", "HS256"] },
      message: `algorithms ["RS256","HS256"] ${usedWith("this publicKey", rsa)}`,
    },
    {
      name: "RSA with an algorithm of curves",
      options: { publicKey: rsa2048.publicKey, algorithms: ["ES256"] },
      message: `algorithms ["ES256"] ${usedWith("this publicKey", rsa)}`,
    },
    {
      name: "P-256 with the algorithm of another curve",
      options: { publicKey, algorithms: ["ES384"] },
      message: `algorithms ["ES384"] ${usedWith("this publicKey", ["ES256"])}`,
    },
    {
      name: "an algorithm in lower case",
      options: { publicKey, algorithms: ["es256"] },
      message: `algorithms ["es256"] ${usedWith("this publicKey", ["ES256"])}`,
    },
    {
      name: "none among others",
      options: { jwksUri, algorithms: ["ES256", "none"] },
      message: `algorithms ["ES256","none"] ${usedWith("a key set", asymmetric)}`,
    },
    {
      name: "none for a secret",
      options: { secret, algorithms: ["none"] },
      message: `algorithms ["none"] ${usedWith("a secret", ["HS256", "HS384", "HS512"])}`,
    },
    {
      name: "one algorithm that is no list",
      options: untyped({ publicKey, algorithms: "ES256" }),
      message: `algorithms "ES256" ${usedWith("this publicKey", ["ES256"])}`,
    },
    {
      name: "an algorithm that is an inherited name",
      options: { secret, algorithms: ["constructor"] },
      message: `algorithms ["constructor"] ${usedWith("a secret", ["HS256", "HS384", "HS512"])}`,
    },
    {
      name: "a secret in bytes",
      options: untyped({ secret: new Uint8Array(64) }),
      message: "secret must be a string",
    },
  ])("$name", ({ options, message }) => {
    expect(() => resolveJwtKeys(options)).toThrow(new TypeError(message));
  });

  const noKey = "publicKey must be a public CryptoKey or KeyObject";
  const noSigner = "publicKey is of a kind that JSON Web Tokens are not signed with";
  const noVerify = 'publicKey must have the usage "verify"';
  const short = "publicKey has 1024 bits, RSA needs at least 2048";

  test.each<{ name: string; key: () => unknown; message: string }>([
    { name: "null", key: () => null, message: noKey },
    {
      name: "PEM",
      key: () => publicKey.export({ type: "spki", format: "pem" }),
      message: noKey,
    },
    { name: "a JWK", key: () => publicKey.export({ format: "jwk" }), message: noKey },
    { name: "what only looks like a key", key: () => ({ type: "public" }), message: noKey },
    { name: "a private KeyObject", key: () => p256.privateKey, message: noKey },
    { name: "a secret KeyObject", key: () => createSecretKey(Buffer.alloc(64)), message: noKey },
    {
      name: "a private CryptoKey",
      key: async () => (await cryptoKeys({ name: "ECDSA", namedCurve: "P-256" })).privateKey,
      message: noKey,
    },
    {
      name: "a secret CryptoKey",
      key: () =>
        crypto.subtle.generateKey({ name: "HMAC", hash: "SHA-256" }, true, ["sign", "verify"]),
      message: noKey,
    },
    {
      name: "a CryptoKey that encrypts",
      key: async () =>
        (await cryptoKeys(rsaParams("RSA-OAEP", "SHA-256"), ["encrypt", "decrypt"])).publicKey,
      message: noVerify,
    },
    {
      name: "a CryptoKey that agrees on keys",
      key: async () =>
        (await cryptoKeys({ name: "ECDH", namedCurve: "P-256" }, ["deriveBits"])).publicKey,
      message: noVerify,
    },
    {
      name: "a CryptoKey for nothing",
      key: async () => {
        const spki = publicKey.export({ type: "spki", format: "der" });
        const algorithm = { name: "ECDSA", namedCurve: "P-256" };
        return crypto.subtle.importKey("spki", spki, algorithm, true, []);
      },
      message: noVerify,
    },
    {
      name: "RSA with SHA-1",
      key: async () => (await cryptoKeys(rsaParams("RSASSA-PKCS1-v1_5", "SHA-1"))).publicKey,
      message: noSigner,
    },
    {
      name: "a CryptoKey of 1024 bits",
      key: async () =>
        (await cryptoKeys(rsaParams("RSASSA-PKCS1-v1_5", "SHA-256", 1024))).publicKey,
      message: short,
    },
    {
      name: "a KeyObject of 1024 bits",
      key: () => generateKeyPairSync("rsa", { modulusLength: 1024 }).publicKey,
      message: short,
    },
    {
      name: "a KeyObject of RSASSA-PSS, which Web Crypto does not know",
      key: () => generateKeyPairSync("rsa-pss", { modulusLength: 2048 }).publicKey,
      message: noSigner,
    },
    {
      name: "secp256k1",
      key: () => generateKeyPairSync("ec", { namedCurve: "secp256k1" }).publicKey,
      message: noSigner,
    },
    {
      name: "P-224",
      key: () => generateKeyPairSync("ec", { namedCurve: "secp224r1" }).publicKey,
      message: noSigner,
    },
    { name: "Ed448", key: () => generateKeyPairSync("ed448").publicKey, message: noSigner },
    { name: "X25519", key: () => generateKeyPairSync("x25519").publicKey, message: noSigner },
  ])("$name for a publicKey", async ({ key, message }) => {
    const options = untyped({ publicKey: await key() });
    expect(() => resolveJwtKeys(options)).toThrow(new TypeError(message));
  });

  test.each(["https://me@issuer.test/", "https://:hunter2@issuer.test/", "http://a:b@localhost/"])(
    "a key set at %s",
    (jwksUri) => {
      expect(() => resolveJwtKeys({ jwksUri })).toThrow(
        new TypeError("jwksUri must have no user name and password: they are not sent"),
      );
    },
  );

  test.each([
    { jwksUri: "http://issuer.test/jwks?key=hunter2", shown: "http://issuer.test/jwks" },
    { jwksUri: "issuer.test/jwks?key=hunter2", shown: "issuer.test/jwks" },
    { jwksUri: "user:hunter2@issuer.test/jwks", shown: "issuer.test/jwks" },
    { jwksUri: "ftp://issuer.test/jwks#hunter2", shown: "ftp://issuer.test/jwks" },
    { jwksUri: "http://localhost.issuer.test/jwks", shown: "http://localhost.issuer.test/jwks" },
    { jwksUri: "http://127.0.0.1.issuer.test/", shown: "http://127.0.0.1.issuer.test/" },
    { jwksUri: "http://10.0.0.1/jwks", shown: "http://10.0.0.1/jwks" },
    { jwksUri: "file:///etc/jwks", shown: "file:///etc/jwks" },
    { jwksUri: "data:application/json,{}", shown: "data:application/json,{}" },
    { jwksUri: "", shown: "" },
  ])("a key set at $jwksUri", ({ jwksUri, shown }) => {
    expect(() => resolveJwtKeys({ jwksUri })).toThrow(
      new TypeError(`jwksUri "${shown}" must be an https URL (http only on loopback)`),
    );
  });
});
