import type { DescMethod } from "@bufbuild/protobuf";
import { createMethodMatcher } from "../policy/method-pattern.js";
import { methodName, type ServicePolicies } from "../policy/method-policy.js";

/** A method that a path names. `isOpen`: calls pass without being judged, because it is public, or exempt. */
export type NamedMethod =
  | { readonly isOpen: true }
  | { readonly isOpen: false; readonly method: DescMethod };

/** Finds the method that the path of a URL names, among those with a policy and those that are exempt. */
export type FindMethod = (pathname: string) => NamedMethod | undefined;

/**
 * Makes what finds methods by the last two segments of a path: before them any
 * prefix may stand. Paths that a lenient router takes for the same are taken
 * for the same too: those with encoded characters, doubled and trailing
 * slashes, other capitals, or something after a semicolon.
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
  // services without a table
  const isExemptName = (name: string) =>
    exempt.includes(name) || exempt.includes(name.replace(/\/.*/, "/*"));
  const find = (pathname: string): NamedMethod | undefined => {
    const segments = decode(pathname).split(/[/\\]/);
    const name = segments.filter(Boolean).slice(-2).join("/");
    const named = exact.get(name) ?? inLowerCase.get(name.toLowerCase());
    return named ?? (isExemptName(name) ? { isOpen: true } : undefined);
  };
  return (pathname) => {
    if (!pathname.includes(";")) {
      return find(pathname);
    }
    // a query for some routers, parameters of one segment for others: whichever is to be judged
    const found = [find(pathname.replace(/;.*/, "")), find(pathname.replace(/;[^/]*/g, ""))];
    return found.find((named) => named?.isOpen === false) ?? found[0] ?? found[1];
  };
}

function decode(pathname: string): string {
  try {
    return decodeURIComponent(pathname);
  } catch {
    return pathname;
  }
}
