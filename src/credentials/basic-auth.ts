import { AuthError } from "../errors.js";

/**
 * A user name and password as HTTP Basic authentication writes them, without
 * the scheme: `user:password` in UTF-8 and base64 (RFC 7617 §2, §2.1).
 *
 * Throws `AuthError` (`credentials_invalid`) for a user name with a colon, and
 * for control characters.
 */
export function encodeBasicAuth(user: string, password: string): string {
  if (user.includes(":") || /\p{Cc}/u.test(user + password)) {
    throw new AuthError(
      "credentials_invalid",
      "a user name must have no colon, and neither it nor a password control characters (RFC 7617 §2)",
    );
  }
  return btoa(String.fromCharCode(...new TextEncoder().encode(`${user}:${password}`)));
}
