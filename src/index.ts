export {
  type AuthTransport,
  createAuthTransport,
  type Exact,
  type Slot,
  type Slots,
  type TransportOptions,
} from "./client/auth-transport.js";
export {
  type ClientBearerInterceptorOptions,
  createClientBearerInterceptor,
} from "./client/bearer-interceptor.js";
export { type AuthOptions, callCredentials } from "./client/credentials-interceptor.js";
export {
  type ClientGatewayInterceptorOptions,
  createClientGatewayInterceptor,
} from "./client/gateway-interceptor.js";
export {
  createServiceClient,
  type ServiceClient,
  type ServiceClientArgs,
} from "./client/service-client.js";
export {
  type AllAuth,
  Auth,
  type BasicAuth,
  type BearerAuth,
  buildAuthHeader,
  type DpopAuth,
  type DpopProofRequest,
  type DpopProver,
  type GatewayAuth,
  type HeaderAuth,
  isAuthenticated,
  isBasicAuth,
  isJwtAuth,
  type JwtAuth,
  type NoneAuth,
  type SessionAuth,
} from "./credentials/auth.js";
export type { AuthEvent, AuthEventListener } from "./credentials/auth-event.js";
export type {
  AuthProvider,
  AuthRequest,
  CredentialSource,
  Credentials,
} from "./credentials/auth-provider.js";
export { encodeBasicAuth } from "./credentials/basic-auth.js";
export { type CachedAuthOptions, cachedAuth } from "./credentials/cached-auth.js";
export type { CachedAuth } from "./credentials/cached-source.js";
export type { Challenge } from "./credentials/challenge.js";
export { firstAvailable, together } from "./credentials/combine.js";
export type { LoginFields } from "./credentials/login-endpoint.js";
export type { LoginResult } from "./credentials/login-result.js";
export {
  type PasswordLogin,
  type PasswordLoginOptions,
  passwordLogin,
} from "./credentials/password-login.js";
export type { RetryOptions } from "./credentials/retry-transient.js";
export type { TokenCacheOptions } from "./credentials/token-cache.js";
export { AuthError, type AuthErrorCode, isAuthError } from "./errors.js";
export { AUTH_HEADERS } from "./headers.js";
export { matchesMethodPattern } from "./policy/method-pattern.js";
export {
  definePolicies,
  type MethodPolicy,
  type MethodPolicyInit,
  type Requirements,
  type ServicePolicies,
  type ServiceShape,
} from "./policy/method-policy.js";
export { getInternalMethods, getPublicMethods } from "./policy/public-methods.js";
export { type ResolvedMethodAuth, resolveMethodAuth } from "./policy/resolve-method-auth.js";
