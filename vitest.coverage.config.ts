import { defineConfig, type ViteUserConfig } from "vitest/config";
import base from "./vitest.config.js";

const atLeast = { branches: 95, functions: 95, lines: 95, statements: 95 };

/**
 * The tests of the plugin and of the policies, and how much of both they cover.
 * A part of `npm test`, which leaves these two folders out of what it runs
 * beside; see CONTRIBUTING.
 */
const config: ViteUserConfig = defineConfig({
  ...base,
  test: {
    ...base.test,
    include: ["plugin/test/**/*.test.ts", "test/policy/**/*.test.ts"],
    // most of the time they wait for buf and compilers
    maxWorkers: 2,
    coverage: {
      enabled: true,
      include: ["plugin/src/**/*.ts", "src/policy/**/*.ts"],
      reporter: [["text", { skipFull: true, maxCols: 100 }]],
      thresholds: { "plugin/src/**": atLeast, "src/policy/**": atLeast },
    },
  },
});
export default config;
