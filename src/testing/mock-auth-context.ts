import { checkKnownOptions } from "../known-options.js";
import type { AuthContext } from "../server/auth-context.js";

/** The parts of an `AuthContext` that matter to a test. */
export type AuthContextOverrides = {
  readonly [K in keyof AuthContext]?: AuthContext[K] | undefined;
};

/**
 * An identity for tests: subject `test-user`, name `Test User`, roles
 * `["user"]`, scopes `["read"]`, no claims, type `test`, and whatever is given
 * in place of these. `undefined` leaves the default, but `name: undefined` is
 * an identity without a name. Throws `TypeError` for a field that there is not.
 *
 * ```ts
 * const admin = createMockAuthContext({ subject: "alice", roles: ["admin"] });
 * ```
 */
export function createMockAuthContext(overrides: AuthContextOverrides = {}): AuthContext {
  checkKnownOptions("createMockAuthContext", overrides, fieldNames);
  const {
    subject = "test-user",
    roles = ["user"],
    scopes = ["read"],
    claims = {},
    type = "test",
    expiresAt,
  } = overrides;
  const name = "name" in overrides ? overrides.name : "Test User";
  return {
    subject,
    ...(name !== undefined && { name }),
    roles,
    scopes,
    claims,
    type,
    ...(expiresAt !== undefined && { expiresAt }),
  };
}

const fieldNames: Record<keyof AuthContext, true> = {
  subject: true,
  name: true,
  roles: true,
  scopes: true,
  claims: true,
  type: true,
  expiresAt: true,
};
