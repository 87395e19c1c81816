import { calculateJwkThumbprint, decodeJwt, decodeProtectedHeader } from "jose";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import {
  type AuthClientOptions,
  createAuthClient,
  isAuthClientError,
} from "../../src/oauth/index.js";
import {
  startAuthorizationServer,
  type TestAuthorizationServer,
} from "../support/authorization-server.js";
import { watchSecrets } from "../support/secrets.js";

const secrets = watchSecrets();
let as: TestAuthorizationServer;

beforeAll(async () => {
  as = await startAuthorizationServer();
});

afterEach(() => {
  as.fault(undefined);
  as.metadata("both");
  as.setTokenLifetime(300);
});

afterAll(() => as.close());

/** A client `basic` for `orders:read`, and how many requests it made since. */
function setUp(options: Partial<AuthClientOptions> = {}) {
  const before = as.requests.length;
  const auth = secrets.watch(
    createAuthClient({
      issuer: as.issuer,
      ...as.clients.basic,
      scope: ["orders:read"],
      resource: as.resources.orders,
      ...options,
    }),
  );
  return { auth, requests: () => as.requests.slice(before) };
}

describe("as in the quick start", () => {
  test("a token comes, and serves until it is about to expire", async () => {
    const { auth, requests } = setUp();
    const startedAt = Math.floor(Date.now() / 1000);
    const token = await auth.getToken();
    expect(token).toEqual({
      access_token: expect.any(String),
      token_type: "Bearer",
      expires_at: expect.any(Number),
      scope: "orders:read",
    });
    expect(token.expires_at - startedAt).toBeGreaterThanOrEqual(300);
    expect(token.expires_at - startedAt).toBeLessThan(330);
    expect(decodeJwt(token.access_token)).toMatchObject({
      iss: as.issuer,
      sub: "basic",
      aud: as.resources.orders,
      scope: "orders:read",
    });
    expect(await auth.getToken()).toEqual(token);
    expect(requests()).toHaveLength(1);
  });

  test("what a caller does to a token does not reach the next", async () => {
    const { auth } = setUp();
    const token = await auth.getToken();
    const { access_token } = token;
    Object.assign(token, { access_token: "changed" });
    expect((await auth.getToken()).access_token).toBe(access_token);
  });

  test("a token bound to a key comes, and proofs of that key for any API", async () => {
    const { auth, requests } = setUp({ dpop: true });
    const token = await auth.getToken();
    expect(token.token_type).toBe("DPoP");
    const request = { htm: "GET", htu: "https://api.test/internal/ping" };
    const proof = secrets.hide(
      await auth.buildDpopProof({ ...request, accessToken: token.access_token }),
    );
    const { jwk = {} } = decodeProtectedHeader(proof);
    expect(decodeJwt(proof)).toMatchObject({ ...request, ath: expect.any(String) });
    expect(decodeJwt(token.access_token).cnf).toEqual({ jkt: await calculateJwkThumbprint(jwk) });
    expect(decodeProtectedHeader(requests()[0]?.headers.get("dpop") ?? "").jwk).toEqual(jwk);
  });

  test("a proof holds the nonce that it is given, and never waits for one", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout"] });
    try {
      const { auth } = setUp({ dpop: true });
      const request = { htm: "GET", htu: "https://api.test/?a=1#b", accessToken: "t" };
      const proofs = await Promise.all([
        auth.buildDpopProof({ ...request, nonce: "n1" }),
        auth.buildDpopProof(request),
        auth.buildDpopProof(request),
      ]);
      expect(proofs.map((proof) => decodeJwt(proof).nonce)).toEqual(["n1", undefined, undefined]);
      expect(proofs.map((proof) => decodeJwt(proof).htu)).toEqual(
        Array(3).fill("https://api.test/"),
      );
    } finally {
      vi.useRealTimers();
    }
  });

  test("there is no proof with a member that is misspelt", async () => {
    const { auth } = setUp({ dpop: true });
    const request = { htm: "GET", htu: "https://api.test/", accessToken: "t", acessToken: "t" };
    await expect(auth.buildDpopProof(request)).rejects.toThrow(
      new TypeError(
        'buildDpopProof has no option "acessToken"; there are htm, htu, accessToken, nonce',
      ),
    );
  });

  test("there is no proof without dpop", async () => {
    const { auth } = setUp();
    const request = { htm: "GET", htu: "https://api.test/", accessToken: "t" };
    await expect(auth.buildDpopProof(request)).rejects.toThrow(
      new TypeError("a DPoP proof needs the option dpop"),
    );
  });
});

