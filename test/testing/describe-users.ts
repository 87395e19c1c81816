import { Auth } from "../../src/index.js";
import {
  type AuthInterceptor,
  createGatewayAuthInterceptor,
  createJwtAuthInterceptor,
  createServerAuth,
  type ServerAuth,
  type ServerAuthOptions,
} from "../../src/server/index.js";
import {
  createTestJwt,
  type DescribePoliciesOptions,
  describePolicies,
  type PolicyCallers,
  type PolicyReport,
  TEST_JWT_SECRET,
} from "../../src/testing/index.js";
import { UserServicePolicies } from "../gen/acme/user/v1/user_auth.js";

/** Knows users by their tokens. */
export const users: AuthInterceptor = createJwtAuthInterceptor({ secret: TEST_JWT_SECRET });

/** Knows services by a secret. */
export const services: AuthInterceptor = createGatewayAuthInterceptor({
  trustSource: { expectedValues: ["mesh"] },
});

/** Callers that `users` and `services` know. */
export const callers: PolicyCallers = {
  user: async ({ roles, scopes }) =>
    Auth.jwt(await createTestJwt({ sub: "alice", roles, scope: scopes.join(" ") })),
  internal: ({ roles }) => Auth.gateway({ secret: "mesh", subject: "indexer", roles }),
};

/** Secures a server of UserService, unless other policies are given. */
export function serverAuth(options: Partial<ServerAuthOptions> = {}): ServerAuth {
  return createServerAuth({
    policies: [UserServicePolicies],
    authenticate: users,
    internal: services,
    ...options,
  });
}

/** Describes the policies of UserService. */
export function describeUsers(
  options: Partial<DescribePoliciesOptions> = {},
): Promise<PolicyReport> {
  return describePolicies([UserServicePolicies], { auth: serverAuth(), callers, ...options });
}
