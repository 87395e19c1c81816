import type { Interceptor } from "@connectrpc/connect";
import { gatewayHeaders } from "../credentials/auth-headers.js";
import { checkOption } from "../errors.js";

/** Options of `createClientGatewayInterceptor`. */
export interface ClientGatewayInterceptorOptions {
  /** One of the server's `trustSource.expectedValues`. */
  readonly secret: string;
  /** Who this service is: `AuthContext.subject` on the server. */
  readonly subject: string;
  /** Left out or empty: no `x-auth-roles` header. */
  readonly roles?: readonly string[];
}

/**
 * Sends `x-gateway-secret`, `x-auth-subject` and `x-auth-roles` (a JSON array)
 * with every call of a transport, to any URL, whatever the policy of the
 * method. For the server's `createGatewayAuthInterceptor`. Where clients are
 * generated, pass `Auth.gateway()` to them instead.
 *
 * Throws `TypeError` for an option that is empty or cannot be sent.
 */
export function createClientGatewayInterceptor(
  options: ClientGatewayInterceptorOptions,
): Interceptor {
  const headers = checkOption("gateway", () => gatewayHeaders({ roles: [], ...options }));
  return (next) => (req) => {
    for (const [name, value] of headers) {
      req.header.set(name, value);
    }
    return next(req);
  };
}
