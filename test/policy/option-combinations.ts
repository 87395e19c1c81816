import type { DescService } from "@bufbuild/protobuf";
import { buildService, type MethodAuthInit } from "../support/build-service.js";

const flags = [undefined, true, false];
const policies = [undefined, "allow", "deny"];
const requirements = [undefined, { roles: ["a", "b"], scopes: ["s"] }, { roles: [], scopes: [] }];

/** Every way to set, or not to set, the four fields: 81. */
export const optionCombinations: readonly MethodAuthInit[] = flags.flatMap((isPublic) =>
  flags.flatMap((internal) =>
    policies.flatMap((policy) =>
      requirements.map((requires) => ({
        ...(isPublic !== undefined && { public: isPublic }),
        ...(internal !== undefined && { internal }),
        ...(policy !== undefined && { policy }),
        ...(requires !== undefined && { requires }),
      })),
    ),
  ),
);

const services = new Map<MethodAuthInit, DescService>();

/** A service with some options, and a method for each of the combinations, in order. */
export function serviceOfCombinations(options: MethodAuthInit): DescService {
  let service = services.get(options);
  if (service === undefined) {
    const { public: isPublic, internal, policy, requires } = options;
    service = buildService(
      "Combined",
      {
        ...(isPublic !== undefined && { public: isPublic }),
        ...(internal !== undefined && { internal }),
        ...(policy !== undefined && { defaultPolicy: policy }),
        ...(requires !== undefined && { defaultRequires: requires }),
      },
      optionCombinations.map((auth, index) => ({ name: `M${index}`, auth })),
    );
    services.set(options, service);
  }
  return service;
}
