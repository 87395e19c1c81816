import type { Interceptor } from "@connectrpc/connect";
import { Auth } from "../credentials/auth.js";
import { staticHeaders } from "../credentials/auth-headers.js";
import { obtain } from "../credentials/obtain.js";
import { checkOption, toCallError } from "../errors.js";
import { withHeaders } from "./with-headers.js";

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
  const headersOf = (value: string) => staticHeaders(Auth.bearer(value));
  const constant =
    typeof token === "function" ? undefined : checkOption("token", () => headersOf(token));
  return (next) => async (req) => {
    let headers = constant;
    try {
      headers ??= headersOf(
        await obtain(req.signal, typeof token === "function" ? token : () => token),
      );
    } catch (error) {
      throw toCallError(error, false);
    }
    return next(withHeaders(req, headers));
  };
}
