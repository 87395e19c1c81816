import { isDate } from "node:util/types";
import type { AuthContext } from "./auth-context.js";
import { checkIdentity } from "./check-identity.js";
import { invalidCredentials, toRefusal } from "./refusal.js";

/**
 * Asks a function of the user's who a credential stands for; `what` is its
 * name. Throws `Unauthenticated` where it throws, or returns no identity or one
 * that has expired; what it throws as `Unavailable` or `PermissionDenied` stays.
 */
export async function askForIdentity(
  what: string,
  ask: () => AuthContext | Promise<AuthContext>,
): Promise<AuthContext> {
  let identity: AuthContext;
  try {
    identity = checkIdentity(await ask());
  } catch (error) {
    throw toRefusal(error, what);
  }
  const { expiresAt } = identity;
  if (expiresAt !== undefined && !(isDate(expiresAt) && expiresAt.getTime() > Date.now())) {
    throw invalidCredentials(`${what}: "expiresAt" has passed, or is no Date`);
  }
  return identity;
}
