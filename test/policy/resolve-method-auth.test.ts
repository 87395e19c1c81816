import { describe, test } from "vitest";
import { resolveMethodAuth, resolveMethodPolicy } from "../../src/policy/resolve-method-auth.js";
import { resolverChecks } from "./resolver-checks.js";

// The checks stand apart: test/mutation holds mutants of the resolver against them.
describe("resolveMethodAuth and resolveMethodPolicy", () => {
  test.each(resolverChecks)("$name", ({ check }) => {
    check({ resolveMethodAuth, resolveMethodPolicy });
  });
});
