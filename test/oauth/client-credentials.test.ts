import { type Client, Code } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import {
  type AuthEvent,
  type CachedAuth,
  createServiceClient,
  definePolicies,
  type Requirements,
} from "../../src/index.js";
import { type ClientCredentialsOptions, clientCredentials } from "../../src/oauth/index.js";
import { createUserServiceClient } from "../gen/acme/user/v1/user_auth.js";
import { UserService } from "../gen/acme/user/v1/user_pb.js";
import {
  startAuthorizationServer,
  type TestAuthorizationServer,
} from "../support/authorization-server.js";
import { type ScopedApi, startScopedApi } from "../support/scoped-api.js";
import { watchSecrets } from "../support/secrets.js";
import { createUserApi } from "../support/user-api.js";

const secrets = watchSecrets();
let as: TestAuthorizationServer;
let api: ScopedApi;

beforeAll(async () => {
  as = await startAuthorizationServer();
  api = await startScopedApi();
});

afterEach(() => {
  as.fault(undefined);
  api.wanted.clear();
  api.revoked.clear();
  api.calls.length = 0;
});

afterAll(async () => {
  await as.close();
  await api.close();
});

/** A credential of the client `basic`, and what it asked for since. */
function setUp(options: Partial<ClientCredentialsOptions> = {}) {
  const before = as.requests.length;
  const events: AuthEvent[] = [];
  const credentials = clientCredentials({
    issuer: as.issuer,
    ...as.clients.basic,
    resource: as.resources.orders,
    scope: "orders:read",
    onEvent: (event) => events.push(event),
    ...options,
  });
  secrets.watch({ credentials, events });
  return {
    credentials,
    events,
    requests: () => as.requests.slice(before),
    scopes: () => as.requests.slice(before).map(({ params }) => params.get("scope")),
  };
}

/** A client of UserService whose methods need these scopes. */
function clientWith(
  credentials: CachedAuth,
  scopes: Partial<Record<"deleteUser" | "whoAmI" | "reindex", Requirements["scopes"]>> = {},
): Client<typeof UserService> {
  const policies = definePolicies(UserService, {
    getProfile: { kind: "public" },
    deleteUser: { kind: "requires", scopes: scopes.deleteUser ?? [] },
    whoAmI: { kind: "requires", scopes: scopes.whoAmI ?? [] },
    reindex: { kind: "internal", scopes: scopes.reindex ?? [] },
  });
  const auth = { credentials, internalCredentials: credentials };
  const options = { baseUrl: api.baseUrl, httpVersion: "1.1" } as const;
  return createServiceClient(policies, [createConnectTransport, options, auth]);
}

const calls = () => api.calls.map(({ method, scope }) => `${method}: ${scope}`);

describe("a generated client", () => {
  test("sends the token with each call, and public ones carry none", async () => {
    const { credentials, requests, events } = setUp({ scope: "users:write orders:read" });
    const { createTransport, arrived } = createUserApi();
    const users = createUserServiceClient(
      createTransport,
      { baseUrl: "https://api.test" },
      { credentials },
    );
    await users.whoAmI({});
    await users.deleteUser({});
    expect(new Set(arrived).size).toBe(1);
    expect(arrived[0]).toMatch(/^Bearer eyJ/);
    expect(requests()).toHaveLength(1);
    expect(events).toEqual([
      { type: "token_acquired", durationMs: expect.any(Number), expiresAt: expect.any(Date) },
    ]);
  });

  test("shares the token with other clients", async () => {
    const { credentials, requests } = setUp();
    const clients = Array.from({ length: 10 }, () => createUserApi().clientWith(credentials));
    await Promise.all(
      clients.flatMap((users) => Array.from({ length: 10 }, () => users.whoAmI({}))),
    );
    expect(requests()).toHaveLength(1);
  });

  test("gives up with the first of 50 callers, and the others get their token", async () => {
    const { credentials, requests } = setUp();
    const users = createUserApi().clientWith(credentials);
    let release = () => {};
    as.fault({ type: "held", until: new Promise<void>((resolve) => (release = resolve)) });
    const controller = new AbortController();
    const first = users.whoAmI({}, { signal: controller.signal });
    const others = Array.from({ length: 49 }, () => users.whoAmI({}));
    await vi.waitUntil(() => requests().length === 1, 10_000);
    controller.abort();
    expect(await secrets.failure(first)).toMatchObject({ code: Code.Canceled });
    release();
    await Promise.all(others);
    expect(requests()).toHaveLength(1);
  });

  test("gets another token when the API refuses the one at hand", async () => {
    const { credentials, requests, events } = setUp();
    const users = clientWith(credentials);
    await users.whoAmI({});
    api.revoked.add(secrets.hide(api.calls[0]?.token ?? ""));
    await Promise.all(Array.from({ length: 20 }, () => users.whoAmI({})));
    expect(requests()).toHaveLength(2);
    expect(new Set(api.calls.map(({ token }) => token)).size).toBe(2);
    expect(new Set(events.map(({ type }) => type))).toEqual(
      new Set(["token_acquired", "token_refused", "token_refreshed", "retry"]),
    );
  });

  test("starts anew after clear()", async () => {
    const { credentials, requests } = setUp();
    const users = createUserApi().clientWith(credentials);
    await users.whoAmI({});
    credentials.clear();
    await users.whoAmI({});
    expect(requests()).toHaveLength(2);
  });
});