describe("options", () => {
  test("clientSecret goes by HTTP Basic", async () => {
    const { auth, requests } = setUp();
    await auth.getToken();
    const [request] = requests();
    expect(request?.headers.get("authorization")).toMatch(/^Basic [\w+/]+=*$/);
    expect(request?.headers.get("accept")).toBe("application/json");
    expect(Object.fromEntries(request?.params ?? [])).toEqual({
      grant_type: "client_credentials",
      scope: "orders:read",
      resource: as.resources.orders,
    });
  });

  test("scope and resource left out are not sent", async () => {
    const { auth, requests } = setUp({ scope: undefined, resource: undefined });
    const token = await auth.getToken();
    expect([...(requests()[0]?.params.keys() ?? [])]).toEqual(["grant_type"]);
    expect(token).not.toHaveProperty("scope");
  });

  test("tokenEndpoint is asked as it is, without discovery", async () => {
    const before = as.discoveryRequests.length;
    const { auth, requests } = setUp({ tokenEndpoint: as.tokenEndpoint });
    await auth.getToken();
    expect(requests().map(({ path }) => path)).toEqual(["/token"]);
    expect(as.discoveryRequests).toHaveLength(before);
  });

  test("tokenEndpoint left out is the default path of an issuer without metadata", async () => {
    as.metadata("none");
    const { auth, requests } = setUp({ dpop: true });
    expect((await auth.getToken()).token_type).toBe("DPoP");
    expect(requests().map(({ path }) => path)).toEqual(["/api/v1/auth/oauth/token"]);
  });

  test.each([
    { refreshSkewSeconds: undefined, skew: 30 },
    { refreshSkewSeconds: 100, skew: 100 },
    { refreshSkewSeconds: 0, skew: 0 },
    // half of the life is the most
    { refreshSkewSeconds: 1000, skew: 150 },
  ])("refreshSkewSeconds $refreshSkewSeconds", async ({ refreshSkewSeconds, skew }) => {
    let time = Date.now();
    const { auth } = setUp({
      now: () => new Date(time),
      ...(refreshSkewSeconds !== undefined && { refreshSkewSeconds }),
    });
    const first = await auth.getToken();
    let release = () => {};
    as.fault({ type: "held", until: new Promise<void>((resolve) => (release = resolve)) });
    time += (300 - skew) * 1000 - 500;
    // served, with a refresh under way
    expect(await auth.getToken()).toEqual(first);
    // waited for, as it has not been under way for a second
    time += 600;
    const next = auth.getToken();
    release();
    expect((await next).access_token).not.toBe(first.access_token);
  });

  test("fetch and now are used in place of the global ones", async () => {
    const urls: string[] = [];
    const { auth } = setUp({
      fetch: (url, init) => {
        urls.push(url);
        return fetch(url, init);
      },
      now: () => new Date(1_700_000_000_000),
      tokenEndpoint: as.tokenEndpoint,
    });
    expect(await auth.getToken()).toMatchObject({ expires_at: 1_700_000_300 });
    expect(urls).toEqual([as.tokenEndpoint]);
  });

  test("parameters are sent with each request", async () => {
    const { auth, requests } = setUp({ parameters: { audience: "https://api.test/" } });
    await auth.getToken();
    expect(requests()[0]?.params.get("audience")).toBe("https://api.test/");
  });

  test.each<{ options: object; message: string | RegExp }>([
    {
      options: { issuer: "http://auth.acme.dev" },
      message: 'issuer "http://auth.acme.dev" must be an https URL',
    },
    { options: { issuer: "auth" }, message: 'issuer "auth" must be an https URL' },
    { options: { issuer: undefined }, message: "issuer undefined must be an https URL" },
    {
      options: { issuer: "https://auth.acme.dev/?tenant=1" },
      message: "issuer must have no query and no fragment (RFC 8414 §2)",
    },
    {
      options: { issuer: "https://me:s3cret@auth.acme.dev" },
      message: "issuer must have no user name and no password",
    },
    {
      options: { tokenEndpoint: "http://127.0.0.1.acme.dev/token" },
      message: 'tokenEndpoint "http://127.0.0.1.acme.dev/token" must be an https URL',
    },
    {
      options: { tokenEndpoint: "http://:s3cret@auth.acme.dev/token" },
      message: "tokenEndpoint must have no user name and no password",
    },
    { options: { clientId: "" }, message: "clientId must be a string that is not empty" },
    { options: { clientSecret: "" }, message: "clientSecret must be a string that is not empty" },
    {
      options: { clientSecret: undefined },
      message:
        "clientSecret is missing; pass clientAuthentication: publicClient() for a client without one",
    },
    {
      options: { clientAuthentication: { method: "none", authenticate: () => {} } },
      message: "clientSecret and clientAuthentication exclude each other",
    },
    {
      options: { scope: ["a b"] },
      message: 'scope "a b" must be one scope-token (RFC 6749 §3.3)',
    },
    { options: { scope: 'a"' }, message: 'scope "a\\"" must be one scope-token (RFC 6749 §3.3)' },
    {
      options: { resource: "api" },
      message: 'resource "api" must be an absolute URI without fragment (RFC 8707 §2)',
    },
    {
      options: { resource: ["https://api.test/", "https://api.test/#a"] },
      message:
        'resource "https://api.test/#a" must be an absolute URI without fragment (RFC 8707 §2)',
    },
    {
      options: { refreshSkewSeconds: -1 },
      message: "refreshSkewSeconds -1 must be a number of seconds",
    },
    {
      options: { refreshSkewSeconds: Number.NaN },
      message: "refreshSkewSeconds NaN must be a number of seconds",
    },
    { options: { timeoutMs: 0 }, message: "timeoutMs 0 must be a whole number above 0" },
    { options: { dpop: { algorithm: "HS256" } }, message: /^dpop\.algorithm "HS256" must be/ },
    { options: { dpop: { alg: "ES256" } }, message: /^dpop has no option "alg"; there are/ },
    { options: { scopes: "a" }, message: /^createAuthClient has no option "scopes"; there are/ },
  ])("rejects $options", ({ options, message }) => {
    const make = () =>
      createAuthClient({
        issuer: "https://auth.acme.dev",
        clientId: "a",
        clientSecret: "s3cret of a",
        ...options,
      });
    secrets.hide("s3cret");
    expect(make).toThrow(TypeError);
    expect(make).toThrow(typeof message === "string" ? new TypeError(message) : message);
    expect(() => {
      try {
        make();
      } catch (error) {
        throw secrets.watch(error);
      }
    }).toThrow();
  });

  test.each(["http://localhost:1", "http://127.8.9.1", "http://[::1]:3", "https://auth.acme.dev"])(
    "accepts the issuer %s",
    (issuer) => {
      expect(createAuthClient({ issuer, clientId: "a", clientSecret: "b" })).toBeTypeOf("object");
    },
  );
});

