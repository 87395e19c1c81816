import type { AuthContext } from "./auth-context.js";
import { invalidCredentials } from "./refusal.js";

/**
 * Returns what has a subject, roles and scopes. Throws `Unauthenticated` for
 * anything else, whatever the types say: it would pass where any identity does.
 */
export function checkIdentity(value: AuthContext): AuthContext {
  const { subject, roles, scopes }: Partial<AuthContext> = Object(value);
  if (typeof subject !== "string" || !subject || !Array.isArray(roles) || !Array.isArray(scopes)) {
    throw invalidCredentials("the authentication returned something that is no identity");
  }
  return value;
}
