import type { Auth, AuthRequest, CredentialSource, MethodPolicy } from "../../src/index.js";
import { authRequest } from "./auth-request.js";

/** Asks a credential, as a client does for a call of a method with these scopes. */
export async function getAuth(
  credentials: CredentialSource,
  scopes: readonly string[] = [],
  init?: Partial<AuthRequest>,
): Promise<Auth> {
  return credentials.getAuth(authRequest({ policy: policyOf(scopes), ...init }));
}

/** The token of a credential. */
export function tokenOf(auth: Auth): string {
  if (!("token" in auth)) {
    throw new Error(`a credential of type ${auth.type} has no token`);
  }
  return auth.token;
}

const policies = new Map<string, MethodPolicy>();

/** One for each list of scopes: that of a method is always the same object. */
function policyOf(scopes: readonly string[]): MethodPolicy {
  const key = scopes.join(" ");
  const policy = policies.get(key) ?? { kind: "requires", roles: [], scopes };
  policies.set(key, policy);
  return policy;
}