describe("errors", () => {
  test.each([
    {
      code: "invalid_client",
      status: 401,
      options: { clientSecret: "wrong secret" },
      hint: "check clientId, the secret or key, and clientAuthentication",
    },
    {
      code: "invalid_scope",
      status: 400,
      options: { clientId: "limited", clientSecret: "secret of limited", scope: "users:read" },
      hint: "the client may not have one of these scopes",
    },
    {
      code: "invalid_target",
      status: 400,
      options: { resource: "https://other.test/" },
      hint: "the server does not know this resource, or takes one at a time",
    },
  ])("show the status and the code $code", async ({ code, status, options, hint }) => {
    const { auth } = setUp(options);
    const error = await secrets.failure(auth.getToken());
    expect(error).toMatchObject({
      name: "AuthClientError",
      code,
      status,
      message: `the token endpoint ${as.tokenEndpoint} answered ${code}, HTTP ${status}: ${hint}`,
    });
    expect(isAuthClientError(error)).toBe(true);
  });

  test("of a scope or resource that there is not are those of the constructor", async () => {
    const { auth, requests } = setUp();
    await expect(auth.getToken({ scope: ["a b"] })).rejects.toThrow(
      new TypeError('scope "a b" must be one scope-token (RFC 6749 §3.3)'),
    );
    await expect(auth.getToken({ resource: "b" })).rejects.toThrow(/^resource "b" must be/);
    expect(requests()).toEqual([]);
  });
});

