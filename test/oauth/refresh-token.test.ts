import { Code } from "@connectrpc/connect";
import { calculateJwkThumbprint, decodeJwt } from "jose";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import type { AuthEvent, CachedAuth } from "../../src/index.js";
import {
  publicClient,
  type RefreshTokenOptions,
  refreshToken,
  type TokenResponse,
} from "../../src/oauth/index.js";
import {
  startAuthorizationServer,
  type TestAuthorizationServer,
} from "../support/authorization-server.js";
import { getAuth, tokenOf } from "../support/get-auth.js";
import { watchSecrets } from "../support/secrets.js";
import { createUserApi } from "../support/user-api.js";

const secrets = watchSecrets();
let as: TestAuthorizationServer;

beforeAll(async () => {
  as = await startAuthorizationServer();
});

afterEach(() => as.fault(undefined));

afterAll(() => as.close());

/** A refresh token of alice for the public client. */
async function createToken(scope = "orders:read orders:write", dpopJkt?: string): Promise<string> {
  const { clientId } = as.clients.public;
  return secrets.hide(
    await as.createRefreshToken({ clientId, scope, ...(dpopJkt !== undefined && { dpopJkt }) }),
  );
}

/** A credential with a refresh token of its own, and what it asked for since. */
async function setUp(options: Partial<RefreshTokenOptions> = {}) {
  const first = await createToken();
  const before = as.requests.length;
  const events: AuthEvent[] = [];
  const tokens: TokenResponse[] = [];
  let time = Date.now();
  const credentials = refreshToken({
    issuer: as.issuer,
    tokenEndpoint: as.tokenEndpoint,
    clientId: as.clients.public.clientId,
    clientAuthentication: publicClient(),
    refreshToken: first,
    onTokens: (came) => {
      tokens.push(came);
    },
    onEvent: (event) => events.push(event),
    now: () => new Date(time),
    ...options,
  });
  secrets.watch({ credentials, events });
  return {
    first,
    credentials,
    events,
    tokens,
    pass(ms: number) {
      time += ms;
    },
    requests: () => as.requests.slice(before),
    sent: () => as.requests.slice(before).map(({ params }) => params.get("refresh_token")),
  };
}

/** Asks for the next token, once the one at hand has expired. */
async function renew({ credentials, pass }: Pick<SetUp, "credentials" | "pass">) {
  pass(301_000);
  return getAuth(credentials);
}

type SetUp = Awaited<ReturnType<typeof setUp>>;

const fail = (credentials: CachedAuth) => secrets.failure(getAuth(credentials));

test("gets the tokens of a user, and each refresh uses the token that came last", async () => {
  const { credentials, first, tokens, requests, sent, pass } = await setUp();
  const auth = await getAuth(credentials);
  expect(decodeJwt(tokenOf(auth))).toMatchObject({ sub: "alice", client_id: "public" });
  expect(await getAuth(credentials)).toBe(auth);
  await renew({ credentials, pass });
  await renew({ credentials, pass });
  expect(sent()).toEqual([first, tokens[0]?.refresh_token, tokens[1]?.refresh_token]);
  expect(new Set(sent()).size).toBe(3);
  expect(Object.fromEntries(requests()[0]?.params ?? [])).toEqual({
    grant_type: "refresh_token",
    client_id: "public",
    refresh_token: first,
  });
  expect(tokens[0]).toEqual({
    access_token: tokenOf(auth),
    token_type: "Bearer",
    expires_at: expect.any(Number),
    refresh_token: expect.any(String),
    scope: "orders:read orders:write",
  });
});

test("refreshes once for 100 calls at once, and the family lives on", async () => {
  const { credentials, requests, pass } = await setUp();
  const { clientWith, arrived } = createUserApi();
  const users = clientWith(credentials);
  await Promise.all(Array.from({ length: 100 }, () => users.whoAmI({})));
  expect(new Set(arrived).size).toBe(1);
  expect(requests()).toHaveLength(1);
  pass(301_000);
  await Promise.all(Array.from({ length: 100 }, () => users.whoAmI({})));
  expect(requests().map(({ status }) => status)).toEqual([200, 200]);
});

