import type { DescMethod } from "@bufbuild/protobuf";
import { methodName } from "./method-policy.js";

/** Says whether a method is one of those that a list of patterns names. */
export type MethodMatcher = (method: DescMethod) => boolean;

/**
 * Compiles method patterns: `package.Service/Method`, `package.Service/*` or
 * `*`. The time of a look-up does not depend on how many patterns there are.
 *
 * Throws `TypeError` for a pattern of another form.
 */
export function createMethodMatcher(patterns: Iterable<string>): MethodMatcher {
  const set = new Set<string>();
  for (const pattern of patterns) {
    set.add(checkPattern(pattern));
  }
  if (set.size === 0) {
    return () => false;
  }
  if (set.has("*")) {
    return () => true;
  }
  return (method) => set.has(methodName(method)) || set.has(`${method.parent.typeName}/*`);
}

/**
 * Says whether one of the patterns names the method `method` of the service
 * `service` (its full name). Patterns are `package.Service/Method`,
 * `package.Service/*` or `*`.
 */
export function matchesMethodPattern(
  service: string,
  method: string,
  patterns: readonly string[],
): boolean {
  return patterns.some(
    (pattern) =>
      pattern === "*" || pattern === `${service}/*` || pattern === `${service}/${method}`,
  );
}

const identifier = "[A-Za-z_][A-Za-z0-9_]*";
const patternForm = /*@__PURE__*/ new RegExp(
  `^(?:\\*|${identifier}(?:\\.${identifier})*/(?:\\*|${identifier}))$`,
);

function checkPattern(pattern: string): string {
  if (typeof pattern !== "string" || !patternForm.test(pattern)) {
    throw new TypeError(
      `method pattern ${JSON.stringify(pattern)} must be "package.Service/Method", "package.Service/*" or "*"`,
    );
  }
  return pattern;
}
