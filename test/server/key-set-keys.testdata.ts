import { generateKeyPairSync, type KeyObject } from "node:crypto";

/** A member of a key set that no token verifies with, and a token that asks for it. */
export interface UnusableKey {
  readonly name: string;
  /** What stands in the set, under the kid `bad` unless it says otherwise. */
  readonly jwk: unknown;
  readonly alg: string;
  readonly privateKey: KeyObject | Uint8Array;
  /** How the reason begins. Where the runtime says it, there is no more than `token: `. */
  readonly reason: string;
}

const ec = generateKeyPairSync("ec", { namedCurve: "P-256" });
const p384 = generateKeyPairSync("ec", { namedCurve: "P-384" });
const koblitz = generateKeyPairSync("ec", { namedCurve: "secp256k1" });
const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const shortRsa = generateKeyPairSync("rsa", { modulusLength: 1024 });
const almostRsa = generateKeyPairSync("rsa", { modulusLength: 2040 });
const ed = generateKeyPairSync("ed25519");
const secret = Buffer.from("a secret of tests that is published, which makes it none");

const jwkOf = (key: KeyObject) => key.export({ format: "jwk" });
const ecJwk = jwkOf(ec.publicKey);
const rsaJwk = jwkOf(rsa.publicKey);
const edJwk = jwkOf(ed.publicKey);

const notFound = "token: no applicable key found in the JSON Web Key Set";
const notPublic = "token: JSON Web Key Set members must be public keys";
const tooShort = "token: RS256 requires key modulusLength to be 2048 bits or larger";
const otherAlg = 'token: "alg" (Algorithm) Header Parameter value not allowed';
const byRuntime = "token: ";

const ofEc = { alg: "ES256", privateKey: ec.privateKey };
const ofRsa = { alg: "RS256", privateKey: rsa.privateKey };
const ofEd = { alg: "EdDSA", privateKey: ed.privateKey };