describe("the cache", () => {
  test("is keyed by scope and resource", async () => {
    const { auth, requests } = setUp();
    const { orders, users } = as.resources;
    const wanted = [
      {},
      { scope: "orders:read" },
      { scope: "orders:write  orders:read" },
      { scope: ["orders:read", "orders:write", "orders:read"] },
      { scope: "users:read", resource: users },
      { scope: "users:read", resource: [users, users] },
      { scope: "users:read", resource: orders },
      { scope: "" },
      { scope: [] },
    ];
    const tokens = [];
    for (const options of wanted) {
      tokens.push((await auth.getToken(options)).access_token);
    }
    const kinds = [...new Set(tokens)];
    expect(tokens.map((token) => kinds.indexOf(token))).toEqual([0, 0, 1, 1, 2, 2, 3, 4, 4]);
    expect(requests()).toHaveLength(kinds.length);
    expect(requests().map(({ params }) => params.get("scope"))).toEqual([
      "orders:read",
      "orders:read orders:write",
      "users:read",
      "users:read",
      null,
    ]);
  });

  test("does not mistake a list for its parts", async () => {
    const { auth, requests } = setUp({ scope: undefined, resource: undefined });
    const { orders, users } = as.resources;
    await auth.getToken({ resource: orders });
    const both = await secrets.failure(auth.getToken({ resource: [users, orders] }));
    expect(both).toMatchObject({ code: "invalid_target", status: 400 });
    expect(requests().map(({ params }) => params.getAll("resource"))).toEqual([
      [orders],
      [orders, users],
    ]);
  });

  test("forceRefresh brings another token, one for all who ask", async () => {
    const { auth, requests } = setUp();
    const first = await auth.getToken();
    const forced = await Promise.all(
      Array.from({ length: 5 }, () => auth.getToken({ forceRefresh: true })),
    );
    const [second] = forced;
    expect(second?.access_token).not.toBe(first.access_token);
    expect(forced).toEqual(Array(5).fill(second));
    expect(await auth.getToken()).toEqual(second);
    expect(requests()).toHaveLength(2);
  });

  test("forceRefresh fails where no other token can be had, and the old one goes on", async () => {
    const { auth, requests } = setUp();
    const first = await auth.getToken();
    as.fault({ type: "status", status: 503 });
    const force = () => secrets.failure(auth.getToken({ forceRefresh: true }));
    expect(await force()).toMatchObject({ code: "http_error", status: 503 });
    expect(await force()).toMatchObject({ code: "http_error", status: 503 });
    expect(await auth.getToken()).toEqual(first);
    expect(requests()).toHaveLength(2);
  });

  test("clearCache forgets all tokens", async () => {
    const { auth, requests } = setUp();
    const first = await auth.getToken();
    auth.clearCache();
    expect((await auth.getToken()).access_token).not.toBe(first.access_token);
    expect(requests()).toHaveLength(2);
  });
});

describe("signal", () => {
  test("releases its caller, and the others get their token", async () => {
    const { auth, requests } = setUp();
    let release = () => {};
    as.fault({ type: "held", until: new Promise<void>((resolve) => (release = resolve)) });
    const controller = new AbortController();
    const reason = new Error("the user left");
    const first = auth.getToken({ signal: controller.signal });
    const others = Array.from({ length: 49 }, () => auth.getToken());
    await vi.waitUntil(() => requests().length === 1, 10_000);
    controller.abort(reason);
    await expect(first).rejects.toBe(reason);
    release();
    expect(new Set((await Promise.all(others)).map(({ access_token }) => access_token)).size).toBe(
      1,
    );
    expect(requests()).toHaveLength(1);
  });

  test("that has aborted before asks for nothing", async () => {
    const asked: string[] = [];
    const { auth } = setUp({
      fetch: (url, init) => {
        asked.push(url);
        return fetch(url, init);
      },
    });
    const reason = new Error("never mind");
    await expect(auth.getToken({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    await new Promise((resolve) => setImmediate(resolve));
    expect(asked).toEqual([]);
  });

  test("that does not abort changes nothing", async () => {
    const { auth } = setUp();
    const { signal } = new AbortController();
    const token = await auth.getToken({ signal });
    expect(await auth.getToken({ signal })).toEqual(token);
  });
});
