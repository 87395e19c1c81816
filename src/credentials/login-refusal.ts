import { Code, ConnectError } from "@connectrpc/connect";
import { AuthError, isAuthError } from "../errors.js";

/** The other side refused what was sent: to send the same again would not help. */
export class LoginRefusal extends AuthError {}

/**
 * What a function of the user threw, as a `LoginRefusal` where it is one. All
 * else, such as a plain `Error`, may be a proxy, a network or a mistake, and says
 * nothing of a password or a refresh token.
 */
export function toRefusal(error: unknown): unknown {
  if (isAuthError(error) && error.code === "credentials_failed") {
    return new LoginRefusal(error.code, error.message, error.cause, error.retryAfterMs);
  }
  return error instanceof ConnectError && isRefusal(error)
    ? new LoginRefusal("credentials_failed", "the credential could not be obtained", error)
    : error;
}

function isRefusal({ code, cause }: ConnectError): boolean {
  if (isAuthError(cause) && !cause.sent) {
    return false; // nobody was asked
  }
  switch (code) {
    case Code.Unauthenticated:
    case Code.InvalidArgument:
    case Code.PermissionDenied:
    case Code.NotFound: // a method said so: one that is missing is Unimplemented
      return true;
    default:
      return false;
  }
}
