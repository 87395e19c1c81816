export {
  type AccessToken,
  type AuthClient,
  type AuthClientOptions,
  createAuthClient,
  type GetTokenOptions,
} from "./auth-client.js";
export {
  AuthClientError,
  type AuthClientErrorDetails,
  isAuthClientError,
} from "./auth-client-error.js";
export { type AuthFetchOptions, createAuthFetch } from "./auth-fetch.js";
export {
  type ClientAuthentication,
  clientSecretBasic,
  clientSecretPost,
  type PrivateKeyJwtOptions,
  privateKeyJwt,
  publicClient,
  tlsClientAuth,
} from "./client-authentication.js";
export { type ClientCredentialsOptions, clientCredentials } from "./client-credentials.js";
export type { DpopAlgorithm, DpopKeyOptions } from "./dpop-proof.js";
export type { OAuthOptions } from "./oauth-options.js";
export { type RefreshTokenOptions, refreshToken } from "./refresh-token.js";
export type { ScopeOptions } from "./scoped-source.js";
export type { Scope } from "./scopes.js";
export type { TokenEndpointOptions, TokenResponse } from "./token-endpoint.js";
export { type TokenExchangeOptions, type TokenOfCall, tokenExchange } from "./token-exchange.js";
