import { defineConfig, type ViteUserConfig } from "vitest/config";

const config: ViteUserConfig = defineConfig({
  test: {
    include: ["test/**/*.test.ts", "plugin/test/**/*.test.ts"],
    exclude: ["test/system/**"],
    testTimeout: 30_000,
  },
});
export default config;
