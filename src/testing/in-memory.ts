import {
  type ConnectRouter,
  type ConnectRouterOptions,
  createRouterTransport,
  type Transport,
} from "@connectrpc/connect";
import type { TransportOptions } from "../client/auth-transport.js";

/**
 * A transport factory that calls routes in the same process, for generated
 * clients in tests. Give it a `baseUrl` as any other; nothing goes over the
 * network.
 *
 * ```ts
 * const users = createUserServiceClient(
 *   inMemory(auth.guard(routes), { interceptors: auth.interceptors }),
 *   { baseUrl: "https://in-memory" },
 *   { credentials: Auth.jwt(token) },
 * );
 * ```
 */
export function inMemory(
  routes: (router: ConnectRouter) => void,
  routerOptions: ConnectRouterOptions = {},
): (options: TransportOptions) => Transport {
  return ({ baseUrl, interceptors = [] }) =>
    createRouterTransport(routes, { transport: { baseUrl, interceptors }, router: routerOptions });
}
