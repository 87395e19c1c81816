import type { DescService } from "@bufbuild/protobuf";
import { type MethodPolicy, methodName, type ServicePolicies } from "./method-policy.js";
import { resolveMethodPolicy } from "./resolve-method-auth.js";

/**
 * The methods that anyone may call, as `package.Service/Method`, in the order
 * of the proto file. Takes service descriptors, whose options it reads, or
 * policy tables.
 *
 * ```ts
 * createJwtAuthInterceptor({ jwksUri, skipMethods: getPublicMethods([UserService]) });
 * ```
 */
export function getPublicMethods(services: Iterable<DescService | ServicePolicies>): string[] {
  return methodsOfKind(services, "public");
}

/**
 * The methods that only other services may call, as `package.Service/Method`,
 * in the order of the proto file. Takes service descriptors, whose options it
 * reads, or policy tables.
 */
export function getInternalMethods(services: Iterable<DescService | ServicePolicies>): string[] {
  return methodsOfKind(services, "internal");
}

function methodsOfKind(
  services: Iterable<DescService | ServicePolicies>,
  kind: MethodPolicy["kind"],
): string[] {
  const names: string[] = [];
  for (const item of services) {
    const service = "service" in item ? item.service : item;
    for (const method of service.methods) {
      const policy =
        "service" in item ? item.methods[method.localName] : resolveMethodPolicy(method);
      if (policy?.kind === kind) {
        names.push(methodName(method));
      }
    }
  }
  return names;
}
