import { expect } from "vitest";
import type { MethodPolicy } from "../../src/policy/method-policy.js";
import type {
  resolveMethodAuth,
  resolveMethodPolicy,
} from "../../src/policy/resolve-method-auth.js";
import { buildService, type MethodAuthInit } from "../support/build-service.js";
import { optionCombinations, serviceOfCombinations } from "./option-combinations.js";

/** What is checked: the module in src/policy, or a mutant of it. */
export interface Resolver {
  readonly resolveMethodAuth: typeof resolveMethodAuth;
  readonly resolveMethodPolicy: typeof resolveMethodPolicy;
}

/** All that must hold of a resolver. The tables, which take longer, come last. */
export const resolverChecks: readonly {
  readonly name: string;
  readonly check: (resolver: Resolver) => void;
}[] = [
  {
    name: "says nothing where neither method nor service has an option",
    check: (resolver) => {
      const service = buildService("Bare", undefined, [{ name: "M" }]);
      expect(service.methods.map(resolver.resolveMethodAuth)).toEqual([
        { public: false, internal: false, policy: undefined, requires: undefined },
      ]);
      expect(service.methods.map(resolver.resolveMethodPolicy)).toEqual([{ kind: "unspecified" }]);
    },
  },
  {
    name: "takes the options of the service where the method has none",
    check: (resolver) => {
      const service = buildService("Default", { defaultRequires: { scopes: ["read"] } }, [
        { name: "M" },
      ]);
      expect(service.methods.map(resolver.resolveMethodPolicy)).toEqual([
        { kind: "requires", roles: [], scopes: ["read"] },
      ]);
    },
  },
  ...["", "Allow", "alow", "allow ", "DENY", "public"].map((policy) => ({
    name: `denies where the policy is ${JSON.stringify(policy)}, which is no policy`,
    check: (resolver: Resolver) => {
      const service = buildService("Misspelt", undefined, [{ name: "M", auth: { policy } }]);
      expect(service.methods.map((method) => resolver.resolveMethodAuth(method).policy)).toEqual([
        "deny",
      ]);
      expect(service.methods.map(resolver.resolveMethodPolicy)).toEqual([{ kind: "denied" }]);
    },
  })),
  {
    name: "returns the same object for the same descriptor",
    check: ({ resolveMethodAuth, resolveMethodPolicy }) => {
      const service = buildService("Cached", { public: true }, [{ name: "M" }]);
      const [method] = service.methods;
      expect.assert(method !== undefined);
      expect(resolveMethodAuth(method)).toBe(resolveMethodAuth(method));
      expect(resolveMethodPolicy(method)).toBe(resolveMethodPolicy(method));
    },
  },
  ...optionCombinations.map((service) => ({
    name: `resolves all methods of a service with ${JSON.stringify(service)}`,
    check: (resolver: Resolver) => {
      const { methods } = serviceOfCombinations(service);
      const want = optionCombinations.map((method) => expectedAuth(service, method));
      expect(methods.map(resolver.resolveMethodAuth)).toEqual(want);
      expect(methods.map(resolver.resolveMethodPolicy)).toEqual(want.map(expectedPolicy));
    },
  })),
];

/** The rules of the contract, once more and without presence tricks. */
function expectedAuth(service: MethodAuthInit, method: MethodAuthInit) {
  const merged = { ...service, ...method };
  return {
    public: merged.public ?? false,
    internal: merged.internal ?? false,
    policy: merged.policy,
    requires: merged.requires,
  };
}

function expectedPolicy(auth: ReturnType<typeof expectedAuth>): MethodPolicy {
  const requires = { roles: auth.requires?.roles ?? [], scopes: auth.requires?.scopes ?? [] };
  if (auth.public) return { kind: "public" };
  if (auth.internal) return { kind: "internal", ...requires };
  if (auth.requires) return { kind: "requires", ...requires };
  if (auth.policy) return { kind: auth.policy === "allow" ? "authenticated" : "denied" };
  return { kind: "unspecified" };
}
