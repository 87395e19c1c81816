import type { MethodPolicy } from "../../../src/policy/method-policy.js";
import { visibleText } from "../visible-text.js";

/** A policy in a few words: `requires role admin or ops, scopes users:read and users:write`. */
export function policyText(policy: MethodPolicy): string {
  if (policy.kind !== "requires" && policy.kind !== "internal") {
    return policy.kind;
  }
  const lists = [
    listText("role", policy.roles, " or "),
    listText(policy.scopes.length > 1 ? "scopes" : "scope", policy.scopes, " and "),
  ];
  const demands = lists.filter((list) => list !== "").join(", ");
  return demands === "" ? policy.kind : `${policy.kind} ${demands}`;
}

/** The name of a role or scope: between quotes where it is not plain. */
export function nameText(name: string): string {
  return /^[\w.:/@*+-]+$/.test(name) ? name : visibleText(JSON.stringify(name));
}

function listText(noun: string, names: readonly string[], conjunction: string): string {
  return names.length > 0 ? `${noun} ${names.map(nameText).join(conjunction)}` : "";
}