describe("a call fails", () => {
  test.each([
    {
      name: "with Unauthenticated where the server refuses",
      options: { clientSecret: "wrong secret" },
      fault: undefined,
      code: Code.Unauthenticated,
      auth: "credentials_failed",
      cause: { name: "AuthClientError", code: "invalid_client", status: 401 },
    },
    {
      name: "with Unavailable where the server has an error",
      options: {},
      fault: { type: "status", status: 502 },
      code: Code.Unavailable,
      auth: "credentials_unavailable",
      cause: { name: "AuthClientError", code: "http_error", status: 502 },
    },
    {
      name: "with Unavailable where there are too many requests",
      options: {},
      fault: { type: "status", status: 429, headers: { "retry-after": "5" } },
      code: Code.Unavailable,
      auth: "credentials_unavailable",
      cause: { name: "AuthClientError", code: "http_error", status: 429, retryAfterMs: 5000 },
    },
    {
      name: "with Unavailable where the server says so",
      options: {},
      fault: { type: "status", status: 400, body: '{"error":"temporarily_unavailable"}' },
      code: Code.Unavailable,
      auth: "credentials_unavailable",
      cause: { name: "AuthClientError", code: "temporarily_unavailable", status: 400 },
    },
    {
      name: "with Unavailable where the connection breaks",
      options: {},
      fault: { type: "reset" },
      code: Code.Unavailable,
      auth: "credentials_unavailable",
      cause: { name: "AuthClientError", code: "network_error" },
    },
    {
      name: "with Unavailable where the server hangs",
      options: { timeoutMs: 100 },
      fault: { type: "hang" },
      code: Code.Unavailable,
      auth: "credentials_unavailable",
      cause: { name: "TimeoutError" },
    },
    {
      name: "with Unauthenticated where the token cannot be sent",
      options: {},
      fault: { type: "body", json: { access_token: "hidden, hidden", token_type: "Bearer" } },
      code: Code.Unauthenticated,
      auth: "credentials_invalid",
      cause: undefined,
    },
  ] as const)("$name", async ({ options, fault, code, auth, cause }) => {
    secrets.hide("hidden, hidden");
    as.fault(fault);
    const { credentials, events, requests } = setUp(options);
    const users = createUserApi().clientWith(credentials);
    for (let i = 0; i < 3; i++) {
      const error = await secrets.failure(users.whoAmI({}));
      expect(error).toMatchObject({
        name: "ConnectError",
        code,
        cause: { name: "AuthError", code: auth, sent: false },
      });
      expect(error).toHaveProperty(
        "cause.cause",
        cause === undefined ? undefined : expect.objectContaining(cause),
      );
    }
    expect(requests()).toHaveLength(1);
    expect(events).toEqual([
      { type: "token_failed", durationMs: expect.any(Number), error: expect.any(Error) },
    ]);
  });
});

