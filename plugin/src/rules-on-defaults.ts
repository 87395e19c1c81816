import type { Rule } from "./diagnostics.js";
import type { MethodRules, WrittenRules } from "./read-policies.js";

/**
 * Finds what a service says for its methods, where it changes nothing for any
 * of them. `default_policy: "deny"` is right without a method that needs it: it
 * is there for the methods to come.
 */
export const unusedDefault: Rule = function* ({ services }) {
  for (const { service, written, methods } of services) {
    for (const name of ["public", "internal", "requires", "policy"] as const) {
      const setting = written[name];
      if (setting === undefined || setting.value === "deny") {
        continue;
      }
      if (name === "policy" && written.requires !== undefined) {
        continue; // never applies, which another rule finds
      }
      const { field, value } = setting;
      const path = [field.number];
      if (value === false) {
        const message = `${field.name}: false on a service changes nothing; remove it`;
        yield { on: service, path, message };
      } else if (methods.length === 0) {
        const message = `${field.name} on a service without methods; remove it, or write default_policy: "deny" for the methods to come`;
        yield { on: service, path, message };
      } else if (!methods.some((method) => inherits(method, name))) {
        // without it, the methods to come would be decided by nothing
        const isOnlyGuard = name === "policy" || (name !== "public" && !written.policy);
        const advice = isOnlyGuard
          ? 'write default_policy: "deny" in its place, for the methods to come'
          : "remove it";
        const message = `no method uses ${field.name}, as each ${otherwise[name]}; ${advice}`;
        yield { on: service, path, message };
      }
    }
  }
};

/** Whether what the service says takes effect on a method. */
export function inherits({ written, policy }: MethodRules, name: keyof WrittenRules): boolean {
  if (written[name] !== undefined) {
    return false;
  }
  switch (name) {
    case "public":
    case "internal":
      return true;
    case "requires":
      return policy.kind === "internal" || policy.kind === "requires";
    case "policy":
      return policy.kind === "authenticated" || policy.kind === "denied";
  }
}

const otherwise: Readonly<Record<keyof WrittenRules, string>> = {
  public: "says public itself",
  internal: "says internal itself",
  requires: "is public or says requires itself",
  policy: "is public or internal, or says requires or policy itself",
};
