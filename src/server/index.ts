export { AUTH_HEADERS } from "../headers.js";
export { matchesMethodPattern } from "../policy/method-pattern.js";
export { getInternalMethods, getPublicMethods } from "../policy/public-methods.js";
export { type ResolvedMethodAuth, resolveMethodAuth } from "../policy/resolve-method-auth.js";
export {
  type AuthContext,
  authContextKey,
  getAuthContext,
  requireAuthContext,
} from "./auth-context.js";
export { authCors, type CorsHeaders } from "./auth-cors.js";
export {
  type AuthInterceptorOptions,
  createAuthInterceptor,
  type FindCredential,
} from "./auth-interceptor.js";
export type {
  Authenticator,
  AuthInterceptor,
  CommonAuthOptions,
  IncomingCall,
} from "./authenticate.js";
export { type AuthzInterceptorOptions, createAuthzInterceptor } from "./authz.js";
export type { AuthzRule } from "./authz-rules.js";
export type { ClaimsMapping } from "./claims-mapping.js";
export type { FallbackOptions } from "./decide.js";
export type { DpopNonceOptions } from "./dpop-nonces.js";
export type { Denial } from "./gatekeeper.js";
export {
  createGatewayAuthInterceptor,
  type GatewayAuthInterceptorOptions,
  type GatewayHeaderMapping,
} from "./gateway-auth.js";
export type { Grants } from "./grants.js";
export type { HttpGate } from "./http-gate.js";
export type { CacheOptions } from "./identity-cache.js";
export {
  createInternalAuthInterceptor,
  type InternalAuthInterceptorOptions,
} from "./internal-auth.js";
export {
  createIntrospectionAuthInterceptor,
  type IntrospectionAuthInterceptorOptions,
} from "./introspection-auth.js";
export type { IntrospectionEndpointOptions } from "./introspection-endpoint.js";
export { createJwtAuthInterceptor, type JwtAuthInterceptorOptions } from "./jwt-auth.js";
export type { JwtKeyOptions } from "./jwt-keys.js";
export {
  type MeshIdentity,
  type MeshIdentityTrustOptions,
  meshIdentityTrust,
} from "./mesh-identity-trust.js";
export { type PropagationOptions, parseAuthHeaders, setAuthHeaders } from "./propagate-headers.js";
export { createProtoAuthzInterceptor, type ProtoAuthzInterceptorOptions } from "./proto-authz.js";
export {
  createRedisReplayStore,
  type RedisReplayClient,
  type RedisReplayStoreOptions,
} from "./redis-replay-store.js";
export { type AuthzDeniedDetails, AuthzDeniedError } from "./refusal.js";
export {
  createMemoryReplayStore,
  type MemoryReplayStoreOptions,
  type ReplayStore,
} from "./replay-store.js";
export { createServerAuth, type ServerAuth, type ServerAuthOptions } from "./server-auth.js";
export {
  createSessionAuthInterceptor,
  type SessionAuthInterceptorOptions,
} from "./session-auth.js";
export type { SessionTokenOptions } from "./session-token.js";
export { type SharedSecretTrustOptions, sharedSecretTrust } from "./shared-secret-trust.js";
export {
  type SignedTokenIssuer,
  type SignedTokenTrustOptions,
  signedTokenTrust,
} from "./signed-token-trust.js";
export type { DpopOptions } from "./verify-dpop.js";
