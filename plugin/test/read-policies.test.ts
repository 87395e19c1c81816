import { describe, test } from "vitest";
import { readPolicies } from "../src/read-policies.js";
import { readerChecks } from "./reader-checks.js";

// The checks stand apart: test/mutation holds mutants of the reader against them.
describe("readPolicies", () => {
  test.each(readerChecks)("$name", ({ check }) => {
    check({ readPolicies });
  });
});
