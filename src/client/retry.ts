import { Code, ConnectError } from "@connectrpc/connect";
import { type Challenge, parseChallenges } from "../credentials/challenge.js";
import { AuthError, isAuthError, toConnectError } from "../errors.js";
import { wwwAuthenticateHeader } from "../headers.js";

/**
 * Calls, and calls once more if the answer is `Unauthenticated` and `renew`
 * came up with another credential. What `renew` throws takes the place of the
 * answer. A refusal that stays gets an `AuthError` (`credentials_refused`) as
 * its cause.
 */
export async function retryAfterUnauthenticated<T>(
  call: () => Promise<T>,
  renew: (challenge: Challenge | undefined) => Promise<boolean>,
): Promise<T> {
  try {
    return await call();
  } catch (error) {
    const refusal = refusalOf(error);
    if (refusal === undefined || !(await renewed(renew, challengeOf(refusal)))) {
      throw error;
    }
  }
  try {
    return await call();
  } catch (error) {
    refusalOf(error);
    throw error;
  }
}

async function renewed(
  renew: (challenge: Challenge | undefined) => Promise<boolean>,
  challenge: Challenge | undefined,
): Promise<boolean> {
  try {
    return await renew(challenge);
  } catch (error) {
    if (isAuthError(error)) {
      const { code, message, cause } = error;
      throw toConnectError(new AuthError(code, message, { sent: true, cause }));
    }
    throw error;
  }
}

/** The error, if it says that the server refused the credential. */
function refusalOf(error: unknown): ConnectError | undefined {
  if (!(error instanceof ConnectError) || error.code !== Code.Unauthenticated) {
    return undefined;
  }
  error.cause ??= new AuthError("credentials_refused", "the server refused the credential", {
    sent: true,
  });
  return error;
}

function challengeOf(refusal: ConnectError): Challenge | undefined {
  return parseChallenges(refusal.metadata.get(wwwAuthenticateHeader) ?? "")[0];
}
