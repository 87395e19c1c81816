import type { Interceptor } from "@connectrpc/connect";
import { bearerHeader } from "../credentials/auth-headers.js";
import { checkOption, isAuthError, toConnectError } from "../errors.js";
import { authorizationHeader } from "../headers.js";

/** Options of `createClientBearerInterceptor`. */
export interface ClientBearerInterceptorOptions {
  /** The token, or a function that is asked for one before every call. */
  readonly token: string | (() => string | Promise<string>);
}

/**
 * Sends `Authorization: Bearer <token>` with every call of a transport, to any
 * URL, whatever the policy of the method. For the server's
 * `createJwtAuthInterceptor` and `createSessionAuthInterceptor`. Where clients
 * are generated, pass `credentials` to them instead: those know which methods
 * are public, and renew a refused token.
 *
 * Throws `TypeError` for a constant token that is empty or cannot be sent. A
 * call fails with `Unauthenticated` if the function returns such a token.
 *
 * ```ts
 * const transport = createConnectTransport({
 *   baseUrl: "https://api.acme.dev",
 *   interceptors: [createClientBearerInterceptor({ token: () => session.accessToken() })],
 * });
 * ```
 */
export function createClientBearerInterceptor(
  options: ClientBearerInterceptorOptions,
): Interceptor {
  const { token } = options;
  const constant =
    typeof token === "function" ? undefined : checkOption("token", () => bearerHeader(token));
  return (next) => async (req) => {
    req.header.set(authorizationHeader, constant ?? (await headerFrom(token)));
    return next(req);
  };
}

async function headerFrom(token: ClientBearerInterceptorOptions["token"]): Promise<string> {
  const value = typeof token === "function" ? await token() : token;
  try {
    return bearerHeader(value);
  } catch (error) {
    throw isAuthError(error) ? toConnectError(error) : error;
  }
}
