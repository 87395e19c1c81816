import { type CryptoKey, exportJWK, generateKeyPair, type JWK } from "jose";

/** Signature algorithms of a test issuer (RFC 7518 §3.1, RFC 8037 §3.1). */
export type TestAlgorithm = "ES256" | "RS256" | "EdDSA";

/** A key that signs tokens, and its public half as it is published. */
export interface SigningKey {
  readonly kid: string;
  readonly privateKey: CryptoKey;
  readonly publicJwk: JWK;
}

/** The keys of an issuer: one for each algorithm that signs, and those that are published. */
export interface SigningKeys {
  /** The key that signs now. Throws `TypeError` for an algorithm without one. */
  current(algorithm: TestAlgorithm): SigningKey;
  /** What others verify tokens with: RFC 7517 §5. */
  published(): { readonly keys: readonly JWK[] };
  /** Makes new keys, which sign from then on. `overlap`: those before stay published. */
  rotate(overlap: boolean): Promise<void>;
}

/** Makes the first keys. */
export async function createSigningKeys(
  algorithms: readonly TestAlgorithm[],
): Promise<SigningKeys> {
  let generation = 0;
  let published: readonly JWK[] = [];
  let current: ReadonlyMap<TestAlgorithm, SigningKey> = new Map();

  async function rotate(overlap: boolean): Promise<void> {
    generation += 1;
    const suffix = generation;
    const made = await Promise.all(
      algorithms.map(async (algorithm): Promise<[TestAlgorithm, SigningKey]> => {
        const kid = `${algorithm.toLowerCase()}-${suffix}`;
        return [algorithm, await generateSigningKey(algorithm, kid)];
      }),
    );
    current = new Map(made);
    const added = made.map(([, { publicJwk }]) => publicJwk);
    published = overlap ? [...added, ...published] : added;
  }

  await rotate(false);
  return {
    current(algorithm) {
      const key = current.get(algorithm);
      if (key === undefined) {
        throw new TypeError(
          `this issuer does not sign with ${JSON.stringify(algorithm)}; startTestIssuer({ algorithms: [${[...algorithms, algorithm].map((name) => JSON.stringify(name)).join(", ")}] }) does`,
        );
      }
      return key;
    },
    published: () => ({ keys: published }),
    rotate,
  };
}

/** A new key. The private half cannot be exported. */
export async function generateSigningKey(
  algorithm: TestAlgorithm,
  kid: string,
): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair(algorithm);
  const publicJwk = { ...(await exportJWK(publicKey)), kid, alg: algorithm, use: "sig" };
  return { kid, privateKey, publicJwk };
}
