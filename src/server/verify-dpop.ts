import { createHash } from "node:crypto";
import { dpopHeader, dpopNonceHeader } from "../headers.js";
import { checkKnownOptions } from "../known-options.js";
import type { IncomingCall } from "./authenticate.js";
import { dpopChallenge } from "./challenge.js";
import { createDpopNonces, type DpopNonceOptions } from "./dpop-nonces.js";
import { normalizePath, normalizeUri } from "./normalize-uri.js";
import { type DpopProof, parseDpopProof } from "./parse-dpop-proof.js";
import { cannotVerify, dpopNonceNeeded, invalidDpopProof, invalidToken } from "./refusal.js";
import { createMemoryReplayStore, type ReplayStore } from "./replay-store.js";

/** How tokens that are bound to a key of the client are accepted (RFC 9449). */
export interface DpopOptions {
  /**
   * The origins that clients call, such as `https://api.acme.dev`: a proof is
   * for one of them and the path of the call. The `Host` header does not count,
   * whoever sends a stolen proof would write what fits.
   */
  readonly publicOrigins: readonly string[];
  /**
   * Remembers proofs, so that none passes twice. Replicas need one that they
   * share: `createRedisReplayStore(client)`. One that does not answer within
   * 2 s is `Unavailable`. Default: `createMemoryReplayStore()`.
   */
  readonly replayStore?: ReplayStore;
  /**
   * Lets proofs pass only with a nonce of this server, so that none can be made
   * long before it is used. `true`: with a random secret, for one process.
   * Default: no nonces.
   */
  readonly nonces?: true | DpopNonceOptions;
  /** Refuses `Bearer` tokens, those that are bound to no key included. Default: false. */
  readonly required?: boolean;
  /**
   * Signature algorithms of proofs; ES384, ES512 and those of RSA only where
   * they are named. Default: ES256, Ed25519 and EdDSA.
   */
  readonly algorithms?: readonly string[];
  /**
   * How long ago `iat` of a proof may be, in seconds. It may be ahead by
   * `clockToleranceSeconds`. Default: 60.
   */
  readonly maxProofAgeSeconds?: number;
}

/** Judges the proofs of calls. */
export interface DpopVerifier {
  /** Signature algorithms of proofs, separated by spaces. */
  readonly algs: string;
  readonly required: boolean;
  /**
   * Returns where a call has a proof for this token and by the key with this
   * thumbprint. The proof is used up then. Throws `Unauthenticated` where not,
   * `Unavailable` where the replay store does not answer.
   */
  verify(call: IncomingCall, token: string, jkt: string): Promise<void>;
}

const storeTimeoutMs = 2_000;
const defaultAlgorithms = ["ES256", "Ed25519", "EdDSA"];
const rsaAlgorithms = ["PS256", "PS384", "PS512", "RS256", "RS384", "RS512"];
const knownAlgorithms = [...defaultAlgorithms, "ES384", "ES512", ...rsaAlgorithms];

