import { calculateJwkThumbprint, decodeJwt, decodeProtectedHeader } from "jose";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import {
  type AuthClientOptions,
  type AuthFetchOptions,
  createAuthClient,
  createAuthFetch,
} from "../../src/oauth/index.js";
import {
  startAuthorizationServer,
  type TestAuthorizationServer,
} from "../support/authorization-server.js";
import {
  type HttpAnswer,
  type ReceivedRequest,
  startHttpServer,
  type TestHttpServer,
} from "../support/http-server.js";
import { watchSecrets } from "../support/secrets.js";

const secrets = watchSecrets();
let as: TestAuthorizationServer;
let server: TestHttpServer;
let answer: (request: ReceivedRequest, n: number) => HttpAnswer;

beforeAll(async () => {
  as = await startAuthorizationServer();
  server = await startHttpServer((request) => answer(request, server.requests.length));
  setAnswer();
});

afterEach(() => {
  as.fault(undefined);
  server.requests.length = 0;
  setAnswer();
});

afterAll(async () => {
  await as.close();
  await server.close();
});

function setAnswer(next: typeof answer = () => ({ body: "hello" })): void {
  answer = next;
}

/** A `fetch` for the API, and what was asked of the server of tokens since. */
function setUp(client: Partial<AuthClientOptions> = {}, options: Partial<AuthFetchOptions> = {}) {
  const before = as.requests.length;
  const auth = createAuthClient({
    issuer: as.issuer,
    ...as.clients.basic,
    scope: "orders:read",
    resource: as.resources.orders,
    ...client,
  });
  const api = secrets.watch(createAuthFetch(auth, { baseUrl: server.baseUrl, ...options }));
  return {
    auth,
    api,
    scopes: () => as.requests.slice(before).map(({ params }) => params.get("scope")),
  };
}

const tokens = () =>
  server.requests.map(({ headers }) => headers.get("authorization")?.split(" ")[1] ?? "");
const scopesOf = (token: string) => decodeJwt(token).scope;
const unauthorized: HttpAnswer = {
  status: 401,
  headers: { "www-authenticate": 'Bearer error="invalid_token"' },
};
const lacking = (scope: string): HttpAnswer => ({
  status: 403,
  headers: { "www-authenticate": `Bearer error="insufficient_scope", scope="${scope}"` },
});

describe("a call", () => {
  test("carries the token, and is what its caller made it", async () => {
    const { api, auth } = setUp();
    const response = await api("/internal/ping?a=1", {
      method: "PUT",
      headers: { "x-request-id": "7" },
      body: "ping",
    });
    expect(await response.text()).toBe("hello");
    const { access_token } = await auth.getToken();
    expect(server.requests).toMatchObject([
      { method: "PUT", path: "/internal/ping?a=1", body: "ping" },
    ]);
    expect(server.requests[0]?.headers.get("authorization")).toBe(`Bearer ${access_token}`);
    expect(server.requests[0]?.headers.get("x-request-id")).toBe("7");
  });

  test("may be a Request or a URL, and tokens are shared", async () => {
    const { api, scopes } = setUp();
    const url = `${server.baseUrl}/a`;
    await api(new Request(url, { method: "POST", body: "one" }));
    await api(new Request(url, { method: "POST", body: "one" }), { body: "two" });
    await api(new URL(url));
    await api(url);
    expect(server.requests.map(({ method, path, body }) => [method, path, body])).toEqual([
      ["POST", "/a", "one"],
      ["POST", "/a", "two"],
      ["GET", "/a", ""],
      ["GET", "/a", ""],
    ]);
    expect(new Set(tokens()).size).toBe(1);
    expect(scopes()).toEqual(["orders:read"]);
  });

  test("for scope and resource of its own", async () => {
    const { api } = setUp({}, { scope: "users:read", resource: as.resources.users });
    await api("/");
    expect(decodeJwt(tokens()[0] ?? "")).toMatchObject({
      scope: "users:read",
      aud: as.resources.users,
    });
  });

  test("that brings its own Authorization goes as it is, wherever it goes", async () => {
    const { api, scopes } = setUp({}, { baseUrl: "https://api.test" });
    await api(`${server.baseUrl}/`, { headers: { authorization: "Basic own" } });
    expect(server.requests[0]?.headers.get("authorization")).toBe("Basic own");
    expect(scopes()).toEqual([]);
  });

  test("uses the given fetch", async () => {
    const sent: string[] = [];
    const { api } = setUp(
      {},
      {
        fetch: async (input, init) => {
          sent.push(new Request(input, init).url);
          return fetch(input, init);
        },
      },
    );
    await api("/a");
    expect(sent).toEqual([`${server.baseUrl}/a`]);
  });
});

