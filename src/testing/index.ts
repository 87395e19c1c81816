export type { CallerFactory, PolicyCallers } from "./call-as.js";
export type { CallerCredentials } from "./caller-credentials.js";
export { type DescribePoliciesOptions, describePolicies } from "./describe-policies.js";
export type { ActualOutcome, ExpectedOutcome, UnspecifiedOutcome } from "./expected-outcome.js";
export { inMemory } from "./in-memory.js";
export { type AuthContextOverrides, createMockAuthContext } from "./mock-auth-context.js";
export type { PolicyCaller, PolicyCallerKind } from "./policy-callers.js";
export type { PolicyCell, PolicyReport } from "./policy-report.js";
export type { TestClaims, TestTokenOptions } from "./sign-claims.js";
export type { TestAlgorithm } from "./signing-keys.js";
export type { EnforcedAuth } from "./stub-server.js";
export {
  type IssuedTokenOptions,
  startTestIssuer,
  type TestIssuer,
  type TestIssuerOptions,
  type TestIssuerOutage,
} from "./test-issuer.js";
export { createTestJwt, TEST_JWT_SECRET, type TestJwtOptions } from "./test-jwt.js";
export { withAuthContext } from "./with-auth-context.js";
