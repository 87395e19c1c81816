import { checkKnownOptions } from "../known-options.js";
import type { AuthContext } from "./auth-context.js";
import {
  type AuthInterceptor,
  type CommonAuthOptions,
  commonOptionNames,
  createAuthenticatingInterceptor,
} from "./authenticate.js";
import { type ClaimsMapping, readClaimsMapping, toIdentity } from "./claims-mapping.js";
import { type CacheOptions, cacheIdentities, type Verify } from "./identity-cache.js";
import { type JwtKeyOptions, resolveJwtKeys } from "./jwt-keys.js";
import { checkSeconds, parseDuration } from "./parse-duration.js";
import { createTokenAuthenticator } from "./token-auth.js";
import { createDpopVerifier, type DpopOptions } from "./verify-dpop.js";
import { type JwtExpectations, verifyJwt } from "./verify-jwt.js";

/** Options of `createJwtAuthInterceptor`. */
export interface JwtAuthInterceptorOptions extends JwtKeyOptions, CommonAuthOptions {
  /** Accepted values of `iss`. Default: any, which is only safe where the keys sign for one issuer. */
  readonly issuer?: string | readonly string[];
  /**
   * Names of this server, of which `aud` must have one. Default: not checked,
   * and then a token that was issued for another server passes here.
   */
  readonly audience?: string | readonly string[];
  /** Which claims the identity is read from. */
  readonly claimsMapping?: ClaimsMapping;
  /** How long ago `iat` may be: seconds above 0, or text such as `2h`. Default: not checked. */
  readonly maxTokenAge?: number | string;
  /** How far clocks may differ for `exp`, `nbf` and `iat`, in seconds. Default: 5. */
  readonly clockToleranceSeconds?: number;
  /** Also accepts tokens that are bound to a key of the client (RFC 9449). Default: they are refused. */
  readonly dpop?: DpopOptions;
  /**
   * Remembers tokens that were verified, so that a repeated one costs little;
   * proofs are judged each time. Default: `{ ttl: 30_000, maxSize: 10_000 }`.
   * `false`: every token is verified every time.
   */
  readonly cache?: CacheOptions | false;
}

/**
 * Authenticates callers by a JSON Web Token in `Authorization: Bearer`
 * (RFC 6750, RFC 9068, RFC 8725). The token needs a signature that verifies,
 * an `exp` that has not passed and a subject. Tokens bound to a key (`cnf`) are
 * refused there: they are no bearer tokens. With `dpop` they pass in
 * `Authorization: DPoP`, each call with a fresh proof of the key.
 *
 * Refuses with `Unauthenticated`, whatever is wrong with a token or proof, and
 * with `Unavailable` where the key set cannot be fetched or the replay store
 * does not answer. Throws `TypeError` for
 * options that contradict each other, such as a secret with an asymmetric
 * algorithm.
 *
 * ```ts
 * createJwtAuthInterceptor({
 *   jwksUri: "https://auth.acme.dev/.well-known/jwks.json",
 *   issuer: "https://auth.acme.dev/",
 *   audience: "https://api.acme.dev",
 *   algorithms: ["ES256"],
 * });
 * ```
 */
export function createJwtAuthInterceptor(options: JwtAuthInterceptorOptions): AuthInterceptor {
  checkKnownOptions("createJwtAuthInterceptor", options, optionNames);
  for (const name of ["issuer", "audience"] as const) {
    // an unset environment variable must not switch a check off
    if (name in options && !isNameOrNames(options[name])) {
      throw new TypeError(`${name} is given, but ${JSON.stringify(options[name])}`);
    }
  }
  const { issuer, audience, maxTokenAge, clockToleranceSeconds = 5 } = options;
  checkSeconds("clockToleranceSeconds", clockToleranceSeconds);
  const maxAgeSeconds =
    "maxTokenAge" in options ? parseDuration("maxTokenAge", maxTokenAge) : Number.POSITIVE_INFINITY;
  if (maxAgeSeconds === 0) {
    // jose takes it for no limit
    throw new TypeError(`maxTokenAge ${JSON.stringify(maxTokenAge)} must be above 0`);
  }
  const keys = resolveJwtKeys(options);
  const expectations: JwtExpectations = {
    clockToleranceSeconds,
    ...(issuer !== undefined && { issuer }),
    ...(audience !== undefined && { audience }),
    ...(maxTokenAge !== undefined && { maxTokenAge: maxAgeSeconds }),
  };
  const mapping = readClaimsMapping("claimsMapping", options.claimsMapping);
  const dpop =
    "dpop" in options ? createDpopVerifier(options.dpop, clockToleranceSeconds) : undefined;
  const verify: Verify = async (token) =>
    toIdentity(await verifyJwt(token, keys, expectations), mapping, "jwt");
  const { cache = { ttl: 30_000 } } = options;
  const identify = cacheIdentities(cache, verify, ({ claims }) =>
    validUntil(claims, maxAgeSeconds),
  );
  return createAuthenticatingInterceptor(
    createTokenAuthenticator((token, { signal }) => identify(token, signal), dpop),
    options,
  );
}

const optionNames: Record<keyof JwtAuthInterceptorOptions, true> = {
  jwksUri: true,
  secret: true,
  publicKey: true,
  algorithms: true,
  issuer: true,
  audience: true,
  claimsMapping: true,
  maxTokenAge: true,
  clockToleranceSeconds: true,
  dpop: true,
  cache: true,
  ...commonOptionNames,
};

/** Until when a verified token may be remembered, in milliseconds since 1970. */
function validUntil({ exp, iat }: AuthContext["claims"], maxAgeSeconds: number): number {
  return Math.min(Number(exp), Number(iat ?? 0) + maxAgeSeconds) * 1000;
}

function isNameOrNames(value: unknown): boolean {
  const names = [value].flat();
  return names.length > 0 && names.every((name) => typeof name === "string" && name !== "");
}
