import { ConnectError } from "@connectrpc/connect";
import { checkKnownOptions } from "../known-options.js";
import type { AuthContext } from "./auth-context.js";
import {
  type AuthInterceptor,
  type CommonAuthOptions,
  commonOptionNames,
  createAuthenticatingInterceptor,
} from "./authenticate.js";
import { checkIntrospection } from "./check-introspection.js";
import { type ClaimsMapping, readClaimsMapping, toIdentity } from "./claims-mapping.js";
import {
  type CacheOptions,
  cacheIdentities,
  type Identify,
  type Verify,
} from "./identity-cache.js";
import {
  createIntrospectionEndpoint,
  type IntrospectionAnswer,
  type IntrospectionEndpointOptions,
} from "./introspection-endpoint.js";
import { checkSeconds } from "./parse-duration.js";
import { cannotVerify, invalidToken } from "./refusal.js";
import { rememberRefusals } from "./remember-refusals.js";
import { createTokenAuthenticator } from "./token-auth.js";
import { createDpopVerifier, type DpopOptions } from "./verify-dpop.js";

/** Options of `createIntrospectionAuthInterceptor`. */
export interface IntrospectionAuthInterceptorOptions
  extends IntrospectionEndpointOptions,
    CommonAuthOptions {
  /**
   * Names of this server, of which `aud` must have one. Default: `clientId`.
   * `false`: not checked, and then a token that was issued for another server
   * passes here, where the authorization server tells this one about it.
   */
  readonly audience?: string | readonly string[] | false;
  /**
   * Which members of the answer the identity is read from. Default of
   * `subject`: `sub`, or `client_id` where there is neither `sub` nor
   * `username`; `AuthContext.type` is `introspection-client` then.
   */
  readonly claimsMapping?: ClaimsMapping;
  /** How far clocks may differ for `exp`, `nbf` and `iat`, in seconds. Default: 5. */
  readonly clockToleranceSeconds?: number;
  /** Also accepts tokens that are bound to a key of the client (RFC 9449). Default: they are refused. */
  readonly dpop?: DpopOptions;
  /**
   * Remembers what was answered, so that a repeated token costs no request: a
   * token that is accepted for `ttl`, one that is refused for 5 s at most.
   * Proofs are judged each time. Default: `{ ttl: 30_000, maxSize: 10_000 }`.
   * `false`: every call asks, and a token that is revoked passes no more.
   */
  readonly cache?: CacheOptions | false;
}

/**
 * Authenticates callers by an access token in `Authorization: Bearer` that only
 * the authorization server can judge: it is asked (RFC 7662). Tokens bound to a
 * key (`cnf`) are refused there: they are no bearer tokens. With `dpop` they
 * pass in `Authorization: DPoP`, each call with a fresh proof of the key.
 *
 * Refuses with `Unauthenticated` a token that is not active, has expired, is of
 * another issuer or audience or of another kind, and with `Unavailable` where
 * the authorization server does not say. Tokens that are known go on working
 * meanwhile, for as long as `cache` says. Throws `TypeError` for wrong options.
 *
 * Do not use it for tokens that are JWTs, unless a token that is revoked must
 * stop working at once: `createJwtAuthInterceptor` asks nobody.
 *
 * ```ts
 * createIntrospectionAuthInterceptor({
 *   issuer: "https://auth.acme.dev",
 *   clientId: "orders-api",
 *   clientSecret,
 *   audience: "https://api.acme.dev",
 * });
 * ```
 */
export function createIntrospectionAuthInterceptor(
  options: IntrospectionAuthInterceptorOptions,
): AuthInterceptor {
  checkKnownOptions("createIntrospectionAuthInterceptor", options, optionNames);
  const { issuer, clockToleranceSeconds = 5 } = options;
  const { cache = { ttl: 30_000 } } = options;
  checkSeconds("clockToleranceSeconds", clockToleranceSeconds);
  const mapping = readClaimsMapping("claimsMapping", options.claimsMapping);
  const introspect = createIntrospectionEndpoint(options);
  const expectations = {
    audience: "audience" in options ? audienceOf(options.audience) : [options.clientId],
    clockToleranceSeconds,
    ...(issuer !== undefined && { issuer }),
  };
  const dpop =
    "dpop" in options ? createDpopVerifier(options.dpop, clockToleranceSeconds) : undefined;

  const verify: Verify = async (token) => {
    // RFC 6750 §2.1, RFC 9449 §7.1: no access token looks otherwise
    if (!/^[\w\-.~+/]+=*$/.test(token)) {
      throw invalidToken("token: characters that no access token has");
    }
    const answer = await introspect(token);
    try {
      checkIntrospection(answer, expectations);
      return identityIn(answer, mapping);
    } catch (error) {
      // nested too deep, say
      throw error instanceof ConnectError ? error : cannotVerify("introspection: unusable answer");
    }
  };
  const identify =
    cache === false ? cacheIdentities(cache, verify) : rememberAnswers(cache, verify);
  return createAuthenticatingInterceptor(
    createTokenAuthenticator((token, { signal }) => identify(token, signal), dpop),
    options,
  );
}

const optionNames: Record<keyof IntrospectionAuthInterceptorOptions, true> = {
  introspectionEndpoint: true,
  issuer: true,
  clientId: true,
  clientSecret: true,
  clientAuthentication: true,
  audience: true,
  claimsMapping: true,
  clockToleranceSeconds: true,
  dpop: true,
  cache: true,
  timeoutMs: true,
  maxConcurrentRequests: true,
  fetch: true,
  ...commonOptionNames,
};

function audienceOf(audience: IntrospectionAuthInterceptorOptions["audience"]) {
  const names = [audience].flat();
  if (audience === false) {
    return audience;
  }
  // an unset environment variable must not switch the check off
  if (names.length === 0 || !names.every(isName)) {
    throw new TypeError(
      `audience ${JSON.stringify(audience)} must be one or more names, or false for no check`,
    );
  }
  return names;
}

function isName(value: unknown): value is string {
  return typeof value === "string" && value !== "";
}

/** Who the answer is about. A client that acts for nobody has no `sub` with some servers. */
function identityIn(answer: IntrospectionAnswer, mapping: ClaimsMapping): AuthContext {
  const { sub, username } = answer;
  // where a user is named, the client's id would stand for all its users
  const isClient = mapping.subject === undefined && sub === undefined && username === undefined;
  return isClient
    ? toIdentity(answer, { ...mapping, subject: "client_id" }, "introspection-client")
    : toIdentity(answer, mapping, "introspection");
}

function rememberAnswers(cache: CacheOptions, verify: Verify): Identify {
  const accepted = cacheIdentities(cache, (token) => refused(token));
  const { ttl, maxSize = 10_000 } = cache;
  const memory = { refusedMs: Math.min(ttl, 5_000), unavailableMs: Math.min(ttl, 1_000), maxSize };
  const refused = rememberRefusals(memory, verify);
  return accepted;
}
