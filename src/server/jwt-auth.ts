import { checkKnownOptions } from "../known-options.js";
import type { AuthContext } from "./auth-context.js";
import { type AuthInterceptor, createAuthenticatingInterceptor } from "./authenticate.js";
import { type JwtKeyOptions, resolveJwtKeys } from "./jwt-keys.js";
import { invalidToken } from "./refusal.js";
import { createTokenAuthenticator } from "./token-auth.js";
import { createDpopVerifier, type DpopOptions } from "./verify-dpop.js";
import { type JwtExpectations, type VerifiedClaims, verifyJwt } from "./verify-jwt.js";

/**
 * Which claims an identity is read from. Dots go into objects:
 * `realm_access.roles`. A claim whose own name has dots or is a URL is found
 * by its whole name first.
 */
export interface ClaimsMapping {
  /** A string. Default: `sub`. */
  readonly subject?: string;
  /** A string. Default: `name`. */
  readonly name?: string;
  /** An array of strings; anything else is no role. Default: `roles`. */
  readonly roles?: string;
  /** Scopes separated by spaces, or an array of strings. Default: `scope`. */
  readonly scopes?: string;
}

/** Options of `createJwtAuthInterceptor`. */
export interface JwtAuthInterceptorOptions extends JwtKeyOptions {
  /** Accepted values of `iss`. Default: any, which is only safe where the keys sign for one issuer. */
  readonly issuer?: string | readonly string[];
  /**
   * Names of this server, of which `aud` must have one. Default: not checked,
   * and then a token that was issued for another server passes here.
   */
  readonly audience?: string | readonly string[];
  /** Which claims the identity is read from. */
  readonly claimsMapping?: ClaimsMapping;
  /** How long ago `iat` may be: seconds, or text such as `2h`. Default: not checked. */
  readonly maxTokenAge?: number | string;
  /** How far clocks may differ for `exp`, `nbf` and `iat`, in seconds. Default: 5. */
  readonly clockToleranceSeconds?: number;
  /** Methods that need no credential, as method patterns. Default: none. */
  readonly skipMethods?: readonly string[];
  /** Also accepts tokens that are bound to a key of the client (RFC 9449). Default: they are refused. */
  readonly dpop?: DpopOptions;
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
  for (const name of ["issuer", "audience", "algorithms"] as const) {
    // an unset environment variable must not switch a check off
    if (name in options && isNothing(options[name])) {
      throw new TypeError(`${name} is given, but ${JSON.stringify(options[name]) ?? "undefined"}`);
    }
  }
  const { issuer, audience, maxTokenAge, clockToleranceSeconds = 5 } = options;
  checkDuration("clockToleranceSeconds", clockToleranceSeconds);
  if ("maxTokenAge" in options) {
    checkDuration("maxTokenAge", maxTokenAge);
  }
  const keys = resolveJwtKeys(options);
  const expectations: JwtExpectations = {
    clockToleranceSeconds,
    ...(issuer !== undefined && { issuer }),
    ...(audience !== undefined && { audience }),
    ...(maxTokenAge !== undefined && { maxTokenAge }),
  };
  const mapping = options.claimsMapping ?? {};
  const dpop =
    "dpop" in options ? createDpopVerifier(options.dpop, clockToleranceSeconds) : undefined;
  return createAuthenticatingInterceptor(
    createTokenAuthenticator(
      async (token) => toContext(await verifyJwt(token, keys, expectations), mapping),
      dpop,
    ),
    options.skipMethods,
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
  skipMethods: true,
  dpop: true,
};

/** Seconds, or for `maxTokenAge` the forms of text that jose reads. */
function checkDuration(name: "clockToleranceSeconds" | "maxTokenAge", value: unknown): void {
  const isSeconds = typeof value === "number" && Number.isFinite(value) && value >= 0;
  const isText =
    name === "maxTokenAge" &&
    typeof value === "string" &&
    /^\d+(\.\d+)? ?(s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?|w|weeks?|y|yrs?|years?)$/i.test(
      value,
    );
  if (!isSeconds && !isText) {
    const shown = typeof value === "string" ? JSON.stringify(value) : String(value);
    throw new TypeError(
      `${name} ${shown} must be a number of seconds${name === "maxTokenAge" ? ', or text such as "2h"' : ""}`,
    );
  }
}

function isNothing(value: unknown): boolean {
  return value === undefined || [value].flat().some((item) => item === "" || item === undefined);
}

function toContext(claims: VerifiedClaims, mapping: ClaimsMapping): AuthContext {
  const subjectPath = mapping.subject ?? "sub";
  const subject = claimAt(claims, subjectPath);
  if (typeof subject !== "string" || subject === "") {
    throw invalidToken(`token: no subject in "${subjectPath}"`);
  }
  const name = claimAt(claims, mapping.name ?? "name");
  const scopes = claimAt(claims, mapping.scopes ?? "scope");
  return {
    subject,
    ...(typeof name === "string" && { name }),
    roles: strings(claimAt(claims, mapping.roles ?? "roles")),
    scopes: typeof scopes === "string" ? scopes.split(" ").filter(Boolean) : strings(scopes),
    claims,
    type: "jwt",
    expiresAt: new Date(claims.exp * 1000),
  };
}

function strings(value: unknown): string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string") ? value : [];
}

/** Reads own properties only: what a prototype has was not in the token. */
function claimAt(claims: object, path: string): unknown {
  if (Object.hasOwn(claims, path)) {
    return Reflect.get(claims, path);
  }
  return path.split(".").reduce<unknown>((value, key) => {
    const isObject = typeof value === "object" && value !== null;
    return isObject && Object.hasOwn(value, key) ? Reflect.get(value, key) : undefined;
  }, claims);
}