test("refreshes for different scopes one after the other", async () => {
  const { credentials, first, requests, sent, tokens } = await setUp({ scope: "from-policy" });
  const wanted = [["orders:read"], ["orders:write"], ["orders:read", "orders:write"]];
  const auths = await Promise.all(
    wanted.flatMap((scopes) => [getAuth(credentials, scopes), getAuth(credentials, scopes)]),
  );
  expect(new Set(auths.map(tokenOf)).size).toBe(3);
  expect(requests().map(({ status }) => status)).toEqual([200, 200, 200]);
  expect(sent()).toEqual([first, tokens[0]?.refresh_token, tokens[1]?.refresh_token]);
  expect(requests().map(({ params }) => params.get("scope"))).toEqual(
    wanted.map((scopes) => scopes.join(" ")),
  );
});

test("keeps the refresh token where the server sends no other", async () => {
  as.fault({ type: "body", json: { access_token: "a", token_type: "Bearer" } });
  const { credentials, first, sent, tokens, pass } = await setUp();
  await getAuth(credentials);
  await renew({ credentials, pass });
  expect(sent()).toEqual([first, first]);
  expect(tokens[1]?.refresh_token).toBe(first);
});

describe("a new refresh token is kept where the rest of the answer is refused", () => {
  const cases: readonly { name: string; wrong: object; code: string }[] = [
    { name: "expires_in is no number", wrong: { expires_in: "60s" }, code: "invalid_response" },
    { name: "expires_in is 0", wrong: { expires_in: 0 }, code: "expired_token" },
    { name: "the type is another", wrong: { token_type: "mac" }, code: "invalid_response" },
    { name: "it is a DPoP token", wrong: { token_type: "DPoP" }, code: "token_type_mismatch" },
    { name: "there is no access token", wrong: { access_token: null }, code: "invalid_response" },
  ];

  test.each(cases)("since $name", async ({ wrong, code }) => {
    const { credentials, first, tokens, sent, pass } = await setUp();
    as.fault((n) =>
      n === 1 ? { type: "changed", change: (answer) => ({ ...answer, ...wrong }) } : undefined,
    );
    expect(await fail(credentials)).toMatchObject({
      code: "credentials_failed",
      cause: { name: "AuthClientError", code },
    });
    expect(tokens).toEqual([]);
    pass(2000);
    await getAuth(credentials);
    expect(sent()[0]).toBe(first);
    expect(sent()[1]).not.toBe(first);
    expect(tokens).toHaveLength(1);
    await renew({ credentials, pass });
    expect(sent()[2]).toBe(tokens[0]?.refresh_token);
  });

  test("also where a function still returns the old one", async () => {
    const first = await createToken();
    let stored = first;
    const { credentials, sent, pass } = await setUp({
      refreshToken: () => stored,
      onTokens({ refresh_token = "" }) {
        stored = refresh_token;
      },
    });
    as.fault((n) =>
      n < 3 ? { type: "changed", change: (a) => ({ ...a, expires_in: "60s" }) } : undefined,
    );
    await fail(credentials);
    pass(2000);
    await fail(credentials);
    pass(4000);
    await getAuth(credentials);
    await renew({ credentials, pass });
    expect(sent()[0]).toBe(first);
    expect(new Set(sent()).size).toBe(4);
  });
});

