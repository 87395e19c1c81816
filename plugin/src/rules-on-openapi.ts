import type { MethodPolicy } from "../../src/policy/method-policy.js";
import type { Rule } from "./diagnostics.js";
import { annotatedSecurity, type SecurityRequirement } from "./openapi-annotations.js";

/**
 * Finds methods whose OpenAPI annotation says another thing than their policy.
 * Only where the policies are printed for OpenAPI: else the annotation may be
 * about a server of somebody else.
 */
export const contradictingAnnotation: Rule = function* ({ services }, { openapiSecurityFile }) {
  if (openapiSecurityFile === undefined) {
    return;
  }
  for (const { method, policy } of services.flatMap((service) => service.methods)) {
    const message = contradiction(policy, annotatedSecurity(method));
    if (message !== undefined) {
      yield { on: method, path: [], message: `${message}; change one or the other` };
    }
  }
};

function contradiction(
  policy: MethodPolicy,
  security: readonly SecurityRequirement[],
): string | undefined {
  if (security.length === 0) {
    return undefined;
  }
  const lets = security.some((requirement) => requirement.size === 0);
  switch (policy.kind) {
    case "public":
      return lets
        ? undefined
        : "anyone may call it, but its OpenAPI annotation asks for credentials";
    case "unspecified":
      // what the server's own rules say is not known here
      return undefined;
    case "denied":
      return lets ? "nobody may call it, but its OpenAPI annotation lets anyone in" : undefined;
    case "authenticated":
      return lets ? anonymous : wrongScopes([], [], security);
    case "internal":
      if (security.some(isForUsers)) {
        return 'it needs "internalCredentials", but its OpenAPI annotation asks for "credentials"';
      }
      return lets ? anonymous : wrongScopes(policy.roles, policy.scopes, security);
    case "requires":
      return lets ? anonymous : wrongScopes(policy.roles, policy.scopes, security);
  }
}

/** Of schemes with other names than ours it is not known what they stand for. */
function isForUsers(requirement: SecurityRequirement): boolean {
  return requirement.has("credentials") && !requirement.has("internalCredentials");
}

const anonymous = "callers need credentials, but its OpenAPI annotation lets anyone in";

/** A list in OpenAPI holds scopes, or, for schemes that know none, roles. An empty one leaves that open. */
function wrongScopes(
  roles: readonly string[],
  scopes: readonly string[],
  security: readonly SecurityRequirement[],
): string | undefined {
  for (const requirement of security) {
    const listed = [...requirement.values()].flat();
    const unknown = listed.find((item) => !scopes.includes(item) && !roles.includes(item));
    if (unknown !== undefined) {
      return `its OpenAPI annotation asks for ${JSON.stringify(unknown)}, which is no role or scope of its policy`;
    }
    const missing = scopes.find((scope) => !listed.includes(scope));
    if (listed.length > 0 && missing !== undefined) {
      return `its policy asks for the scope ${JSON.stringify(missing)}, which its OpenAPI annotation leaves out`;
    }
  }
  return undefined;
}
