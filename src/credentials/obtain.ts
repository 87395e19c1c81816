import { Code, ConnectError } from "@connectrpc/connect";
import { AuthError, isAuthError } from "../errors.js";

/**
 * Asks code of the user. What it throws becomes an `AuthError`, so that a code
 * such as `NotFound`, of a login server say, is not taken for an answer to the
 * call. The wait ends when the signal says so.
 */
export async function obtain<T>(signal: AbortSignal, ask: () => T | PromiseLike<T>): Promise<T> {
  try {
    signal.throwIfAborted();
    const answer = ask();
    // most of the time there is a token at hand, and nothing to wait for
    return "then" in Object(answer)
      ? await new Promise((resolve, reject) => {
          // the signal ends with the call, and so does the listener
          signal.addEventListener("abort", reject);
          Promise.resolve(answer).then(resolve, reject);
        })
      : answer;
  } catch (error) {
    if (signal.aborted) {
      throw signal.reason;
    }
    if (isAuthError(error)) {
      throw error;
    }
    const { code } = ConnectError.from(error);
    throw new AuthError(
      code === Code.Unavailable || code === Code.DeadlineExceeded
        ? "credentials_unavailable"
        : "credentials_failed",
      "the credential could not be obtained",
      error,
    );
  }
}