describe("onTokens", () => {
  test("is waited for before any call continues", async () => {
    const order: string[] = [];
    let store = () => {};
    const stored = new Promise<void>((resolve) => (store = resolve));
    const { credentials, requests } = await setUp({
      async onTokens() {
        order.push("asked to store");
        await stored;
        order.push("stored");
      },
    });
    const calls = Array.from({ length: 10 }, async () => {
      await getAuth(credentials);
      order.push("call");
    });
    await vi.waitUntil(() => order.length > 0, 10_000);
    expect(requests()).toHaveLength(1);
    store();
    await Promise.all(calls);
    expect(order).toEqual(["asked to store", "stored", ...Array(10).fill("call")]);
  });

  test("that throws makes calls fail, and is called with the same tokens again", async () => {
    const came: TokenResponse[] = [];
    const { credentials, first, pass, requests, sent } = await setUp({
      onTokens(tokens) {
        came.push(tokens);
        if (came.length < 3) {
          throw new Error("the disk is full");
        }
      },
    });
    const failure = {
      name: "AuthError",
      code: "credentials_failed",
      message: "onTokens could not store the tokens",
      cause: { message: "the disk is full" },
    };
    expect(await fail(credentials)).toMatchObject(failure);
    // no other request before the tokens are stored
    pass(2000);
    expect(await fail(credentials)).toMatchObject(failure);
    expect(requests()).toHaveLength(1);
    pass(4000);
    await getAuth(credentials);
    expect(sent()).toEqual([first, came[0]?.refresh_token]);
    expect(came).toHaveLength(4);
    expect(came.slice(0, 3)).toEqual(Array(3).fill(came[0]));
    expect(came[3]?.refresh_token).not.toBe(came[0]?.refresh_token);
    expect(requests().map(({ status }) => status)).toEqual([200, 200]);
  });
});

describe("code that hangs", () => {
  test("in onTokens costs timeoutMs, and is called with the same tokens again", async () => {
    const came: TokenResponse[] = [];
    const { credentials, pass, sent, first } = await setUp({
      timeoutMs: 200,
      onTokens(tokens) {
        came.push(tokens);
        return came.length === 1 ? new Promise(() => {}) : undefined;
      },
    });
    expect(await fail(credentials)).toMatchObject({
      code: "credentials_unavailable",
      message: "no token within 200 ms",
    });
    await vi.waitUntil(async () => {
      pass(5000);
      return getAuth(credentials).then(
        () => true,
        () => false,
      );
    }, 10_000);
    expect(came).toHaveLength(3);
    expect(came[1]).toEqual(came[0]);
    expect(sent()).toEqual([first, came[0]?.refresh_token]);
  });

  test("in refreshToken costs timeoutMs, and is asked again", async () => {
    const first = await createToken();
    let asked = 0;
    const { credentials, pass, requests } = await setUp({
      timeoutMs: 200,
      refreshToken: () => (++asked === 1 ? new Promise(() => {}) : first),
    });
    expect(await fail(credentials)).toMatchObject({ code: "credentials_unavailable" });
    expect(requests()).toEqual([]);
    await vi.waitUntil(async () => {
      pass(5000);
      return getAuth(credentials).then(
        () => true,
        () => false,
      );
    }, 10_000);
    expect(asked).toBe(2);
    expect(requests().map(({ status }) => status)).toEqual([200]);
  });
});

describe("clear()", () => {
  const signedOut = {
    name: "AuthError",
    code: "credentials_missing",
    message: "signed out: make a new credential",
  };

  test("forgets the refresh token", async () => {
    const { credentials, requests } = await setUp();
    await getAuth(credentials);
    credentials.clear();
    expect(await fail(credentials)).toMatchObject(signedOut);
    const call = createUserApi().clientWith(credentials).whoAmI({});
    expect(await secrets.failure(call)).toMatchObject({
      code: Code.Unauthenticated,
      cause: signedOut,
    });
    expect(requests()).toHaveLength(1);
  });

  test("lets a function be asked again", async () => {
    let stored = await createToken();
    const { credentials, tokens } = await setUp({ refreshToken: () => stored });
    await getAuth(credentials);
    credentials.clear();
    stored = await createToken();
    expect(decodeJwt(tokenOf(await getAuth(credentials))).sub).toBe("alice");
    expect(tokens).toHaveLength(2);
  });

  test.each(["a token", "a function"])(
    "neither stores nor serves what is on its way, with %s",
    async (kind) => {
      let release = () => {};
      const until = new Promise<void>((resolve) => (release = resolve));
      as.fault({ type: "held", until });
      const first = await createToken();
      const { credentials, requests, tokens } = await setUp({
        refreshToken: kind === "a token" ? first : () => first,
      });
      const waiting = fail(credentials);
      await vi.waitUntil(() => requests().length === 1, 10_000);
      credentials.clear();
      release();
      expect(await waiting).toMatchObject({
        name: "AuthError",
        code: "credentials_missing",
        message: "signed out before the token came",
      });
      expect(tokens).toEqual([]);
    },
  );
});

