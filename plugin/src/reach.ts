import type { MethodPolicy } from "../../src/policy/method-policy.js";
import type { MethodRules } from "./read-policies.js";

/** The option of a client that holds the credential for a method. */
export type Slot = "credentials" | "internalCredentials";

/** The names of a service's methods in TypeScript, by what a caller needs for them. */
export type Reach = Readonly<Record<"nothing" | Slot, readonly string[]>>;

/** Sorts the methods of a service by what a caller needs for them. */
export function reachOf(methods: readonly MethodRules[]): Reach {
  const reach: Record<keyof Reach, string[]> = {
    nothing: [],
    credentials: [],
    internalCredentials: [],
  };
  for (const { method, policy } of methods) {
    reach[neededFor(policy)].push(method.localName);
  }
  return reach;
}

/** The options that make a difference for a service. */
export function slotsOf(reach: Reach): Slot[] {
  const slots: Slot[] = ["credentials", "internalCredentials"];
  return slots.filter((slot) => reach[slot].length > 0);
}

function neededFor(policy: MethodPolicy): keyof Reach {
  switch (policy.kind) {
    case "public":
      return "nothing";
    case "internal":
      return "internalCredentials";
    case "requires":
    case "authenticated":
    case "denied":
    case "unspecified":
      return "credentials";
  }
}