describe("from-policy", () => {
  test("asks for what each method needs, and methods with the same scopes share a token", async () => {
    const { credentials, scopes } = setUp({ scope: "from-policy" });
    const users = clientWith(credentials, {
      whoAmI: ["orders:read"],
      deleteUser: ["users:write", "orders:write"],
      reindex: ["orders:write", "users:write"],
    });
    for (let i = 0; i < 2; i++) {
      await users.whoAmI({});
      await users.deleteUser({});
      await users.reindex({});
    }
    expect(calls().slice(0, 3)).toEqual([
      "whoAmI: orders:read",
      "deleteUser: orders:write users:write",
      "reindex: orders:write users:write",
    ]);
    expect(calls().slice(3)).toEqual(calls().slice(0, 3));
    expect(scopes()).toEqual(["orders:read", "orders:write users:write"]);
  });

  test("asks for none where the policy names none", async () => {
    const { credentials, scopes } = setUp({ scope: "from-policy" });
    const { createTransport } = createUserApi();
    const users = createUserServiceClient(
      createTransport,
      { baseUrl: "https://api.test" },
      { credentials },
    );
    await users.whoAmI({});
    await users.deleteUser({});
    expect(scopes()).toEqual([null, "users:write"]);
  });

  test("adds what a server misses, once, and asks for it at once from then on", async () => {
    const { credentials, scopes, events } = setUp({ scope: "from-policy" });
    const users = clientWith(credentials, { whoAmI: ["orders:read"], deleteUser: ["users:read"] });
    api.wanted.set("whoAmI", ["orders:write"]);
    await users.whoAmI({});
    await users.whoAmI({});
    await users.deleteUser({});
    expect(calls()).toEqual([
      "whoAmI: orders:read",
      "whoAmI: orders:read orders:write",
      "whoAmI: orders:read orders:write",
      "deleteUser: users:read",
    ]);
    expect(scopes()).toEqual(["orders:read", "orders:read orders:write", "users:read"]);
    expect(events.map(({ type }) => type)).toEqual([
      "token_acquired",
      "token_refused",
      "token_acquired",
      "retry",
      "token_acquired",
    ]);
  });

  test("takes the token of another method that learned the same", async () => {
    const { credentials, scopes } = setUp({ scope: "from-policy" });
    const users = clientWith(credentials, { whoAmI: ["orders:read"], deleteUser: ["orders:read"] });
    api.wanted.set("whoAmI", ["orders:write"]).set("deleteUser", ["orders:write"]);
    await users.whoAmI({});
    await users.deleteUser({});
    await users.deleteUser({});
    expect(calls().slice(2)).toEqual([
      "deleteUser: orders:read",
      "deleteUser: orders:read orders:write",
      "deleteUser: orders:read orders:write",
    ]);
    expect(scopes()).toEqual(["orders:read", "orders:read orders:write"]);
  });

  test("leaves the answer as it is, and the token good, where the scopes are not granted", async () => {
    const { credentials, scopes } = setUp({ ...as.clients.limited, scope: "from-policy" });
    const users = clientWith(credentials, { whoAmI: ["orders:read"] });
    api.wanted.set("whoAmI", ["users:write"]);
    for (let i = 0; i < 5; i++) {
      expect(await secrets.failure(users.whoAmI({}))).toMatchObject({
        code: Code.PermissionDenied,
        rawMessage: "scope missing",
      });
    }
    api.wanted.clear();
    await users.whoAmI({});
    expect(calls()).toEqual(Array(6).fill("whoAmI: orders:read"));
    expect(scopes()).toEqual(["orders:read", "orders:read users:write"]);
  });

  test("does not go on where a server drops scopes in silence", async () => {
    const { credentials, scopes } = setUp({ resource: as.resources.users, scope: "from-policy" });
    const users = clientWith(credentials, { whoAmI: ["users:read"] });
    api.wanted.set("whoAmI", ["orders:read"]);
    for (let i = 0; i < 3; i++) {
      expect(await secrets.failure(users.whoAmI({}))).toMatchObject({
        code: Code.PermissionDenied,
      });
    }
    expect(scopes()).toEqual(["users:read", "orders:read users:read"]);
  });

  test("adds at most 50 scopes, however many a server names", async () => {
    const { credentials, scopes } = setUp({ scope: "from-policy" });
    const users = clientWith(credentials, { whoAmI: ["orders:read"] });
    api.wanted.set(
      "whoAmI",
      Array.from({ length: 80 }, (_, i) => `x:${i}`),
    );
    await secrets.failure(users.whoAmI({}));
    expect(scopes()[1]?.split(" ")).toHaveLength(50);
  });
});

