import { createServer, type RequestListener } from "node:http";
import { checkKnownOptions } from "../known-options.js";
import { listenOnLoopback } from "./listen-on-loopback.js";
import { checkClaims, signClaims, type TestClaims, type TestTokenOptions } from "./sign-claims.js";
import { createSigningKeys, generateSigningKey, type TestAlgorithm } from "./signing-keys.js";

/** Options of `startTestIssuer`. */
export interface TestIssuerOptions {
  /**
   * What it signs with, the first one unless `createToken` is told otherwise.
   * An RSA key takes some 100 ms to make. Default: `["ES256"]`.
   */
  readonly algorithms?: readonly TestAlgorithm[];
  /** For whom tokens are: `aud`. Default: nobody in particular. */
  readonly audience?: string | readonly string[];
}

/** Options of `TestIssuer.createToken`. They count more than claims of the same meaning. */
export interface IssuedTokenOptions extends TestTokenOptions {
  /** One of the issuer's. Default: its first. */
  readonly algorithm?: TestAlgorithm;
  /** Which key the token says it is signed with. Default: the one that signs. */
  readonly kid?: string;
  /** Signs with a key that is not the issuer's, in the name of one that is. Default: false. */
  readonly forged?: boolean;
}

/**
 * What is wrong with an issuer that is down: `unreachable`, connections are
 * closed without an answer; `silent`, there is never an answer; a number from
 * 400 to 599, an answer with that status.
 */
export type TestIssuerOutage = "unreachable" | "silent" | number;