export const unusableKeys: readonly UnusableKey[] = [
  // RFC 7517 §4.2 to §4.4
  { name: "for encryption", jwk: { ...ecJwk, use: "enc" }, ...ofEc, reason: notFound },
  { name: "for signatures in capitals", jwk: { ...ecJwk, use: "SIG" }, ...ofEc, reason: notFound },
  { name: "for a use that is null", jwk: { ...ecJwk, use: null }, ...ofEc, reason: notFound },
  { name: "for signing only", jwk: { ...ecJwk, key_ops: ["sign"] }, ...ofEc, reason: notFound },
  { name: "for no operation", jwk: { ...ecJwk, key_ops: [] }, ...ofEc, reason: notFound },
  { name: "for text", jwk: { ...ecJwk, key_ops: "verify" }, ...ofEc, reason: notFound },
  {
    name: "for one operation twice",
    jwk: { ...ecJwk, key_ops: ["verify", "verify"] },
    ...ofEc,
    reason: notFound,
  },
  { name: "for another curve", jwk: { ...ecJwk, alg: "ES384" }, ...ofEc, reason: notFound },
  { name: "for another padding", jwk: { ...rsaJwk, alg: "PS256" }, ...ofRsa, reason: notFound },
  { name: "for another hash", jwk: { ...rsaJwk, alg: "RS512" }, ...ofRsa, reason: notFound },
  { name: "for RSA-OAEP", jwk: { ...rsaJwk, alg: "RSA-OAEP" }, ...ofRsa, reason: notFound },
  { name: "for none", jwk: { ...ecJwk, alg: "none" }, ...ofEc, reason: notFound },
  { name: "for an alg in a list", jwk: { ...ecJwk, alg: ["ES256"] }, ...ofEc, reason: notFound },
  { name: "with an ext that is text", jwk: { ...ecJwk, ext: "true" }, ...ofEc, reason: notFound },
  { name: "whose kid is a number", jwk: { ...ecJwk, kid: 7 }, ...ofEc, reason: notFound },
  { name: "whose kid is in capitals", jwk: { ...ecJwk, kid: "BAD" }, ...ofEc, reason: notFound },
  { name: "without a kid", jwk: { ...ecJwk, kid: undefined }, ...ofEc, reason: notFound },

  // RFC 7518 §6
  { name: "that is null", jwk: null, ...ofEc, reason: notFound },
  { name: "that is text", jwk: JSON.stringify(ecJwk), ...ofEc, reason: notFound },
  { name: "that is a list", jwk: [ecJwk], ...ofEc, reason: notFound },
  { name: "of no kind", jwk: { ...ecJwk, kty: undefined }, ...ofEc, reason: notFound },
  { name: "of a kind in lower case", jwk: { ...ecJwk, kty: "ec" }, ...ofEc, reason: notFound },
  { name: "of a kind in a list", jwk: { ...ecJwk, kty: ["EC"] }, ...ofEc, reason: notFound },
  { name: "of another kind", jwk: { ...ecJwk, kty: "RSA" }, ...ofEc, reason: notFound },
  { name: "of an inherited kind", jwk: { __proto__: ecJwk }, ...ofEc, reason: notFound },
  { name: "without a curve", jwk: { ...ecJwk, crv: undefined }, ...ofEc, reason: notFound },
  { name: "of P-384", jwk: jwkOf(p384.publicKey), ...ofEc, reason: notFound },
  { name: "of secp256k1", jwk: jwkOf(koblitz.publicKey), ...ofEc, reason: notFound },
  {
    name: "of P-384 as P-256",
    jwk: { ...jwkOf(p384.publicKey), crv: "P-256" },
    ...ofEc,
    reason: byRuntime,
  },
  { name: "without x", jwk: { ...ecJwk, x: undefined }, ...ofEc, reason: byRuntime },
  { name: "without y", jwk: { ...ecJwk, y: undefined }, ...ofEc, reason: byRuntime },
  { name: "with a number for x", jwk: { ...ecJwk, x: 7 }, ...ofEc, reason: byRuntime },
  { name: "beside its curve", jwk: { ...ecJwk, y: ecJwk.x }, ...ofEc, reason: byRuntime },
  {
    name: "at infinity",
    jwk: {
      ...ecJwk,
      x: Buffer.alloc(32).toString("base64url"),
      y: Buffer.alloc(32).toString("base64url"),
    },
    ...ofEc,
    reason: byRuntime,
  },
  { name: "without a modulus", jwk: { ...rsaJwk, n: undefined }, ...ofRsa, reason: byRuntime },
  { name: "without an exponent", jwk: { ...rsaJwk, e: undefined }, ...ofRsa, reason: byRuntime },
  { name: "with an empty modulus", jwk: { ...rsaJwk, n: "" }, ...ofRsa, reason: byRuntime },
  { name: "of Ed25519 without x", jwk: { ...edJwk, x: undefined }, ...ofEd, reason: byRuntime },
  { name: "of Ed25519 as Ed448", jwk: { ...edJwk, crv: "Ed448" }, ...ofEd, reason: notFound },
  { name: "of Ed25519 as X25519", jwk: { ...edJwk, crv: "X25519" }, ...ofEd, reason: notFound },
  {
    name: "of Ed25519 with too few bytes",
    jwk: { ...edJwk, x: "AAAA" },
    ...ofEd,
    reason: byRuntime,
  },

  // RFC 7518 §3.3
  {
    name: "of 1024 bits",
    jwk: jwkOf(shortRsa.publicKey),
    alg: "RS256",
    privateKey: shortRsa.privateKey,
    reason: tooShort,
  },
  {
    name: "of 2040 bits",
    jwk: jwkOf(almostRsa.publicKey),
    alg: "RS256",
    privateKey: almostRsa.privateKey,
    reason: tooShort,
  },

  // RFC 7517 §9.2: whoever published it, others can sign with it
  { name: "of EC with its private part", jwk: jwkOf(ec.privateKey), ...ofEc, reason: notPublic },
  { name: "of RSA with its private part", jwk: jwkOf(rsa.privateKey), ...ofRsa, reason: notPublic },
  {
    name: "of Ed25519 with its private part",
    jwk: jwkOf(ed.privateKey),
    ...ofEd,
    reason: notPublic,
  },
  {
    name: "of EC with its private part, said to verify",
    jwk: { ...jwkOf(ec.privateKey), key_ops: ["sign", "verify"] },
    ...ofEc,
    reason: byRuntime,
  },
  {
    name: "that is a secret",
    jwk: { kty: "oct", k: secret.toString("base64url"), alg: "HS256" },
    alg: "HS256",
    privateKey: secret,
    reason: otherAlg,
  },
];
