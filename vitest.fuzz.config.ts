import { defineConfig, type ViteUserConfig } from "vitest/config";
import base from "./vitest.config.js";

/** The suites of test/fuzz with many more inputs than `npm test` has time for; see CONTRIBUTING. */
const config: ViteUserConfig = defineConfig({
  ...base,
  test: {
    include: ["test/fuzz/**/*.test.ts"],
    env: { FUZZ_INPUTS: process.env.FUZZ_INPUTS ?? "100000" },
    // the names say how the inputs are split
    reporters: ["verbose"],
    testTimeout: 1_800_000,
  },
});
export default config;