/** An issuer of tokens with keys of its own, on a port of this machine. */
export interface TestIssuer {
  /** Its URL, and `iss` in its tokens. */
  readonly issuer: string;
  /** Where its public keys are. */
  readonly jwksUri: string;
  /** How often the keys were asked for, outages included. */
  readonly requests: number;
  /**
   * A token with these claims, from this issuer, issued now and valid for an
   * hour. It has no `sub` unless the claims have one. A claim stands for the
   * one that the issuer would set, and is left out if it is `undefined`.
   */
  createToken(claims: TestClaims, options?: IssuedTokenOptions): Promise<string>;
  /**
   * Signs with new keys from now on. With `overlap` those before stay
   * published, and the tokens they signed valid, as in a planned rotation;
   * `overlap: false` is for a key that was stolen. Default: true.
   */
  rotateKeys(options?: { readonly overlap?: boolean }): Promise<void>;
  /** Begins an outage. Tokens are still signed. Default: `unreachable`. */
  goDown(outage?: TestIssuerOutage): void;
  /** Ends the outage. */
  comeBack(): void;
  /** Stops it, and ends every connection. */
  close(): Promise<void>;
  /** The same, at the end of a block: `await using issuer = await startTestIssuer()`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Starts an issuer on a free port of 127.0.0.1, for tests of servers that
 * verify tokens with a key set: `createJwtAuthInterceptor({ jwksUri })`. It has
 * metadata (RFC 8414, OpenID Connect Discovery), and no token endpoint: tests
 * get their tokens from `createToken`. Its private keys never leave it.
 *
 * Throws `TypeError` for options that it does not have.
 *
 * ```ts
 * const issuer = await startTestIssuer({ audience: "https://api.acme.dev" });
 * const authenticate = createJwtAuthInterceptor({
 *   jwksUri: issuer.jwksUri,
 *   issuer: issuer.issuer,
 *   audience: "https://api.acme.dev",
 * });
 * const token = await issuer.createToken({ sub: "alice", roles: ["admin"] });
 * await issuer.rotateKeys();
 * await issuer.close();
 * ```
 */
export async function startTestIssuer(options: TestIssuerOptions = {}): Promise<TestIssuer> {
  checkKnownOptions("startTestIssuer", options, optionNames);
  const { algorithms = ["ES256"], audience } = options;
  const [firstAlgorithm] = checkAlgorithms(algorithms);
  const keys = await createSigningKeys(algorithms);
  let outage: TestIssuerOutage | undefined;
  let requests = 0;

  const answer: RequestListener = (req, res) => {
    const path = (req.url ?? "").replace(/\?.*/s, "");
    const document = documents.get(path);
    if (document === keys.published) {
      requests += 1;
    }
    if (outage === "unreachable") {
      req.socket.destroy();
    } else if (typeof outage === "number") {
      res.writeHead(outage).end();
    } else if (outage === undefined) {
      const found = req.method === "GET" && document !== undefined;
      res
        .writeHead(found ? 200 : 404, { "content-type": "application/json" })
        .end(JSON.stringify(found ? document() : {}));
    }
  };
  const { baseUrl: issuer, close } = await listenOnLoopback(createServer(answer));
  const jwksUri = `${issuer}/jwks`;
  const metadata = () => ({
    issuer,
    jwks_uri: jwksUri,
    response_types_supported: [],
    grant_types_supported: [],
    subject_types_supported: ["public"],
    id_token_signing_alg_values_supported: algorithms,
  });
  const documents = new Map<string, () => unknown>([
    ["/jwks", keys.published],
    ["/.well-known/jwks.json", keys.published],
    ["/.well-known/oauth-authorization-server", metadata],
    ["/.well-known/openid-configuration", metadata],
  ]);

  return {
    issuer,
    jwksUri,
    get requests() {
      return requests;
    },
    async createToken(claims, tokenOptions = {}) {
      checkClaims("claims", claims);
      checkKnownOptions("createToken", tokenOptions, tokenOptionNames);
      const { algorithm = firstAlgorithm, expiresIn, forged = false } = tokenOptions;
      const own = keys.current(algorithm);
      const { privateKey } = forged ? await generateSigningKey(algorithm, own.kid) : own;
      return signClaims(
        {
          iss: issuer,
          ...(audience !== undefined && { aud: audience }),
          ...claims,
          ...(tokenOptions.audience !== undefined && { aud: tokenOptions.audience }),
        },
        {
          key: privateKey,
          // RFC 9068 §2.1
          header: { alg: algorithm, kid: tokenOptions.kid ?? own.kid, typ: "at+jwt" },
          expiresIn,
        },
      );
    },
    async rotateKeys(rotation = {}) {
      checkKnownOptions("rotateKeys", rotation, { overlap: true });
      await keys.rotate(rotation.overlap ?? true);
    },
    goDown(kind = "unreachable") {
      outage = checkOutage(kind);
    },
    comeBack() {
      outage = undefined;
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

const optionNames: Record<keyof TestIssuerOptions, true> = { algorithms: true, audience: true };

const tokenOptionNames: Record<keyof IssuedTokenOptions, true> = {
  algorithm: true,
  expiresIn: true,
  audience: true,
  kid: true,
  forged: true,
};

const knownAlgorithms: readonly string[] = ["ES256", "RS256", "EdDSA"] satisfies TestAlgorithm[];

function checkAlgorithms(algorithms: readonly TestAlgorithm[]): [TestAlgorithm] {
  const [first] = Array.isArray(algorithms) ? algorithms : [];
  if (first === undefined || !algorithms.every((name) => knownAlgorithms.includes(name))) {
    throw new TypeError(
      `algorithms ${JSON.stringify(algorithms)} must be one or more of ${knownAlgorithms.join(", ")}`,
    );
  }
  return [first];
}

function checkOutage(outage: TestIssuerOutage): TestIssuerOutage {
  const isStatus = typeof outage === "number" && Number.isInteger(outage);
  if (isStatus ? outage < 400 || outage > 599 : !["unreachable", "silent"].includes(`${outage}`)) {
    throw new TypeError(
      `outage ${JSON.stringify(outage)} must be "unreachable", "silent", or a status from 400 to 599`,
    );
  }
  return outage;
}
