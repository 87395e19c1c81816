import { defineConfig, type ViteUserConfig } from "vitest/config";

/** Tests on servers and compilers that the system brings; see CONTRIBUTING. */
const config: ViteUserConfig = defineConfig({
  test: {
    include: ["test/system/**/*.test.ts"],
    testTimeout: 60_000,
  },
});
export default config;
