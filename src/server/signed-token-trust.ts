import { decodeJwt } from "jose";
import { authorizationHeader } from "../headers.js";
import { checkKnownOptions } from "../known-options.js";
import type { Authenticator } from "./authenticate.js";
import { bearerChallenge } from "./challenge.js";
import { checkHeaderName, checkOwnHeader, hiddenHeaders } from "./check-header-name.js";
import { type ClaimsMapping, readClaimsMapping, toIdentity } from "./claims-mapping.js";
import { type Grants, readNames } from "./grants.js";
import { type CacheOptions, cacheIdentities, type Verify } from "./identity-cache.js";
import { type JwtKeyOptions, type JwtKeys, resolveJwtKeys } from "./jwt-keys.js";
import { checkSeconds } from "./parse-duration.js";
import { readAuthScheme, readToken } from "./read-credentials.js";
import { invalidToken, rechallenge } from "./refusal.js";
import { formProblem, verifyJwt } from "./verify-jwt.js";

/** An issuer of tokens for services, and what its tokens count for. */
export interface SignedTokenIssuer extends JwtKeyOptions, Grants {
  /**
   * Names of this server, of which `aud` must have one. There is no default:
   * without it, a service that gets a token could call this one with it.
   */
  readonly audience: string | readonly string[];
  /**
   * The services that may call: accepted subjects. Default: all, which is only
   * safe where the issuer gives tokens of this audience to services alone. One
   * that has users too makes each of them an internal caller.
   */
  readonly subjects?: readonly string[];
  /** Which claims the identity is read from. */
  readonly claimsMapping?: ClaimsMapping;
  /** Roles of all its callers, in place of those in the token. Default: those in the token. */
  readonly roles?: readonly string[];
  /** Scopes of all its callers, in place of those in the token. Default: those in the token. */
  readonly scopes?: readonly string[];
}

/** Options of `signedTokenTrust`. */
export interface SignedTokenTrustOptions {
  /** The issuers that are trusted, by the `iss` of their tokens, which must be equal to the letter. */
  readonly issuers: Readonly<Record<string, SignedTokenIssuer>>;
  /**
   * Where the token is, with or without `Bearer` before it; in
   * `authorization`, always with it. Default: `x-internal-token`.
   */
  readonly header?: string;
  /** How far clocks may differ for `exp`, `nbf` and `iat`, in seconds. Default: 5. */
  readonly clockToleranceSeconds?: number;
  /**
   * Remembers tokens that were verified, so that a repeated one costs little.
   * Default: `{ ttl: 30_000, maxSize: 10_000 }`. `false`: every token is
   * verified every time.
   */
  readonly cache?: CacheOptions | false;
  /** `AuthContext.type`. Default: `service`. */
  readonly type?: string;
}

const defaultHeader = "x-internal-token";

/**
 * Trusts other services by a JSON Web Token that one of several issuers signed
 * for them: `Auth.header("x-internal-token", jwt)` on the client side. For
 * `createInternalAuthInterceptor`, and `internal` of `createServerAuth`.
 *
 * Each issuer has keys of its own, and a token counts only with a key of the
 * issuer that it names. What `createJwtAuthInterceptor` asks of a token holds
 * here too: a signature of a known algorithm, an `exp` that has not passed, a
 * subject; tokens bound to a key (`cnf`) are refused. Two issuers may use the
 * same subject: `AuthContext.claims.iss` tells them apart.
 *
 * Refuses with `Unauthenticated`, whatever is wrong with a token, and with
 * `Unavailable` where the key set of its issuer cannot be fetched. Throws
 * `TypeError` where there is no issuer, and for one without an audience.
 *
 * ```ts
 * signedTokenTrust({
 *   issuers: {
 *     "https://auth.acme.dev/": {
 *       jwksUri: "https://auth.acme.dev/.well-known/jwks.json",
 *       audience: "https://users.acme.internal",
 *       subjects: ["indexer", "billing"],
 *     },
 *   },
 * });
 * ```
 */
