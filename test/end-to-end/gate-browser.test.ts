import { Code, cors } from "@connectrpc/connect";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { authCors } from "../../src/server/index.js";
import type { Outcome } from "../browser/page.js";
import {
  startAuthorizationServer,
  type TestAuthorizationServer,
} from "../support/authorization-server.js";
import { type OpenPage, startChromium, type TestBrowser } from "../support/chromium.js";
import { type ProtectedApi, startProtectedApi } from "../support/protected-api.js";
import { matrixPath } from "../wire/protocols.js";

const ok: Outcome = { codes: ["ok"], messages: [] };

let browser: TestBrowser;
let authorizationServer: TestAuthorizationServer;
let api: ProtectedApi;
/** What the API names for CORS, beside what Connect needs. */
let named = authCors;
let opened: OpenPage;

beforeAll(async () => {
  [browser, authorizationServer] = await Promise.all([
    startChromium("test/browser/page.ts", () => api.baseUrl),
    startAuthorizationServer({ dpopNonces: true }),
  ]);
  api = await startProtectedApi({
    httpVersion: "1.1",
    authorizationServer,
    dpop: { required: true, nonces: true },
    gated: true,
    headers: () => ({
      "access-control-allow-origin": browser.origin,
      "access-control-allow-methods": cors.allowedMethods.join(),
      "access-control-allow-headers": [...cors.allowedHeaders, ...named.allowedHeaders].join(),
      "access-control-expose-headers": [...cors.exposedHeaders, ...named.exposedHeaders].join(),
    }),
  });
}, 60_000);
afterAll(() => Promise.all([browser, authorizationServer, api].map((server) => server?.close())));

beforeEach(async () => {
  named = authCors;
  api.requests.length = 0;
  api.calls.length = 0;
  api.restart();
  opened = await browser.open();
});
afterEach(() => opened.page.context().close());

/** Lets the page use tokens that are bound to a key of its own. */
function connect(protocol: "Connect" | "gRPC-Web"): Promise<void> {
  const { issuer, clients, resources } = authorizationServer;
  const options = { issuer, ...clients.basic, resource: resources.orders, dpop: true };
  return opened.page.evaluate((init) => globalThis.page.connect(init), {
    protocol,
    credentials: { kind: "clientCredentials" as const, options },
    baseUrl: api.baseUrl,
  });
}

function call(kind: "Unary" | "Server" | "Get"): Promise<Outcome> {
  return opened.page.evaluate((name) => globalThis.page.call(name), kind);
}

describe.each(["Connect", "gRPC-Web"] as const)("a page of another origin, over %s", (protocol) => {
  test.each(["Unary", "Server"] as const)(
    "learns the nonce from the gate's refusal, in a %s call",
    async (kind) => {
      await connect(protocol);
      expect(await call(kind)).toEqual(ok);
      expect(api.requests).toHaveLength(2);
      expect(await call(kind)).toEqual(ok);
      expect(api.requests).toHaveLength(3);
      expect(api.calls).toEqual(["POST by basic", "POST by basic"]);
    },
  );

  test("sends nothing where authCors does not allow it to", async () => {
    named = { ...authCors, allowedHeaders: [] };
    await connect(protocol);
    const { codes } = await call("Unary");
    expect(codes[0]).toBe(Code.Unknown);
    expect(api.requests).toEqual([]);
  });
});

describe("a page of another origin", () => {
  test("learns no nonce in a unary call of Connect where authCors is not exposed", async () => {
    named = { ...authCors, exposedHeaders: [] };
    await connect("Connect");
    const { codes, messages } = await call("Unary");
    expect(codes).toEqual([Code.Unauthenticated, "credentials_refused"]);
    expect(messages[0]).toBe("invalid DPoP proof");
    expect(api.calls).toEqual([]);
  });

  test.each(["Server"] as const)(
    "learns it in a %s call even then, from the body",
    async (kind) => {
      named = { ...authCors, exposedHeaders: [] };
      await connect("gRPC-Web");
      expect(await call(kind)).toEqual(ok);
      expect(api.requests).toHaveLength(2);
    },
  );

  test("reads the refusal of a large message, which nobody took", async () => {
    const url = api.baseUrl + matrixPath("requires", "Unary");
    const answer = await opened.page.evaluate(async (target) => {
      const headers = { "content-type": "application/json" };
      const body = "x".repeat(30_000_000);
      const response = await fetch(target, { method: "POST", headers, body });
      return [response.status, response.headers.get("www-authenticate"), await response.json()];
    }, url);
    expect(answer).toEqual([
      401,
      expect.stringContaining("DPoP"),
      { code: "unauthenticated", message: "missing credentials" },
    ]);
  });
});
