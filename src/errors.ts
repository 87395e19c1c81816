import { Code, ConnectError } from "@connectrpc/connect";

/**
 * Why a call got no credential, or was refused with one.
 *
 * | code | what happened | Connect code |
 * |---|---|---|
 * | `credentials_missing` | the method needs `credentials` or `internalCredentials`, the client has none | `Unauthenticated` |
 * | `credentials_invalid` | a credential is empty, too large, not sendable, or of a kind that does not travel with a call | `Unauthenticated` |
 * | `credentials_failed` | the function or object that provides the credential threw | `Unauthenticated` |
 * | `credentials_unavailable` | the provider threw `Unavailable`: a token endpoint is down | `Unavailable` |
 * | `credentials_refused` | the server answered `Unauthenticated` to the credential | `Unauthenticated` |
 * | `insecure_transport` | the URL is plain http and not loopback | `Unauthenticated` |
 * | `foreign_origin` | the URL has another origin than `baseUrl` | `Unauthenticated` |
 */
export type AuthErrorCode =
  | "credentials_missing"
  | "credentials_invalid"
  | "credentials_failed"
  | "credentials_unavailable"
  | "credentials_refused"
  | "insecure_transport"
  | "foreign_origin";

/**
 * What went wrong with the credential of a call. It is the `cause` of the
 * `ConnectError` that the call throws. Messages hold no secret.
 *
 * ```ts
 * try {
 *   await users.deleteUser({ id });
 * } catch (error) {
 *   const cause = ConnectError.from(error).cause;
 *   if (isAuthError(cause) && cause.code === "credentials_refused") signIn();
 * }
 * ```
 */
export class AuthError extends Error {
  override readonly name = "AuthError";
  declare readonly code: AuthErrorCode;
  /** Whether anything of the call left the process before it failed. */
  sent = false;
  /** After how many milliseconds the server that issues tokens wants to be asked again. */
  declare readonly retryAfterMs: number | undefined;

  constructor(code: AuthErrorCode, message: string, cause?: unknown, retryAfterMs?: number) {
    super(message, { cause });
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }
}

/** Whether a value is an `AuthError`, also one of another copy of this package. */
export function isAuthError(value: unknown): value is AuthError {
  return value instanceof Error && value.name === "AuthError" && "sent" in value;
}

/** The error of a call: a `ConnectError` for an `AuthError`, anything else as it is. */
export function toCallError(error: unknown, sent: boolean): unknown {
  if (!isAuthError(error)) {
    return error;
  }
  const { message, code, cause, retryAfterMs } = error;
  // a copy: many calls may wait for one token, and fail with one error
  const own = new AuthError(code, message, cause, retryAfterMs);
  own.sent = sent;
  return new ConnectError(
    message,
    code === "credentials_unavailable" ? Code.Unavailable : Code.Unauthenticated,
    undefined,
    undefined,
    own,
  );
}

/** Runs a check of a constant option: what it finds wrong is a `TypeError` that names the option. */
export function checkOption<T>(option: string, check: () => T): T {
  try {
    return check();
  } catch (error) {
    throw isAuthError(error) ? new TypeError(`${option}: ${error.message}`) : error;
  }
}
