import { describe, expect, test } from "vitest";
import {
  boundClient,
  bundleForBrowser,
  cachingClient,
  generatedClient,
  plainClient,
} from "../support/bundle.js";

describe("the main entry point in a browser bundle", () => {
  test("contains no server code, no jose and nothing of Node", async () => {
    const { inputs, imports, text } = await bundleForBrowser(`
      import * as everything from "connectrpc-auth";
      globalThis.everything = everything;
    `);
    expect(inputs).toContain("dist/index.js");
    expect(inputs.filter((input) => /(^|\/)(jose|server|testing)\//.test(input))).toEqual([]);
    expect(
      inputs.filter((input) => !/^dist\/|^node_modules\/@(bufbuild|connectrpc)\//.test(input)),
    ).toEqual([]);
    expect(imports).toEqual([]);
    expect(text).not.toContain("node:");
  });

  test("leaves nothing behind where nothing of it is used", async () => {
    const { text } = await bundleForBrowser(`import "connectrpc-auth"; console.log("nothing");`);
    expect(text).toBe('console.log("nothing");\n');
  });

  // What is reached, so that it grows no further. `npm run bench` says what is wanted: 3,000 and 4,000.
  test.each([
    { bound: 3400, name: "bearer", client: generatedClient },
    { bound: 4900, name: "a bearer token that is kept", client: cachingClient },
  ])("adds at most $bound bytes for $name", async ({ bound, name, client }) => {
    const plain = await bundleForBrowser(plainClient);
    const generated = await bundleForBrowser(client);
    const added = generated.gzipBytes - plain.gzipBytes;
    console.log(`a generated client with ${name} adds ${added} bytes gzip`);
    expect(added).toBeGreaterThan(0);
    expect(added).toBeLessThanOrEqual(bound);
  });

  test("leaves the reader of proto options out where the table is at hand", async () => {
    const { text } = await bundleForBrowser(generatedClient);
    expect(text).not.toContain("defaultRequires");
  });
});

describe("connectrpc-auth/oauth in a browser bundle", () => {
  test("contains no server code, no jose and nothing of Node", async () => {
    const { inputs, imports, text } = await bundleForBrowser(`
      import * as everything from "connectrpc-auth/oauth";
      globalThis.everything = everything;
    `);
    expect(inputs).toContain("dist/oauth/index.js");
    expect(inputs.filter((input) => /(^|\/)(jose|server|testing)\//.test(input))).toEqual([]);
    expect(
      inputs.filter(
        (input) => !/^dist\/|^node_modules\/(@(bufbuild|connectrpc)|oauth4webapi)\//.test(input),
      ),
    ).toEqual([]);
    expect(imports).toEqual([]);
    expect(text).not.toContain("node:");
  });

  test("leaves nothing behind where nothing of it is used", async () => {
    const { text } = await bundleForBrowser(
      `import "connectrpc-auth/oauth"; console.log("nothing");`,
    );
    expect(text).toBe('console.log("nothing");\n');
  });

  test("adds at most 16,000 bytes for client credentials with DPoP", async () => {
    const plain = await bundleForBrowser(plainClient);
    const bound = await bundleForBrowser(boundClient);
    const added = bound.gzipBytes - plain.gzipBytes;
    console.log(`a generated client with client credentials and DPoP adds ${added} bytes gzip`);
    expect(added).toBeGreaterThan(0);
    expect(added).toBeLessThanOrEqual(16_000);
  });

  test("brings no other grant than the one that is used", async () => {
    const { text } = await bundleForBrowser(boundClient);
    expect(text).toContain("client_credentials");
    expect(text).not.toMatch(/token-exchange|subjectToken|onTokens/);
  });
});
