import {
  calculateJwkThumbprint,
  EmbeddedJWK,
  type JWTPayload,
  type JWTVerifyGetKey,
  jwtVerify,
} from "jose";
import { maxCredentialBytes } from "../headers.js";
import { invalidDpopProof } from "./refusal.js";
import { formProblem } from "./verify-jwt.js";

/** A proof whose signature verifies. What it is for is not yet checked. */
export interface DpopProof {
  /** The thumbprint of its key (RFC 7638). */
  readonly jkt: string;
  readonly jti: string;
  readonly iat: number;
  readonly claims: JWTPayload;
}

const maxJtiLength = 256;
/** RFC 7518 §6.2.2, §6.3.2 and §6.4. */
const secretMembers = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"];

/**
 * Verifies the value of a `DPoP` header by itself: that it is one well-formed
 * proof, signed with the key that it brings (RFC 9449 §4.3, checks 1 to 7).
 * Throws `Unauthenticated`.
 */
export async function parseDpopProof(
  value: string | null,
  algorithms: string[],
  clockToleranceSeconds: number,
): Promise<DpopProof> {
  const refuse = (reason: string) => invalidDpopProof(`proof: ${reason}`, algorithms.join(" "));
  if (value === null) {
    throw refuse("there is no DPoP header");
  }
  if (value.includes(",")) {
    throw refuse("more than one in the DPoP header"); // check 1
  }
  if (value.length > maxCredentialBytes) {
    throw refuse(`more than ${maxCredentialBytes} bytes`);
  }
  const problem = formProblem(value); // check 2
  if (problem !== undefined) {
    throw refuse(problem);
  }
  let claims: JWTPayload;
  let jkt: string;
  try {
    const { payload, protectedHeader } = await jwtVerify(value, publicKeyOfProof, {
      requiredClaims: ["jti", "htm", "htu", "iat"], // check 3
      typ: "dpop+jwt", // check 4
      algorithms, // check 5
      clockTolerance: clockToleranceSeconds,
    });
    claims = payload;
    jkt = await calculateJwkThumbprint(protectedHeader.jwk ?? {});
  } catch (error) {
    // also TypeError and DOMException, for keys that are malformed
    throw refuse(error instanceof Error ? error.message : "not verified");
  }
  const { jti, iat } = claims;
  if (typeof jti !== "string" || jti === "" || jti.length > maxJtiLength) {
    throw refuse(`"jti" is not text of 1 to ${maxJtiLength} characters`); // check 3
  }
  if (typeof iat !== "number") {
    throw refuse('"iat" is not a time'); // check 3
  }
  return { jkt, jti, iat, claims };
}

/** The key that a proof is verified with is its own (check 6), and public (check 7). */
const publicKeyOfProof: JWTVerifyGetKey = (header, token) => {
  const jwk = header?.jwk;
  const secret = secretMembers.find((name) => Object.hasOwn(jwk ?? {}, name));
  if (secret !== undefined) {
    throw new TypeError(`"jwk" has "${secret}", which is of a private or symmetric key`);
  }
  return EmbeddedJWK(header, token);
};
