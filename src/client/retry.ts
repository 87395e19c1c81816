import { Code, ConnectError } from "@connectrpc/connect";
import { type Challenge, parseChallenges } from "../credentials/challenge.js";
import { AuthError } from "../errors.js";
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
  for (let isRetry = false; ; isRetry = true) {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof ConnectError) || error.code !== Code.Unauthenticated) {
        throw error;
      }
      const [challenge] = parseChallenges(error.metadata.get(wwwAuthenticateHeader) ?? "");
      if (isRetry || !(await renew(challenge))) {
        error.cause ??= Object.assign(
          new AuthError("credentials_refused", "the server refused the credential"),
          { sent: true },
        );
        throw error;
      }
    }
  }
}
