import type { Auth } from "./auth.js";
import type { AuthRequest, Credentials } from "./auth-provider.js";
import { obtain } from "./obtain.js";

/** Gets the credential for a call. Throws like `obtain`. */
export function askForAuth(credentials: Credentials, request: AuthRequest): Promise<Auth> | Auth {
  return isConstant(credentials)
    ? credentials
    : obtain(request.signal, () =>
        typeof credentials === "function" ? credentials(request) : credentials.getAuth(request),
      );
}

/** Whether these credentials are always the same. */
export function isConstant(credentials: Credentials): credentials is Auth {
  return typeof credentials !== "function" && !("getAuth" in Object(credentials));
}
