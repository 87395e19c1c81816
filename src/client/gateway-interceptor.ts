import type { Interceptor } from "@connectrpc/connect";
import { Auth } from "../credentials/auth.js";
import { staticHeaders } from "../credentials/auth-headers.js";
import { checkOption } from "../errors.js";
import { withHeaders } from "./with-headers.js";

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
 * method. Other `x-auth-` headers of the call are removed: the secret would
 * vouch for them. For the server's `createGatewayAuthInterceptor`. Where clients
 * are generated, pass `Auth.gateway()` to them instead.
 *
 * Throws `TypeError` for an option that is empty or cannot be sent.
 */
export function createClientGatewayInterceptor(
  options: ClientGatewayInterceptorOptions,
): Interceptor {
  const headers = checkOption("gateway", () => staticHeaders(Auth.gateway(options)));
  return (next) => (req) => {
    const header = new Headers(req.header);
    for (const name of req.header.keys()) {
      if (name.startsWith("x-auth-")) {
        header.delete(name);
      }
    }
    return next(withHeaders({ ...req, header }, headers));
  };
}
