import type { DescMethod } from "@bufbuild/protobuf";
import type { Code } from "@connectrpc/connect";
import type { MethodPolicy } from "../policy/method-policy.js";
import { type PolicyCaller, requiresSomething } from "./policy-callers.js";

/**
 * What a policy says about a caller. `refused`: `Unauthenticated` or
 * `PermissionDenied`. `undecided`: the policy leaves it to the server.
 */
export type ExpectedOutcome =
  | "allowed"
  | "refused"
  | "Unauthenticated"
  | "PermissionDenied"
  | "undecided";

/** What happened. `not tried`: there are no credentials for such a caller. Else the Connect code. */
export type ActualOutcome = "allowed" | "not tried" | keyof typeof Code;

/** What methods without a policy are expected to do. `undefined`: it is not judged. */
export type UnspecifiedOutcome = (
  method: DescMethod,
  caller: PolicyCaller,
) => "allowed" | "refused" | undefined;

/** What a policy table demands of a server, whatever the server is made of. */
export function expectedOutcome(
  policy: MethodPolicy,
  caller: PolicyCaller,
  whereUnspecified: (caller: PolicyCaller) => "allowed" | "refused" | undefined,
): ExpectedOutcome {
  const { kind } = caller;
  const isStranger = kind === "nobody" || kind === "invalid";
  switch (policy.kind) {
    case "public":
      return "allowed";
    case "denied":
      return "refused";
    case "internal":
      if (isStranger) {
        return "Unauthenticated";
      }
      // a user may count as nobody here, or as somebody else
      return kind === "internal"
        ? "allowed"
        : kind === "underPrivilegedInternal"
          ? "PermissionDenied"
          : "refused";
    case "requires":
    case "authenticated":
      if (isStranger) {
        return "Unauthenticated";
      }
      if (kind === "internal") {
        return "undecided"; // whether services count as users is for the server to say
      }
      return kind === "underPrivileged" && policy.kind === "requires" && requiresSomething(policy)
        ? "PermissionDenied"
        : "allowed";
    case "unspecified":
      return whereUnspecified(caller) ?? (isStranger ? "Unauthenticated" : "undecided");
  }
}

/** Whether a server did what it should. */
export function isAsExpected(expected: ExpectedOutcome, actual: ActualOutcome): boolean {
  if (expected === "undecided" || actual === "not tried") {
    return true;
  }
  return expected === "refused"
    ? actual === "Unauthenticated" || actual === "PermissionDenied"
    : actual === expected;
}
