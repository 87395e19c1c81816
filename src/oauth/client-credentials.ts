import type { CachedAuth } from "../credentials/cached-source.js";
import { checkOAuthOptions, type OAuthOptions } from "./oauth-options.js";
import { createSourceByScopes, type ScopeOptions } from "./scoped-source.js";
import { parseResource } from "./scopes.js";
import { createTokenEndpoint } from "./token-endpoint.js";

/** Options of `clientCredentials`. */
export interface ClientCredentialsOptions extends OAuthOptions, ScopeOptions {}

/**
 * The tokens of a service that calls others in its own name: the client
 * credentials grant (RFC 6749 §4.4). They are kept, renewed and asked for anew
 * as `cachedAuth` does it. One object serves any number of clients.
 *
 * A call fails with `Unavailable` where the authorization server is down or has
 * no time (`credentials_unavailable`), and with `Unauthenticated` where it
 * refuses (`credentials_failed`) or sends what no header can carry
 * (`credentials_invalid`). The cause of the `AuthError` says more: an
 * `AuthClientError`, or a `TimeoutError` after `timeoutMs`.
 *
 * Throws `TypeError` for an unknown option, an issuer or token endpoint that is
 * neither https nor on loopback, and for what is no scope or resource.
 *
 * ```ts
 * const orders = createOrderServiceClient(createGrpcTransport, { baseUrl: "https://api.acme.dev" }, {
 *   credentials: clientCredentials({
 *     issuer: "https://auth.acme.dev",
 *     clientId: "billing",
 *     clientSecret,
 *     resource: "https://api.acme.dev",
 *     scope: "from-policy",
 *     dpop: true,
 *   }),
 * });
 * ```
 */
export function clientCredentials(options: ClientCredentialsOptions): CachedAuth {
  checkOAuthOptions("clientCredentials", options, { scope: true });
  const endpoint = createTokenEndpoint(options);
  const resources = parseResource(options.resource);
  return createSourceByScopes(options, (scopes, signal) =>
    endpoint.request({ type: "client_credentials", scopes, resources }, signal),
  );
}