describe("invalid_grant", () => {
  test("reaches every waiter, and is not hammered", async () => {
    const { credentials, first, requests, pass } = await setUp();
    // used elsewhere
    const other = await setUp({ refreshToken: first });
    await getAuth(other.credentials);
    const users = createUserApi().clientWith(credentials);
    const before = requests().length;
    const errors = await Promise.all(
      Array.from({ length: 100 }, () => secrets.failure(users.whoAmI({}))),
    );
    for (const error of errors) {
      expect(error).toMatchObject({
        code: Code.Unauthenticated,
        cause: {
          code: "credentials_failed",
          cause: { name: "AuthClientError", code: "invalid_grant", status: 400 },
        },
      });
    }
    expect(errors[0]).toHaveProperty(
      "rawMessage",
      `the token endpoint ${as.tokenEndpoint} answered invalid_grant, HTTP 400: the refresh token or subject token has expired, was revoked or was used before`,
    );
    await fail(credentials);
    expect(requests()).toHaveLength(before + 1);
    pass(2000);
    await fail(credentials);
    expect(requests()).toHaveLength(before + 2);
  });

  test("comes after an answer that was lost, since the token may have been used", async () => {
    as.fault((n) => (n === 1 ? { type: "lost-answer" } : undefined));
    const { credentials, first, pass, sent } = await setUp();
    const errors = await Promise.all([fail(credentials), fail(credentials)]);
    for (const error of errors) {
      expect(error).toMatchObject({
        code: "credentials_unavailable",
        message: `no answer from ${as.tokenEndpoint}: ECONNRESET`,
        cause: { code: "network_error" },
      });
    }
    pass(2000);
    expect(await fail(credentials)).toMatchObject({
      code: "credentials_failed",
      cause: { code: "invalid_grant" },
    });
    expect(sent()).toEqual([first, first]);
  });

  test("does not show the token, also where the server echoes it", async () => {
    const { credentials, first } = await setUp();
    as.fault({
      type: "status",
      status: 400,
      body: JSON.stringify({ error: "invalid_grant", error_description: `${first} is used` }),
    });
    expect(await fail(credentials)).toMatchObject({ cause: { code: "invalid_grant" } });
    const echoed = "a_token_of_letters";
    as.fault({ type: "status", status: 400, body: JSON.stringify({ error: echoed }) });
    const other = await setUp({ refreshToken: echoed });
    expect(await fail(other.credentials)).toMatchObject({ cause: { code: "http_error" } });
  });
});

describe("a request goes on", () => {
  test("when the caller who began it gives up", async () => {
    let release = () => {};
    as.fault({ type: "held", until: new Promise<void>((resolve) => (release = resolve)) });
    const { credentials, requests, tokens } = await setUp();
    const users = createUserApi().clientWith(credentials);
    const controller = new AbortController();
    const call = users.whoAmI({}, { signal: controller.signal });
    await vi.waitUntil(() => requests().length === 1, 10_000);
    controller.abort();
    expect(await secrets.failure(call)).toMatchObject({ code: Code.Canceled });
    release();
    await vi.waitUntil(() => tokens.length === 1, 10_000);
    await users.whoAmI({});
    expect(requests().map(({ status }) => status)).toEqual([200]);
  });

  test("when it takes longer than timeoutMs, and its token is stored", async () => {
    let release = () => {};
    as.fault((n) =>
      n === 1
        ? { type: "held", until: new Promise<void>((resolve) => (release = resolve)) }
        : undefined,
    );
    const { credentials, first, tokens, sent, pass } = await setUp({ timeoutMs: 500 });
    expect(await fail(credentials)).toMatchObject({
      code: "credentials_unavailable",
      message: "no token within 500 ms",
    });
    release();
    await vi.waitUntil(() => tokens.length === 1, 10_000);
    pass(5000);
    await getAuth(credentials);
    expect(sent()).toEqual([first, tokens[0]?.refresh_token]);
  });

  test("and those who ask again meanwhile wait for its answer", async () => {
    let release = () => {};
    as.fault((n) =>
      n === 1
        ? { type: "held", until: new Promise<void>((resolve) => (release = resolve)) }
        : undefined,
    );
    const { credentials, requests, tokens, pass } = await setUp({ timeoutMs: 1000 });
    await fail(credentials);
    pass(5000);
    const next = getAuth(credentials);
    release();
    expect(tokenOf(await next)).toBe(tokens[0]?.access_token);
    expect(requests()).toHaveLength(1);
  });

  test("for three times as long at most", async () => {
    as.fault((n) => (n === 1 ? { type: "hang" } : undefined));
    const { credentials, first, sent, pass } = await setUp({ timeoutMs: 100 });
    await fail(credentials);
    await vi.waitUntil(async () => {
      pass(300_000);
      return getAuth(credentials).then(
        () => true,
        () => false,
      );
    }, 10_000);
    expect(sent()).toEqual([first, first]);
  });
});

