import { Code, cors } from "@connectrpc/connect";
import { calculateJwkThumbprint } from "jose";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type ClientCredentialsOptions, createAuthClient } from "../../src/oauth/index.js";
import {
  startAuthorizationServer,
  type TestAuthorizationServer,
} from "../support/authorization-server.js";
import { type OpenPage, startChromium, type TestBrowser } from "../support/chromium.js";
import { type ProtectedApi, startProtectedApi } from "../support/protected-api.js";
import type { Outcome, PageCredentials, PageInit } from "./page.js";

const ok: Outcome = { codes: ["ok"], messages: [] };
const protocols = ["Connect", "gRPC-Web"] as const;
const forDpop = ["dpop-nonce", "www-authenticate"];

let browser: TestBrowser;
let authorizationServer: TestAuthorizationServer;
let api: ProtectedApi;
/** What the API lets pages read, beside what Connect needs. */
let exposed = forDpop;
let opened: OpenPage;
/** What must not show in the page. */
let secrets: string[] = [];

beforeAll(async () => {
  [browser, authorizationServer] = await Promise.all([
    startChromium("test/browser/page.ts", () => api.baseUrl),
    startAuthorizationServer({ dpopNonces: true }),
  ]);
  api = await startProtectedApi({
    httpVersion: "1.1",
    authorizationServer,
    dpop: { nonces: true, publicOrigins: [browser.origin] },
    headers: () => ({
      "access-control-allow-origin": browser.origin,
      "access-control-allow-methods": cors.allowedMethods.join(),
      "access-control-allow-headers": [...cors.allowedHeaders, "authorization", "dpop"].join(),
      "access-control-expose-headers": [...cors.exposedHeaders, ...exposed].join(),
    }),
  });
}, 60_000);
afterAll(() => Promise.all([browser, authorizationServer, api].map((server) => server?.close())));

beforeEach(async () => {
  exposed = forDpop;
  secrets = [];
  api.requests.length = 0;
  api.calls.length = 0;
  api.restart();
  authorizationServer.fault(undefined);
  opened = await browser.open();
});
afterEach(async () => {
  await opened.page.context().close();
  const shown = opened.traces.join("\n");
  expect(shown).toContain(`request: ${browser.origin}/page.js`);
  const sent = api.requests.map(({ token }) => token);
  for (const secret of [...secrets, ...sent]) {
    expect(shown).not.toContain(secret);
    expect(shown).not.toContain(encodeURIComponent(secret));
  }
});

function connect(protocol: PageInit["protocol"], credentials: PageCredentials, baseUrl?: string) {
  return opened.page.evaluate((init) => globalThis.page.connect(init), {
    protocol,
    credentials,
    baseUrl: baseUrl ?? api.baseUrl,
  });
}

function call(kind: "Unary" | "Server" | "Get"): Promise<Outcome> {
  return opened.page.evaluate((name) => globalThis.page.call(name), kind);
}

/** Options of the client credentials grant that can be handed to a page. */
function serviceOptions() {
  const { issuer, clients, resources } = authorizationServer;
  secrets.push(clients.basic.clientSecret);
  return { issuer, ...clients.basic, resource: resources.orders };
}

async function bearerTokens(): Promise<string[]> {
  const auth = createAuthClient(serviceOptions());
  const first = await auth.getToken();
  const second = await auth.getToken({ forceRefresh: true });
  secrets.push(first.access_token, second.access_token);
  return [first.access_token, second.access_token];
}

