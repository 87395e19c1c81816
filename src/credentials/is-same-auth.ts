import type { Auth } from "./auth.js";
import { staticHeaders } from "./auth-headers.js";

/**
 * Whether two credentials are the same on the wire. Proofs differ each time, so
 * they do not count.
 */
export function isSameAuth(a: Auth, b: Auth): boolean {
  return String([...staticHeaders(a)]) === String([...staticHeaders(b)]);
}
