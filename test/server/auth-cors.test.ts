import { cors } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { authCors } from "../../src/server/index.js";

test("authCors names what Connect's own list does not", () => {
  expect(authCors).toEqual({
    allowedHeaders: ["authorization", "dpop"],
    exposedHeaders: ["www-authenticate", "dpop-nonce"],
  });
  const ofConnect = [...cors.allowedHeaders, ...cors.exposedHeaders].map((name) =>
    name.toLowerCase(),
  );
  const own = [...authCors.allowedHeaders, ...authCors.exposedHeaders];
  expect(own.filter((name) => ofConnect.includes(name))).toEqual([]);
});
