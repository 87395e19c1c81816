import type { DpopProofRequest } from "../credentials/auth.js";
import { checkKnownOptions } from "../known-options.js";
import { encodeBase64url, encodeUtf8, sha256 } from "./base64url.js";

/** Algorithms of DPoP proofs. `EdDSA` is the older name of `Ed25519` (RFC 9864 §2.2), for servers that know no other. */
export type DpopAlgorithm = "ES256" | "Ed25519" | "EdDSA";

/** The key that tokens are bound to, and the algorithm of its proofs. */
export interface DpopKeyOptions {
  /** Default: `ES256`, or what `keyPair` is for. */
  readonly algorithm?: DpopAlgorithm | undefined;
  /**
   * A key pair for ECDSA on P-256 or Ed25519: that of another credential, or one
   * kept in IndexedDB. The private key need not be extractable. Default: one that
   * is made for the first proof, is not extractable, and lives as long as the credential.
   */
  readonly keyPair?: CryptoKeyPair | undefined;
}

/** Token requests have no access token yet. */
export type DpopProofInit = Omit<DpopProofRequest, "accessToken"> & {
  readonly accessToken?: string | undefined;
};

/**
 * Makes the function that makes DPoP proofs, all with one key (RFC 9449 §4.2).
 * Throws `TypeError` for an algorithm that there is not, and a key that is not for it.
 */
export function createDpopSigner(
  options: DpopKeyOptions,
  now: () => Date,
): (request: DpopProofInit) => Promise<string> {
  checkKnownOptions("dpop", options, { algorithm: true, keyPair: true });
  const { keyPair } = options;
  const ownName = keyPair?.privateKey.algorithm.name ?? "ECDSA";
  const algorithm = options.algorithm ?? (ownName === "ECDSA" ? "ES256" : "Ed25519");
  if (algorithm !== "ES256" && algorithm !== "Ed25519" && algorithm !== "EdDSA") {
    throw new TypeError(`dpop.algorithm ${JSON.stringify(algorithm)} must be ES256 or Ed25519`);
  }
  const params =
    algorithm === "ES256" ? { name: "ECDSA", namedCurve: "P-256" } : { name: "Ed25519" };
  if (keyPair && ownName !== params.name) {
    throw new TypeError(`dpop.keyPair is for ${ownName}, and ${algorithm} needs ${params.name}`);
  }
  const own = keyPair?.privateKey.algorithm ?? params;
  if ("namedCurve" in own && own.namedCurve !== "P-256") {
    throw new TypeError(`dpop.keyPair is for ${own.namedCurve}, and ${algorithm} needs P-256`);
  }

  const makeKey = async () => {
    const pair = keyPair ?? (await crypto.subtle.generateKey(params, false, ["sign", "verify"]));
    if (!("privateKey" in pair)) {
      throw new TypeError(`no key pair for ${algorithm}`);
    }
    const { kty, crv, x, y } = await crypto.subtle.exportKey("jwk", pair.publicKey);
    // RFC 9449 §4.2: the public key, and nothing that is private
    const header = { typ: "dpop+jwt", alg: algorithm, jwk: { kty, crv, x, y } };
    return { key: pair.privateKey, header: encodeBase64url(encodeUtf8(JSON.stringify(header))) };
  };
  let made: ReturnType<typeof makeKey> | undefined;
  // a token serves many calls
  let hashed: { readonly token: string; readonly ath: string } | undefined;

  return async ({ htm, htu, accessToken, nonce }) => {
    made ??= makeKey();
    const { key, header } = await made;
    if (accessToken !== undefined && hashed?.token !== accessToken) {
      hashed = { token: accessToken, ath: await sha256(accessToken) };
    }
    const claims = {
      jti: crypto.randomUUID(),
      htm,
      htu: htu.replace(/[?#].*/s, ""),
      iat: Math.floor(now().getTime() / 1000),
      ath: accessToken === undefined ? undefined : hashed?.ath,
      nonce,
    };
    // JSON leaves out what is undefined
    const signed = `${header}.${encodeBase64url(encodeUtf8(JSON.stringify(claims)))}`;
    // RFC 7518 §3.4: WebCrypto makes the form of signature that JWS has
    const signature = await crypto.subtle.sign(
      { ...params, hash: "SHA-256" },
      key,
      encodeUtf8(signed),
    );
    return `${signed}.${encodeBase64url(new Uint8Array(signature))}`;
  };
}
