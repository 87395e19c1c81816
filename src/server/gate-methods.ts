import type { DescMethod } from "@bufbuild/protobuf";
import { createMethodMatcher } from "../policy/method-pattern.js";
import { methodName, type ServicePolicies } from "../policy/method-policy.js";

/** A method that a path names. */
export interface NamedMethod {
  readonly method: DescMethod;
  /** Whether calls pass without being judged: the method is public, or exempt. */
  readonly isOpen: boolean;
}

/** Finds the method that the path of a URL names, among those with a policy. */
export type FindMethod = (pathname: string) => NamedMethod | undefined;

/**
 * Makes what finds methods by the last two segments of a path: before them any
 * prefix may stand. Paths that a lenient router takes for the same are taken
 * for the same too: those with encoded characters, doubled and trailing
 * slashes, path parameters, or other capitals.
 */
export function createFindMethod(
  policies: readonly ServicePolicies[],
  exempt: readonly string[],
): FindMethod {
  const isExempt = createMethodMatcher(exempt);
  const exact = new Map<string, NamedMethod>();
  const inLowerCase = new Map<string, NamedMethod>();
  for (const { service, methods } of policies) {
    for (const method of service.methods) {
      const isOpen = methods[method.localName]?.kind === "public" || isExempt(method);
      exact.set(methodName(method), { method, isOpen });
      inLowerCase.set(methodName(method).toLowerCase(), { method, isOpen });
    }
  }
  return (pathname) => {
    const segments = decode(pathname)
      .split(/[/\\]/)
      .map((segment) => segment.replace(/;.*/s, ""))
      .filter((segment) => segment !== "");
    const name = segments.slice(-2).join("/");
    return exact.get(name) ?? inLowerCase.get(name.toLowerCase());
  };
}

function decode(pathname: string): string {
  try {
    return decodeURIComponent(pathname);
  } catch {
    return pathname;
  }
}