describe("nothing is sent", () => {
  test.each([
    {
      name: "to another origin",
      baseUrl: "https://api.test",
      url: "https://other.test/",
      code: "foreign_origin",
      message: "credentials for https://api.test go to no other origin",
    },
    {
      name: "to another port",
      baseUrl: "https://api.test",
      url: "https://api.test:444/",
      code: "foreign_origin",
      message: "credentials for https://api.test go to no other origin",
    },
    {
      name: "to another host by a relative URL",
      baseUrl: "https://api.test",
      url: "//other.test/",
      code: "foreign_origin",
      message: "credentials for https://api.test go to no other origin",
    },
    {
      name: "over plain http",
      baseUrl: "http://api.test",
      url: "/",
      code: "insecure_transport",
      message: "credentials for http://api.test need https, or allowInsecureTransport",
    },
  ])("$name", async ({ baseUrl, url, code, message }) => {
    const sent: unknown[] = [];
    const { api, scopes } = setUp(
      {},
      {
        baseUrl,
        fetch: async (input) => {
          sent.push(input);
          return new Response();
        },
      },
    );
    expect(await secrets.failure(api(url))).toMatchObject({ name: "AuthError", code, message });
    expect(sent).toEqual([]);
    expect(scopes()).toEqual([]);
  });

  test("but over plain http where something else encrypts", async () => {
    const sent: (string | null)[] = [];
    const { api } = setUp(
      {},
      {
        baseUrl: "http://api.test",
        allowInsecureTransport: true,
        fetch: async (input, init) => {
          sent.push(new Request(input, init).headers.get("authorization"));
          return new Response();
        },
      },
    );
    await api("/");
    expect(sent).toEqual([expect.stringMatching(/^Bearer /)]);
  });

  test("where there is no token", async () => {
    const { api } = setUp({ clientSecret: "wrong secret" });
    expect(await secrets.failure(api("/"))).toMatchObject({
      name: "AuthClientError",
      code: "invalid_client",
      status: 401,
    });
    expect(server.requests).toEqual([]);
  });

  test("after its signal aborted", async () => {
    const { api } = setUp();
    const signal = AbortSignal.abort(new Error("never mind"));
    expect(await secrets.failure(api("/", { signal }))).toMatchObject({ message: "never mind" });
    expect(server.requests).toEqual([]);
  });
});

describe("redirects", () => {
  const redirect: HttpAnswer = { status: 307, headers: { location: "https://other.test/" } };

  test.each([{}, { redirect: "follow" as const }])("are errors with %o", async (init) => {
    setAnswer(() => redirect);
    const error = await secrets.failure(setUp().api("/", init));
    expect(error).toMatchObject({ name: "TypeError", message: "fetch failed" });
  });

  test("are answers with manual", async () => {
    setAnswer(() => redirect);
    const { api } = setUp();
    expect((await api("/", { redirect: "manual" })).status).toBe(307);
    const request = new Request(`${server.baseUrl}/`, { redirect: "manual" });
    expect((await api(request)).status).toBe(307);
  });
});

