import { type JWTPayload, SignJWT } from "jose";

/** The secret that test tokens are signed with. */
export const testSecret = "a secret of tests, known to everybody";

/** A token of `testSecret` that is valid for a minute, for the subject `user`. */
export function createTestToken(claims: JWTPayload = {}): Promise<string> {
  return new SignJWT({ sub: "user", ...claims })
    .setProtectedHeader({ alg: "HS256" })
    .setExpirationTime("60 s")
    .sign(new TextEncoder().encode(testSecret));
}
