import { ConnectError } from "@connectrpc/connect";
import { type JWTPayload, type JWTVerifyGetKey, jwtVerify } from "jose";
import { maxCredentialBytes } from "../headers.js";
import type { JwtKeys } from "./jwt-keys.js";
import { invalidToken } from "./refusal.js";

/** What the claims of a token are compared with. */
export interface JwtExpectations {
  readonly issuer?: string | readonly string[];
  readonly audience?: string | readonly string[];
  readonly maxTokenAge?: number | string;
  readonly clockToleranceSeconds: number;
}

/** The claims of a verified token. `exp` is always there. */
export type VerifiedClaims = JWTPayload & { readonly exp: number };

/** RFC 7519 §5.1, RFC 9068 §2.1. Others are tokens of another kind, such as DPoP proofs. */
const tokenTypes = new Set(["jwt", "at+jwt"]);

/** Claims of id tokens (OpenID Connect Core §3.3.2.11) and security events (RFC 8417 §2.2), whose type may be JWT. */
const foreignClaims = ["at_hash", "c_hash", "s_hash", "events"];

/**
 * Verifies a signed token and its time claims (RFC 7519 §7.2, RFC 8725).
 * Throws `Unauthenticated` for a token that is not to be accepted,
 * `Unavailable` where its key cannot be fetched. Which key a token is bound to
 * (`cnf`) is not looked at here: `createTokenAuthenticator` does.
 */
export async function verifyJwt(
  token: string,
  keys: JwtKeys,
  expectations: JwtExpectations,
): Promise<VerifiedClaims> {
  const problem = formProblem(token);
  if (problem !== undefined) {
    throw invalidToken(`token: ${problem}`);
  }
  const { issuer, audience, maxTokenAge, clockToleranceSeconds } = expectations;
  const options = {
    algorithms: keys.algorithms,
    clockTolerance: clockToleranceSeconds,
    requiredClaims: ["exp"],
    ...(issuer !== undefined && { issuer: [issuer].flat() }),
    ...(audience !== undefined && { audience: [audience].flat() }),
    ...(maxTokenAge !== undefined && { maxTokenAge }),
  };
  let verified: Awaited<ReturnType<typeof jwtVerify>>;
  try {
    verified =
      typeof keys.key === "function"
        ? await jwtVerify(token, keys.key satisfies JWTVerifyGetKey, options)
        : await jwtVerify(token, keys.key, options);
  } catch (error) {
    if (error instanceof ConnectError) {
      throw error; // the key set says that it is down
    }
    throw invalidToken(`token: ${error instanceof Error ? error.message : "not verified"}`);
  }
  const { typ, b64 } = verified.protectedHeader;
  if (b64 !== undefined) {
    throw invalidToken('token: "b64" is an extension of JWS that is not known here (RFC 7797)');
  }
  if (typ !== undefined && !(typeof typ === "string" && tokenTypes.has(mediaType(typ)))) {
    throw invalidToken(`token: typ ${JSON.stringify(typ)} is another kind of token`);
  }
  return checkClaims(verified.payload, clockToleranceSeconds);
}

/**
 * What makes a text no signed token, before anything of it is read. Of several
 * spellings of the same bytes only one passes, so that a token can be a key.
 */
export function formProblem(token: string): string | undefined {
  if (token.length > maxCredentialBytes) {
    return `more than ${maxCredentialBytes} bytes`;
  }
  const segments = token.split(".");
  if (segments.length !== 3) {
    return `${segments.length} segments, a signed token has three`;
  }
  const isCanonical = (segment: string) =>
    /^[\w-]+$/.test(segment) && Buffer.from(segment, "base64url").toString("base64url") === segment;
  return segments.every(isCanonical) ? undefined : "a segment is not base64url (RFC 7515 §2)";
}

function mediaType(typ: string): string {
  // RFC 7515 §4.1.9: "application/" may be left out
  return typ.toLowerCase().replace(/^application\//, "");
}

function checkClaims(claims: JWTPayload, toleranceSeconds: number): VerifiedClaims {
  const foreign = foreignClaims.find((name) => Object.hasOwn(claims, name));
  if (foreign !== undefined) {
    throw invalidToken(`token: "${foreign}" is a claim of another kind of token`);
  }
  const { exp, iat } = claims;
  // a time that a Date can hold, ECMA-262 §21.4.1.1
  if (typeof exp !== "number" || !(Math.abs(exp) <= 8.64e12)) {
    throw invalidToken('token: "exp" is not a time');
  }
  const nowSeconds = Date.now() / 1000;
  if (iat !== undefined && !(typeof iat === "number" && iat <= nowSeconds + toleranceSeconds)) {
    throw invalidToken('token: "iat" is in the future');
  }
  return { ...claims, exp };
}