describe("after 401", () => {
  test("the call is made once more with another token, and the same body", async () => {
    setAnswer((_, n) => (n === 1 ? unauthorized : {}));
    const { api } = setUp();
    const response = await api("/", { method: "POST", body: "ping" });
    expect(response.status).toBe(200);
    expect(server.requests.map(({ body }) => body)).toEqual(["ping", "ping"]);
    expect(new Set(tokens()).size).toBe(2);
  });

  test("it is not made a third time", async () => {
    setAnswer(() => unauthorized);
    const { api, scopes } = setUp();
    expect((await api("/")).status).toBe(401);
    expect(server.requests).toHaveLength(2);
    // nor is the server of tokens hammered
    expect((await api("/")).status).toBe(401);
    expect(scopes()).toHaveLength(2);
    expect(server.requests).toHaveLength(3);
  });

  test("it is not made again with the token that was refused", async () => {
    as.fault({ type: "body", json: { access_token: "constant", token_type: "Bearer" } });
    setAnswer(() => unauthorized);
    expect((await setUp().api("/")).status).toBe(401);
    expect(tokens()).toEqual(["constant"]);
  });

  test("a stream is gone, and the next call has another token", async () => {
    setAnswer((_, n) => (n === 1 ? unauthorized : {}));
    const { api } = setUp();
    const body = new Blob(["ping"]).stream();
    const init: RequestInit & { duplex: "half" } = { method: "POST", body, duplex: "half" };
    expect((await api("/", init)).status).toBe(401);
    expect((await api("/")).status).toBe(200);
    expect(server.requests.map((request) => request.body)).toEqual(["ping", ""]);
    expect(new Set(tokens()).size).toBe(2);
  });

  test("a Request is sent once more, and its body too", async () => {
    setAnswer((_, n) => (n === 1 ? unauthorized : {}));
    const { api } = setUp();
    const request = new Request(`${server.baseUrl}/`, { method: "POST", body: "ping" });
    expect((await api(request)).status).toBe(200);
    expect(server.requests.map(({ body }) => body)).toEqual(["ping", "ping"]);
    expect(new Set(tokens()).size).toBe(2);
  });

  test("the error of the server of tokens is that of the call", async () => {
    setAnswer(() => unauthorized);
    const { api, auth } = setUp();
    await auth.getToken();
    as.fault({ type: "status", status: 503 });
    expect(await secrets.failure(api("/"))).toMatchObject({
      name: "AuthClientError",
      code: "http_error",
      status: 503,
    });
  });
});

describe("after 403", () => {
  test("the call is made once more with the scopes that were missing", async () => {
    setAnswer((_, n) => (n === 1 ? lacking("orders:write") : {}));
    const { api, scopes } = setUp();
    expect((await api("/")).status).toBe(200);
    expect(tokens().map(scopesOf)).toEqual(["orders:read", "orders:read orders:write"]);
    expect(scopes()).toEqual(["orders:read", "orders:read orders:write"]);
  });

  test("the answer stays where the scopes are not granted", async () => {
    setAnswer(() => ({ ...lacking("users:write"), body: "sorry" }));
    const { api } = setUp(as.clients.limited);
    const response = await api("/");
    expect([response.status, await response.text()]).toEqual([403, "sorry"]);
    expect(server.requests).toHaveLength(1);
  });

  test("the answer stays where no scope is named", async () => {
    setAnswer(() => ({ status: 403 }));
    const { api, scopes } = setUp();
    expect((await api("/")).status).toBe(403);
    expect(scopes()).toHaveLength(1);
  });
});