describe("a constant scope", () => {
  test("is added to in the same way", async () => {
    const { credentials, scopes } = setUp({ scope: "orders:read" });
    const users = clientWith(credentials);
    api.wanted.set("whoAmI", ["orders:write"]);
    await users.whoAmI({});
    await users.deleteUser({});
    expect(scopes()).toEqual(["orders:read", "orders:read orders:write"]);
    expect(calls()).toEqual([
      "whoAmI: orders:read",
      "whoAmI: orders:read orders:write",
      "deleteUser: orders:read",
    ]);
  });
});

test.each([
  { options: { scopes: "a" }, message: /^clientCredentials has no option "scopes"; there are/ },
  { options: { issuer: "http://as.test" }, message: /^issuer "http:\/\/as.test" must be an https/ },
  { options: { scope: ["a b"] }, message: /^scope "a b" must be one scope-token/ },
  {
    options: { issuer: "alice:hidden@as.test" },
    message: /^issuer "…@as\.test" must be an https URL$/,
  },
  {
    options: { tokenEndpoint: "https://alice:hidden@[as.test" },
    message: /^tokenEndpoint "…@\[as\.test" must be an https URL$/,
  },
  {
    options: { issuer: "https://alice:hidden@as.test" },
    message: /^issuer must have no user name and no password$/,
  },
  { options: { timeoutMs: 2 ** 31 }, message: /^timeoutMs 2147483648 must be 2147483647 at most$/ },
  { options: { resource: "#a" }, message: /^resource "#a" must be an absolute URI/ },
])("rejects $options", ({ options, message }) => {
  const make = () =>
    clientCredentials({ issuer: "https://a.test", clientId: "a", clientSecret: "b", ...options });
  expect(make).toThrow(TypeError);
  expect(make).toThrow(message);
});

test.each([
  { name: "fetch", value: 5, message: "fetch must be a function" },
  { name: "now", value: new Date(), message: "now must be a function" },
  { name: "onEvent", value: "log", message: "onEvent must be a function" },
  {
    name: "clientAuthentication",
    value: "private_key_jwt",
    message: "clientAuthentication must be what publicClient() and the like return",
  },
  {
    name: "clientAuthentication",
    value: { method: "none" },
    message: "clientAuthentication must be what publicClient() and the like return",
  },
  { name: "parameters", value: 5, message: "parameters must be an object of strings" },
  { name: "parameters", value: null, message: "parameters must be an object of strings" },
  { name: "parameters", value: ["a"], message: "parameters must be an object of strings" },
  { name: "parameters", value: { a: 1 }, message: "parameters must be an object of strings" },
])("rejects $value as $name", ({ name, value, message }) => {
  const options = { issuer: "https://a.test", clientId: "a", clientSecret: "b" };
  const make = () => clientCredentials(Object.assign(options, { [name]: value }));
  expect(make).toThrow(TypeError);
  expect(make).toThrow(message);
});

test("accepts undefined for what is left out", async () => {
  const { credentials, requests } = setUp({
    clientAuthentication: undefined,
    tokenEndpoint: undefined,
    dpop: undefined,
    parameters: undefined,
    fetch: undefined,
    now: undefined,
    timeoutMs: undefined,
    refreshSkewSeconds: undefined,
    onEvent: undefined,
  });
  await createUserApi().clientWith(credentials).whoAmI({});
  expect(requests()).toHaveLength(1);
});

// last: it keeps this process busy for so long that servers close idle connections
test("a generated client makes one token request for 10,000 first calls at once", async () => {
  const { credentials, requests } = setUp({ timeoutMs: 60_000 });
  const { clientWith, arrived } = createUserApi();
  const users = clientWith(credentials);
  await Promise.all(Array.from({ length: 10_000 }, () => users.whoAmI({})));
  expect(arrived).toHaveLength(10_000);
  expect(new Set(arrived).size).toBe(1);
  expect(requests()).toHaveLength(1);
}, 120_000);