export function signedTokenTrust(options: SignedTokenTrustOptions): Authenticator {
  checkKnownOptions("signedTokenTrust", options, optionNames);
  const { clockToleranceSeconds = 5, cache = { ttl: 30_000 }, type = "service" } = options;
  checkSeconds("clockToleranceSeconds", clockToleranceSeconds);
  const header = checkHeaderName("header", options.header ?? defaultHeader);
  const isShared = header === authorizationHeader;
  if (!isShared) {
    checkOwnHeader("header", header);
  }
  const issuers = readIssuers(options.issuers);

  const verify: Verify = async (token) => {
    const issuer = issuers.get(issuerIn(token));
    if (issuer === undefined) {
      throw invalidToken("token: its issuer is not one of those that are trusted");
    }
    const { name, keys, audience, claimsMapping, subjects, roles, scopes } = issuer;
    const expectations = { issuer: name, audience, clockToleranceSeconds };
    const claims = await verifyJwt(token, keys, expectations);
    // RFC 9449 §7.2, RFC 8705 §3: a token bound to a key does not count without that key
    if (claims.cnf !== undefined) {
      throw invalidToken('token: bound to a key ("cnf"), so not a bearer token');
    }
    const identity = toIdentity(claims, claimsMapping, type);
    if (subjects?.includes(identity.subject) === false) {
      throw invalidToken(`token: subject ${JSON.stringify(identity.subject)} may not call`);
    }
    return { ...identity, ...(roles && { roles }), ...(scopes && { scopes }) };
  };
  const identify = cacheIdentities(cache, verify);

  return {
    // Authorization is for others too, on methods of users
    identityHeaders: isShared ? [] : hiddenHeaders(header),
    ...(isShared && { challenge: bearerChallenge() }),
    async authenticate(call) {
      if (isShared) {
        const isBearer = readAuthScheme(call.header) === "bearer";
        return isBearer ? identify(readToken(call.header, "Bearer"), call.signal) : undefined;
      }
      const value = call.header.get(header);
      if (value === null) {
        return undefined;
      }
      try {
        return await identify(value.replace(/^bearer +/i, ""), call.signal);
      } catch (error) {
        throw rechallenge(error, []); // it is not Authorization that was wrong
      }
    },
  };
}

const optionNames: Record<keyof SignedTokenTrustOptions, true> = {
  issuers: true,
  header: true,
  clockToleranceSeconds: true,
  cache: true,
  type: true,
};

/** The issuer that a token names, which nothing has proved yet. Throws `Unauthenticated` where it names none. */
function issuerIn(token: string): string {
  const problem = formProblem(token);
  if (problem !== undefined) {
    throw invalidToken(`token: ${problem}`);
  }
  let iss: unknown;
  try {
    iss = decodeJwt(token).iss;
  } catch {
    throw invalidToken("token: the payload is no JSON object");
  }
  if (typeof iss !== "string") {
    throw invalidToken('token: "iss" is no string');
  }
  return iss;
}

/** An issuer whose options were checked. */
interface TrustedIssuer extends SignedTokenIssuer {
  readonly name: string;
  readonly keys: JwtKeys;
  readonly claimsMapping: ClaimsMapping;
}

const issuerOptionNames: Record<keyof SignedTokenIssuer, true> = {
  jwksUri: true,
  secret: true,
  publicKey: true,
  algorithms: true,
  audience: true,
  subjects: true,
  claimsMapping: true,
  roles: true,
  scopes: true,
};

function readIssuers(issuers: SignedTokenTrustOptions["issuers"]): Map<string, TrustedIssuer> {
  // own properties in a map: no "iss" is the name of something that a prototype has
  const names = Object.keys(Object(issuers));
  if (names.length === 0 || names.includes("")) {
    throw new TypeError("issuers must be an object of one or more issuers, by their names");
  }
  return new Map(Object.entries(issuers).map(([name, issuer]) => [name, readIssuer(name, issuer)]));
}

function readIssuer(name: string, options: SignedTokenIssuer): TrustedIssuer {
  const where = `issuers[${JSON.stringify(name)}]`;
  checkKnownOptions(where, options, issuerOptionNames);
  const audience = readNames(`${where}.audience`, [options.audience].flat());
  if (audience.length === 0) {
    throw new TypeError(`${where}.audience [] must name this server`);
  }
  let keys: JwtKeys;
  try {
    keys = resolveJwtKeys(options);
  } catch (error) {
    throw error instanceof TypeError ? new TypeError(`${where}: ${error.message}`) : error;
  }
  return {
    name,
    keys,
    audience,
    // a list that is undefined by mistake must not switch a check off
    ...("subjects" in options && { subjects: readNames(`${where}.subjects`, options.subjects) }),
    ...("roles" in options && { roles: readNames(`${where}.roles`, options.roles) }),
    ...("scopes" in options && { scopes: readNames(`${where}.scopes`, options.scopes) }),
    claimsMapping: readClaimsMapping(`${where}.claimsMapping`, options.claimsMapping),
  };
}