describe("a function", () => {
  test("is asked before each request, and the tokens are its own to keep", async () => {
    let stored = await createToken();
    const asked: string[] = [];
    const { credentials, sent, pass } = await setUp({
      async refreshToken() {
        asked.push(stored);
        return stored;
      },
      async onTokens({ refresh_token = "" }) {
        stored = refresh_token;
      },
    });
    await getAuth(credentials);
    await renew({ credentials, pass });
    expect(asked).toHaveLength(2);
    expect(new Set(asked).size).toBe(2);
    expect(sent()).toEqual(asked);
  });

  test.each([
    {
      name: "throws",
      given: () => {
        throw new Error("no keychain");
      },
      cause: { message: "no keychain" },
    },
    {
      name: "returns nothing",
      given: () => "",
      cause: { name: "TypeError", message: "refreshToken must be a string that is not empty" },
    },
  ])("that $name makes calls fail", async ({ given, cause }) => {
    const { credentials, requests } = await setUp({ refreshToken: given });
    expect(await fail(credentials)).toMatchObject({
      name: "AuthError",
      code: "credentials_failed",
      message: "the credential could not be obtained",
      cause,
    });
    expect(requests()).toEqual([]);
  });
});

describe("a token bound to a key", () => {
  test("is refreshed with that key", async () => {
    const keyPair = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, false, [
      "sign",
      "verify",
    ]);
    const jwk = await crypto.subtle.exportKey("jwk", keyPair.publicKey);
    const jkt = await calculateJwkThumbprint(jwk);
    const bound = await createToken("orders:read", jkt);
    const { credentials, pass } = await setUp({ refreshToken: bound, dpop: { keyPair } });
    const auth = await getAuth(credentials);
    expect(auth.type).toBe("dpop");
    expect(decodeJwt(tokenOf(auth)).cnf).toEqual({ jkt });
    pass(11_000);
    credentials.rejected(auth, undefined);
    const next = await getAuth(credentials);
    expect(next.type).toBe("dpop");
    expect(tokenOf(next)).not.toBe(tokenOf(auth));
  });

  test("is refused with another", async () => {
    const { credentials } = await setUp({
      refreshToken: await createToken("orders:read", "0".repeat(43)),
      dpop: true,
    });
    expect(await fail(credentials)).toMatchObject({ cause: { code: "invalid_grant" } });
  });
});

test.each<{ options: object; message: RegExp }>([
  { options: { onTokens: 5 }, message: /^onTokens must be a function$/ },
  { options: { refreshToken: "" }, message: /^refreshToken must be a string that is not empty$/ },
  { options: { onToken: () => {} }, message: /^refreshToken has no option "onToken"; there are/ },
  { options: { clientId: "" }, message: /^clientId must be a string that is not empty$/ },
])("rejects $options", ({ options, message }) => {
  const make = () =>
    refreshToken({
      issuer: "https://as.test",
      clientId: "a",
      clientAuthentication: publicClient(),
      refreshToken: "token",
      ...options,
    });
  expect(make).toThrow(TypeError);
  expect(make).toThrow(message);
});