describe("with dpop", () => {
  const wantsNonce = (nonce: string): HttpAnswer => ({
    status: 401,
    headers: { "www-authenticate": 'DPoP error="use_dpop_nonce"', "dpop-nonce": nonce },
  });
  const proofs = () => server.requests.map(({ headers }) => headers.get("dpop") ?? "");
  const nonces = () => proofs().map((proof) => decodeJwt(proof).nonce);

  test("each call has a proof of its own, for the method and the URL without query", async () => {
    const { api } = setUp({ dpop: true });
    await api("/a?b=1#c");
    await api("/a", { method: "DELETE" });
    const claims = proofs().map((proof) => decodeJwt(proof));
    const htu = `${server.baseUrl}/a`;
    expect(claims).toMatchObject([
      { htm: "GET", htu, ath: expect.any(String) },
      { htm: "DELETE", htu, ath: expect.any(String) },
    ]);
    expect(new Set(claims.map(({ jti }) => jti)).size).toBe(2);
    const [proof = ""] = proofs();
    const { jwk = {} } = decodeProtectedHeader(proof);
    expect(decodeJwt(tokens()[0] ?? "").cnf).toEqual({ jkt: await calculateJwkThumbprint(jwk) });
    expect(server.requests[0]?.headers.get("authorization")).toMatch(/^DPoP /);
  });

  test("a nonce is sent once the API asks for it, and renewed with each answer", async () => {
    setAnswer((_, n) => (n === 1 ? wantsNonce("n1") : { headers: { "dpop-nonce": `n${n}` } }));
    const { api, scopes } = setUp({ dpop: true });
    expect((await api("/")).status).toBe(200);
    await api("/");
    expect(nonces()).toEqual([undefined, "n1", "n2"]);
    expect(new Set(tokens()).size).toBe(1);
    expect(scopes()).toHaveLength(1);
  });

  test("an API that always wants another nonce is asked twice", async () => {
    setAnswer((_, n) => wantsNonce(`n${n}`));
    const { api } = setUp({ dpop: true });
    expect((await api("/")).status).toBe(401);
    expect(nonces()).toEqual([undefined, "n1"]);
  });

  test("a nonce and another token make three calls at most", async () => {
    const answers = [wantsNonce("n1"), unauthorized, unauthorized, unauthorized];
    setAnswer((_, n) => answers[n - 1] ?? {});
    const { api } = setUp({ dpop: true });
    expect((await api("/")).status).toBe(401);
    expect(server.requests).toHaveLength(3);
    expect(new Set(tokens()).size).toBe(2);
  });

  test("the nonces of the server of tokens are not those of the API", async () => {
    const strict = await startAuthorizationServer({ dpopNonces: true });
    try {
      const { api } = setUp({
        issuer: strict.issuer,
        ...strict.clients.basic,
        dpop: true,
      });
      await api("/");
      await api("/");
      expect(nonces()).toEqual([undefined, undefined]);
    } finally {
      await strict.close();
    }
  });
});

test.each([
  { options: { baseUrl: "/api" }, message: /^baseUrl "\/api" must be an http or https URL$/ },
  {
    options: { baseUrl: "alice:hidden@[api.test" },
    message: /^baseUrl "…@\[api\.test" must be an http or https URL$/,
  },
  { options: { scope: ["a b"] }, message: /^scope "a b" must be one scope-token/ },
  { options: { resource: "a" }, message: /^resource "a" must be an absolute URI/ },
  { options: { base: "a" }, message: /^createAuthFetch has no option "base"; there are baseUrl/ },
])("rejects $options", ({ options, message }) => {
  const make = () => setUp({}, options);
  expect(make).toThrow(TypeError);
  expect(make).toThrow(message);
});

test("rejects a fetch that is no function", () => {
  const wrong: object = { fetch: 5 };
  const make = () => setUp({}, wrong);
  expect(make).toThrow(new TypeError("fetch must be a function"));
});

test("rejects a client that is not of createAuthClient", () => {
  const { auth } = setUp();
  const make = () => createAuthFetch({ ...auth }, { baseUrl: server.baseUrl });
  expect(make).toThrow(new TypeError("client must be made by createAuthClient"));
});
