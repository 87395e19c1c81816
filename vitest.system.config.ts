import { defineConfig } from "vitest/config";

/** Tests on servers and compilers that the system brings; see CONTRIBUTING. */
export default defineConfig({
  test: {
    include: ["test/system/**/*.test.ts"],
    testTimeout: 60_000,
  },
});
