import { AuthError } from "../errors.js";

/**
 * A user name and password as HTTP Basic wants them after `Basic `: the Base64
 * of `user:password` in UTF-8 (RFC 7617 §2, §2.1). For a login endpoint that
 * asks for them in a header. Calls do not carry them: see `passwordLogin`.
 *
 * Throws `AuthError` (`credentials_invalid`) for a user name with a colon, and
 * for control characters.
 *
 * ```ts
 * headers.set("authorization", `Basic ${encodeBasicAuth(user, password)}`);
 * ```
 */
export function encodeBasicAuth(user: string, password: string): string {
  for (const [name, value] of Object.entries({ "user name": user, password })) {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    if (typeof value !== "string" || /[\0-\x1f\x7f]/.test(value)) {
      throw invalid(`a ${name} must be text without control characters`);
    }
  }
  if (user.includes(":")) {
    throw invalid("a user name with a colon cannot be told from the password");
  }
  const bytes = new TextEncoder().encode(`${user}:${password}`);
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}

function invalid(message: string): AuthError {
  return new AuthError("credentials_invalid", `${message} (RFC 7617 §2)`);
}