/** Reads `DpopOptions`. Throws `TypeError`. */
export function createDpopVerifier(
  options: DpopOptions,
  clockToleranceSeconds: number,
): DpopVerifier {
  checkKnownOptions("dpop", options, optionNames);
  checkOptions(options);
  const {
    replayStore = createMemoryReplayStore(),
    required = false,
    maxProofAgeSeconds = 60,
  } = options;
  const algorithms = [...(options.algorithms ?? defaultAlgorithms)];
  const origins = checkOrigins(options.publicOrigins);
  const nonces = options.nonces === undefined ? undefined : createDpopNonces(options.nonces);
  const algs = algorithms.join(" ");
  const refuse = (reason: string) => invalidDpopProof(`proof: ${reason}`, algs);

  async function use({ jkt, jti, iat }: DpopProof): Promise<void> {
    const key = createHash("sha256").update(`${jkt}|${jti}`).digest("base64url");
    // beyond the window, because the clocks of servers and of their store differ
    const marginSeconds = Math.max(clockToleranceSeconds, 1);
    const expiresAt = new Date((iat + maxProofAgeSeconds + marginSeconds) * 1000);
    let isNew: boolean;
    try {
      isNew = await answerInTime(replayStore.add(key, expiresAt));
    } catch (error) {
      throw cannotVerify(`replay store: ${error instanceof Error ? error.message : "failed"}`);
    }
    if (isNew !== true) {
      throw refuse('"jti" was used before');
    }
  }

  return {
    algs,
    required,
    async verify({ header, url, requestMethod, responseHeader }, token, jkt) {
      const proof = await parseDpopProof(header.get(dpopHeader), algorithms, clockToleranceSeconds);
      const { htm, htu, nonce, ath } = proof.claims;
      // The numbers are those of RFC 9449 §4.3.
      if (htm !== requestMethod) {
        throw refuse(`"htm" is not ${requestMethod}`); // check 8
      }
      const target = normalizeUri(htu);
      const path = normalizePath(new URL(url, "https://host").pathname);
      if (target === undefined || !origins.some((origin) => target === origin + path)) {
        throw refuse(`"htu" is not ${path} on one of publicOrigins`); // check 9
      }
      const ageSeconds = Date.now() / 1000 - proof.iat;
      if (!(ageSeconds < maxProofAgeSeconds && ageSeconds >= -clockToleranceSeconds)) {
        throw refuse('"iat" is outside of the window'); // check 11
      }
      if (ath !== hashToken(token)) {
        throw refuse('"ath" is not the hash of the token'); // check 12
      }
      if (proof.jkt !== jkt) {
        const challenge = dpopChallenge({ error: "invalid_token", algs });
        throw invalidToken("token: bound to another key than that of the proof", [challenge]); // check 12
      }
      const judged = nonces?.judge(nonce);
      if (nonces !== undefined && judged === "unknown") {
        throw dpopNonceNeeded(nonces.current(), algs); // check 10
      }
      // RFC 9449 §11.1: last, so that a proof that was refused is not used up
      await use(proof);
      if (nonces !== undefined && judged === "previous") {
        // RFC 9449 §8.2: the next one without another round trip, in a response that nobody caches
        responseHeader?.set(dpopNonceHeader, nonces.current());
        responseHeader?.set("cache-control", "no-store");
      }
    },
  };
}

/** A call must not wait for a store that hangs. What such a store says later is not heard. */
async function answerInTime<T>(answer: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_resolve, reject) => {
    const error = new Error(`no answer within ${storeTimeoutMs} ms`);
    timer = setTimeout(reject, storeTimeoutMs, error);
  });
  try {
    return await Promise.race([answer, timeout]);
  } finally {
    clearTimeout(timer);
  }
}

const optionNames: Record<keyof DpopOptions, true> = {
  publicOrigins: true,
  replayStore: true,
  nonces: true,
  required: true,
  algorithms: true,
  maxProofAgeSeconds: true,
};

function checkOptions(options: DpopOptions): void {
  const { replayStore, required, algorithms, maxProofAgeSeconds } = options;
  if (replayStore !== undefined && typeof replayStore?.add !== "function") {
    throw new TypeError("dpop.replayStore must have a method add");
  }
  if (required !== undefined && typeof required !== "boolean") {
    throw new TypeError(`dpop.required ${JSON.stringify(required)} must be true or false`);
  }
  const isKnown = (name: string) => knownAlgorithms.includes(name);
  if (
    algorithms !== undefined &&
    !(Array.isArray(algorithms) && algorithms.length > 0 && algorithms.every(isKnown))
  ) {
    throw new TypeError(
      `dpop.algorithms ${JSON.stringify(algorithms)} must be of those that proofs are signed with: ${knownAlgorithms.join(", ")}`,
    );
  }
  if (
    maxProofAgeSeconds !== undefined &&
    !(Number.isFinite(maxProofAgeSeconds) && maxProofAgeSeconds > 0)
  ) {
    throw new TypeError(
      `dpop.maxProofAgeSeconds ${maxProofAgeSeconds} must be a number of seconds above 0`,
    );
  }
}

function checkOrigins(publicOrigins: readonly string[]): string[] {
  if (!Array.isArray(publicOrigins) || publicOrigins.length === 0) {
    throw new TypeError("dpop.publicOrigins must be a list of one or more origins");
  }
  return publicOrigins.map((origin: unknown) => {
    const uri = normalizeUri(origin);
    if (uri === undefined || !/^https?:\/\/[^/?#]+\/?$/i.test(String(origin))) {
      throw new TypeError(
        `dpop.publicOrigins ${JSON.stringify(origin)} must be an origin such as "https://api.acme.dev"`,
      );
    }
    return uri.slice(0, -"/".length);
  });
}

/** The `ath` claim for a token (RFC 9449 §4.2). */
export function hashToken(token: string): string {
  return createHash("sha256").update(token).digest("base64url");
}
