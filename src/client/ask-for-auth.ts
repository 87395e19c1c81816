import { Code, ConnectError } from "@connectrpc/connect";
import type { Auth } from "../credentials/auth.js";
import { staticHeaders } from "../credentials/auth-headers.js";
import type { AuthRequest, Credentials } from "../credentials/auth-provider.js";
import { AuthError, checkOption, isAuthError } from "../errors.js";
import { methodName } from "../policy/method-policy.js";

/**
 * Gets the credential for a call. What a provider throws becomes an
 * `AuthError`, so that a code such as `NotFound`, of a login server say, is not
 * taken for an answer to the call. The caller's abort and deadline end the wait.
 */
export async function askForAuth(credentials: Credentials, request: AuthRequest): Promise<Auth> {
  if (isStaticAuth(credentials)) {
    return credentials;
  }
  try {
    const answer =
      typeof credentials === "function" ? credentials(request) : credentials.getAuth(request);
    return answer instanceof Promise ? await untilAborted(answer, request.signal) : await answer;
  } catch (error) {
    if (request.signal.aborted) {
      throw request.signal.reason;
    }
    if (isAuthError(error)) {
      throw error;
    }
    const { code } = ConnectError.from(error);
    const unavailable = code === Code.Unavailable || code === Code.DeadlineExceeded;
    throw new AuthError(
      unavailable ? "credentials_unavailable" : "credentials_failed",
      `the credentials for ${methodName(request.method)} could not be obtained`,
      { cause: error },
    );
  }
}

/**
 * Throws `TypeError` for an option that can never give a credential, and for a
 * constant one that cannot be sent.
 */
export function checkCredentials(option: string, credentials: unknown): void {
  if (typeof credentials === "function" || (isObject(credentials) && "getAuth" in credentials)) {
    return;
  }
  if (!isObject(credentials) || !("type" in credentials)) {
    throw new TypeError(
      `${option} must be a credential such as Auth.jwt(token), a function that returns one, or an object with getAuth()`,
    );
  }
  checkOption(option, () => staticHeaders(credentials as Auth));
}

function isStaticAuth(credentials: Credentials): credentials is Auth {
  return typeof credentials === "object" && !("getAuth" in credentials);
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

/** Waits for the answer, but not longer than the call lasts. */
async function untilAborted<T>(answer: Promise<T>, signal: AbortSignal): Promise<T> {
  let settled = false;
  const settle = () => {
    settled = true;
  };
  answer.then(settle, settle);
  // Most have the token at hand. Then this saves listening to the signal, which
  // would cost more time than all else that is done for a credential.
  for (let tick = 0; tick < 8 && !settled; tick++) {
    await undefined;
  }
  if (settled) {
    return await answer;
  }
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) {
      abort();
    }
    signal.addEventListener("abort", abort);
    answer.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}
