import { KeyObject } from "node:crypto";
import type { CryptoKey, JWTVerifyGetKey } from "jose";
import { createKeySet } from "./key-set.js";

/** Where the keys come from that tokens are verified with: exactly one of them. */
export interface JwtKeyOptions {
  /** The URL of a JSON Web Key Set (RFC 7517), https or loopback. */
  readonly jwksUri?: string;
  /**
   * A secret shared with the issuer, for HS256, HS384 or HS512: at least 32,
   * 48 or 64 bytes (RFC 7518 §3.2). Whoever has it can issue tokens.
   */
  readonly secret?: string;
  /** The public key of the issuer; RSA with at least 2048 bits. */
  readonly publicKey?: CryptoKey | KeyObject;
  /**
   * Signature algorithms that are accepted. Default: all that the key can be
   * used with; for a secret, HS256; for a key set, the asymmetric ones.
   */
  readonly algorithms?: readonly string[];
}

const hmac: Readonly<Record<string, number>> = { HS256: 32, HS384: 48, HS512: 64 };
const rsa = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];
const edwards = ["EdDSA", "Ed25519"];
const ecCurves: Readonly<Record<string, string>> = {
  "P-256": "ES256",
  prime256v1: "ES256",
  "P-384": "ES384",
  secp384r1: "ES384",
  "P-521": "ES512",
  secp521r1: "ES512",
};
const asymmetric = [...rsa, "ES256", "ES384", "ES512", ...edwards];

/** The key of a token, and the algorithms it may be signed with. */
export interface JwtKeys {
  readonly key: CryptoKey | KeyObject | Uint8Array | JWTVerifyGetKey;
  readonly algorithms: string[];
}

/** Reads `JwtKeyOptions`. Throws `TypeError`. */
export function resolveJwtKeys(options: JwtKeyOptions): JwtKeys {
  const { jwksUri, secret, publicKey } = options;
  const given = [jwksUri, secret, publicKey].filter((source) => source !== undefined);
  if (given.length !== 1) {
    throw new TypeError("exactly one of jwksUri, secret and publicKey must be given");
  }
  if (jwksUri !== undefined) {
    const algorithms = chooseAlgorithms(options, asymmetric, "a key set");
    return { key: createKeySet(jwksUri), algorithms };
  }
  if (secret !== undefined) {
    if (typeof secret !== "string") {
      throw new TypeError("secret must be a string");
    }
    const algorithms = chooseAlgorithms(options, Object.keys(hmac), "a secret", ["HS256"]);
    const key = new TextEncoder().encode(secret);
    for (const algorithm of algorithms) {
      const bytes = hmac[algorithm] ?? 0;
      if (key.length < bytes) {
        throw new TypeError(
          `secret has ${key.length} bytes, ${algorithm} needs at least ${bytes} (RFC 7518 §3.2)`,
        );
      }
    }
    return { key, algorithms };
  }
  const isKey = publicKey instanceof KeyObject || publicKey instanceof CryptoKey;
  if (!isKey || publicKey.type !== "public") {
    throw new TypeError("publicKey must be a public CryptoKey or KeyObject");
  }
  const fitting = algorithmsOf(publicKey);
  return { key: publicKey, algorithms: chooseAlgorithms(options, fitting, "this publicKey") };
}

function chooseAlgorithms(
  options: JwtKeyOptions,
  fitting: readonly string[],
  what: string,
  fallback: readonly string[] = fitting,
): string[] {
  // what is undefined by mistake must not let all of them pass
  const chosen = "algorithms" in options ? options.algorithms : fallback;
  const isList = Array.isArray(chosen) && chosen.length > 0;
  if (!isList || !chosen.every((algorithm) => fitting.includes(algorithm))) {
    throw new TypeError(
      `algorithms ${JSON.stringify(chosen)} must be of those that ${what} is used with: ${fitting.join(", ")}`,
    );
  }
  return [...chosen];
}

function algorithmsOf(key: CryptoKey | KeyObject): string[] {
  const facts = key instanceof KeyObject ? keyObjectFacts(key) : cryptoKeyFacts(key);
  if (facts.modulusLength !== undefined && facts.modulusLength < 2048) {
    throw new TypeError(`publicKey has ${facts.modulusLength} bits, RSA needs at least 2048`);
  }
  if (facts.algorithms.length === 0) {
    throw new TypeError("publicKey is of a kind that JSON Web Tokens are not signed with");
  }
  return facts.algorithms;
}

interface KeyFacts {
  readonly algorithms: string[];
  readonly modulusLength?: number | undefined;
}

function keyObjectFacts(key: KeyObject): KeyFacts {
  const details = key.asymmetricKeyDetails;
  switch (key.asymmetricKeyType) {
    case "rsa":
      return { algorithms: rsa, modulusLength: details?.modulusLength };
    case "ec":
      return curveFacts(details?.namedCurve);
    case "ed25519":
      return { algorithms: edwards };
    default:
      return { algorithms: [] };
  }
}

function cryptoKeyFacts({ algorithm, usages }: CryptoKey): KeyFacts {
  if (!usages.includes("verify")) {
    throw new TypeError('publicKey must have the usage "verify"');
  }
  switch (algorithm.name) {
    case "RSASSA-PKCS1-v1_5":
    case "RSA-PSS": {
      const { hash, modulusLength } = algorithm as RsaHashedKeyAlgorithm;
      const family = algorithm.name === "RSA-PSS" ? "PS" : "RS";
      const name = hash.name.replace("SHA-", family);
      return { algorithms: rsa.filter((known) => known === name), modulusLength };
    }
    case "ECDSA":
      return curveFacts((algorithm as EcKeyAlgorithm).namedCurve);
    case "Ed25519":
      return { algorithms: edwards };
    default:
      return { algorithms: [] };
  }
}

function curveFacts(curve: string | undefined): KeyFacts {
  const algorithm = ecCurves[curve ?? ""];
  return { algorithms: algorithm === undefined ? [] : [algorithm] };
}
