import { checkKnownOptions } from "../known-options.js";
import { checkClaims, signClaims, type TestClaims, type TestTokenOptions } from "./sign-claims.js";

/**
 * The secret of `createTestJwt`, long enough for HS256, HS384 and HS512.
 * Everybody can read it here: a real server that accepts it lets everybody in.
 */
export const TEST_JWT_SECRET =
  "the published secret of connectrpc-auth/testing, which only tests may accept";

/** Options of `createTestJwt`. They count more than claims of the same meaning. */
export interface TestJwtOptions extends TestTokenOptions {
  /** Who issued the token: `iss`. Default: that of the payload. */
  readonly issuer?: string;
}

/**
 * A JSON Web Token that is signed with `TEST_JWT_SECRET` (HS256), issued now
 * and valid for an hour. It says what the payload says and nothing else: without
 * a `sub` servers refuse it, as they should, and a claim that is `undefined` is
 * left out. To see a server accept keys of an issuer, use `startTestIssuer`.
 *
 * Throws `TypeError` for an unknown option, and an `expiresIn` that is no time.
 *
 * ```ts
 * const authenticate = createJwtAuthInterceptor({ secret: TEST_JWT_SECRET });
 * const token = await createTestJwt({ sub: "alice", roles: ["admin"], scope: "users:write" });
 * const expired = await createTestJwt({ sub: "alice" }, { expiresIn: "-1m" });
 * ```
 */
export async function createTestJwt(
  payload: TestClaims,
  options: TestJwtOptions = {},
): Promise<string> {
  checkClaims("payload", payload);
  checkKnownOptions("createTestJwt", options, optionNames);
  const { issuer, audience, expiresIn } = options;
  return signClaims(
    {
      ...payload,
      ...(issuer !== undefined && { iss: issuer }),
      ...(audience !== undefined && { aud: audience }),
    },
    {
      key: new TextEncoder().encode(TEST_JWT_SECRET),
      header: { alg: "HS256", typ: "JWT" },
      expiresIn,
    },
  );
}

const optionNames: Record<keyof TestJwtOptions, true> = {
  expiresIn: true,
  issuer: true,
  audience: true,
};
