import { fileURLToPath } from "node:url";
import { defineConfig, type ViteUserConfig } from "vitest/config";

const src = fileURLToPath(new URL("src", import.meta.url));

const config: ViteUserConfig = defineConfig({
  resolve: {
    // Generated code imports the package by its name: here it gets the sources.
    alias: [
      { find: /^connectrpc-auth$/, replacement: `${src}/index.ts` },
      { find: /^connectrpc-auth\/(oauth|server|testing)$/, replacement: `${src}/$1/index.ts` },
      { find: /^connectrpc-auth\/gen\/(.*?)(?:\.js)?$/, replacement: `${src}/gen/$1.ts` },
    ],
  },
  test: {
    include: ["test/**/*.test.ts", "plugin/test/**/*.test.ts"],
    exclude: ["test/system/**"],
    testTimeout: 30_000,
  },
});
export default config;
