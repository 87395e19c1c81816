import { describe, expect, test } from "vitest";
import type { MethodPolicy } from "../../src/policy/method-policy.js";
import { resolveMethodAuth, resolveMethodPolicy } from "../../src/policy/resolve-method-auth.js";
import { buildService, type MethodAuthInit } from "../support/build-service.js";

const flags = [undefined, true, false];
const policies = [undefined, "allow", "deny"];
const requirements = [undefined, { roles: ["a", "b"], scopes: ["s"] }, { roles: [], scopes: [] }];

/** Every way to set, or not to set, the four fields: 81. */
const combinations: MethodAuthInit[] = flags.flatMap((isPublic) =>
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

describe("every combination of service and method options", () => {
  test.each(combinations.map((service) => ({ name: JSON.stringify(service), service })))(
    "resolves all methods of a service with $name",
    ({ service }) => {
      const { public: isPublic, internal, policy, requires } = service;
      const desc = buildService(
        "Combined",
        {
          ...(isPublic !== undefined && { public: isPublic }),
          ...(internal !== undefined && { internal }),
          ...(policy !== undefined && { defaultPolicy: policy }),
          ...(requires !== undefined && { defaultRequires: requires }),
        },
        combinations.map((auth, index) => ({ name: `M${index}`, auth })),
      );
      const want = combinations.map((method) => expectedAuth(service, method));
      expect(desc.methods.map(resolveMethodAuth)).toEqual(want);
      expect(desc.methods.map(resolveMethodPolicy)).toEqual(want.map(expectedPolicy));
    },
  );
});

describe("resolveMethodAuth", () => {
  test("says nothing where neither method nor service has an option", () => {
    const service = buildService("Bare", undefined, [{ name: "M" }]);
    expect(service.methods.map(resolveMethodAuth)).toEqual([
      { public: false, internal: false, policy: undefined, requires: undefined },
    ]);
    expect(service.methods.map(resolveMethodPolicy)).toEqual([{ kind: "unspecified" }]);
  });

  test("takes the options of the service where the method has none", () => {
    const service = buildService("Default", { defaultRequires: { scopes: ["read"] } }, [
      { name: "M" },
    ]);
    expect(service.methods.map(resolveMethodPolicy)).toEqual([
      { kind: "requires", roles: [], scopes: ["read"] },
    ]);
  });

  test.each(["", "Allow", "alow", "allow ", "DENY", "public"])(
    "denies where the policy is %j, which is no policy",
    (policy) => {
      const service = buildService("Misspelt", undefined, [{ name: "M", auth: { policy } }]);
      expect(service.methods.map((method) => resolveMethodAuth(method).policy)).toEqual(["deny"]);
      expect(service.methods.map(resolveMethodPolicy)).toEqual([{ kind: "denied" }]);
    },
  );

  test("returns the same object for the same descriptor", () => {
    const service = buildService("Cached", { public: true }, [{ name: "M" }]);
    const [method] = service.methods;
    expect.assert(method !== undefined);
    expect(resolveMethodAuth(method)).toBe(resolveMethodAuth(method));
    expect(resolveMethodPolicy(method)).toBe(resolveMethodPolicy(method));
  });
});