describe.each(protocols)("a page that speaks %s", (protocol) => {
  test("sends a bearer token, and keeps it", async () => {
    const tokens = await bearerTokens();
    await connect(protocol, { kind: "cachedAuth", tokens });
    expect(await call("Unary")).toEqual(ok);
    expect(await call("Server")).toEqual(ok);
    expect(await call("Get")).toEqual(ok);
    const get = protocol === "Connect" ? "GET by basic" : "POST by basic";
    expect(api.calls).toEqual(["POST by basic", "POST by basic", get]);
    expect(api.requests.map(({ scheme, token }) => [scheme, token])).toEqual(
      Array.from({ length: 3 }, () => ["Bearer", tokens[0]]),
    );
  });

  test.each(["Unary", "Server"] as const)(
    "renews a revoked token, and makes a %s call again",
    async (kind) => {
      const tokens = await bearerTokens();
      await connect(protocol, { kind: "cachedAuth", tokens });
      expect(await call(kind)).toEqual(ok);
      api.revokeTokens();
      expect(await call(kind)).toEqual(ok);
      expect(api.requests.map(({ token }) => token)).toEqual([tokens[0], tokens[0], tokens[1]]);
      expect(api.calls).toHaveLength(2);
    },
  );

  test("gets tokens that are bound to a key of its own", async () => {
    const asked = authorizationServer.requests.length;
    await connect(protocol, {
      kind: "clientCredentials",
      options: { ...serviceOptions(), dpop: true },
    });
    expect(await call("Unary")).toEqual(ok);
    // a nonce of each server, learned through headers that they expose
    expect(authorizationServer.requests).toHaveLength(asked + 2);
    expect(api.requests).toHaveLength(2);
    expect(await call("Server")).toEqual(ok);
    expect(await call("Get")).toEqual(ok);
    expect(authorizationServer.requests).toHaveLength(asked + 2);
    expect(api.requests.map(({ scheme, proof }) => [scheme, proof?.claims.htm])).toEqual(
      api.requests.map(({ httpMethod }) => ["DPoP", httpMethod]),
    );
    expect(api.requests).toHaveLength(4);
  });

  test("goes on after a reload, with the key and the refresh token that it kept", async () => {
    const { issuer, clients, resources } = authorizationServer;
    const key = await opened.page.evaluate(() => globalThis.page.makeKey());
    const refreshToken = await authorizationServer.createRefreshToken({
      ...clients.public,
      scope: "orders:read",
      dpopJkt: await calculateJwkThumbprint({ ...key, kty: "EC" }),
    });
    secrets.push(refreshToken);
    const options = { issuer, ...clients.public, resource: resources.orders };
    await connect(protocol, { kind: "refreshToken", options, refreshToken });
    expect(await call("Unary")).toEqual(ok);
    api.revokeTokens();
    expect(await call("Server")).toEqual(ok);
    expect(api.calls).toEqual(["POST by alice", "POST by alice"]);

    await opened.page.reload();
    await connect(protocol, { kind: "refreshToken", options });
    expect(await call("Unary")).toEqual(ok);
    expect(api.calls).toHaveLength(3);
    expect(new Set(api.requests.map(({ token }) => token)).size).toBe(3);
    const keys = api.requests.map(({ proof }) => proof?.header.jwk?.x);
    expect(new Set(keys)).toEqual(new Set([key.x]));
  });
});

describe("a page", () => {
  const bound = (dpop: ClientCredentialsOptions["dpop"] = true) =>
    connect("Connect", { kind: "clientCredentials", options: { ...serviceOptions(), dpop } });

  test("signs proofs with Ed25519 too", async () => {
    await bound({ algorithm: "Ed25519" });
    expect(await call("Unary")).toEqual(ok);
    expect(api.requests.map(({ proof }) => proof?.header.alg)).toEqual(["Ed25519", "Ed25519"]);
  });

  test("is told where the authorization server does not expose its nonce, and asks once", async () => {
    const asked = authorizationServer.requests.length;
    authorizationServer.fault({
      type: "status",
      status: 400,
      headers: { "dpop-nonce": "hidden", "access-control-expose-headers": "" },
      body: '{"error":"use_dpop_nonce"}',
    });
    await bound();
    const { codes, messages } = await call("Unary");
    expect(codes).toEqual([Code.Unauthenticated, "credentials_failed", "use_dpop_nonce"]);
    expect(messages[0]).toBe(
      `the token endpoint ${authorizationServer.tokenEndpoint} answered use_dpop_nonce, HTTP 400: ` +
        "the server refused the nonce that it gave, or CORS does not expose DPoP-Nonce",
    );
    expect(authorizationServer.requests).toHaveLength(asked + 1);
    expect(api.requests).toEqual([]);
  });

  test("is told where the API does not expose its nonce, and asks once", async () => {
    exposed = ["www-authenticate"];
    await bound();
    const message = "no DPoP-Nonce came: CORS must expose it";
    expect(await call("Unary")).toEqual({
      codes: [Code.Unauthenticated, "credentials_refused"],
      messages: [message, message],
    });
    expect(api.requests).toHaveLength(1);
  });

  test("asks twice where the API exposes neither challenge nor nonce", async () => {
    exposed = [];
    const asked = authorizationServer.requests.length;
    await bound();
    const refused = {
      codes: [Code.Unauthenticated, "credentials_refused"],
      messages: ["invalid DPoP proof", "the server refused the credential"],
    };
    expect(await call("Unary")).toEqual(refused);
    // what is refused for no known reason may be the token: two of them, and the nonce for them
    expect(api.requests).toHaveLength(2);
    expect(authorizationServer.requests).toHaveLength(asked + 3);
    // but not again and again
    expect(await call("Unary")).toEqual(refused);
    expect(authorizationServer.requests).toHaveLength(asked + 3);
  });

  test("takes a base URL that is a path for one of its own origin, also in proofs", async () => {
    const options = { ...serviceOptions(), dpop: true };
    await connect("Connect", { kind: "clientCredentials", options }, "/");
    expect(await call("Unary")).toEqual(ok);
    expect(await call("Get")).toEqual(ok);
    expect(api.requests.map(({ proof }) => proof?.claims.htu)).toEqual([
      `${browser.origin}/acme.matrix.v1.MatrixService/AuthenticatedUnary`,
      `${browser.origin}/acme.matrix.v1.MatrixService/AuthenticatedUnary`,
      `${browser.origin}/acme.user.v1.UserService/WhoAmI`,
    ]);
  });

  test("that fails to start says why", async () => {
    const broken = await startChromium("test/browser/broken-page.ts", () => "");
    try {
      await expect(broken.open()).rejects.toThrow("error: the script is broken");
    } finally {
      await broken.close();
    }
  });
});
