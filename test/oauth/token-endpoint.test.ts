import { SignJWT } from "jose";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { type AuthClientOptions, createAuthClient } from "../../src/oauth/index.js";
import {
  startAuthorizationServer,
  type TestAuthorizationServer,
} from "../support/authorization-server.js";
import type { Fault } from "../support/faulty-server.js";
import { startHttpServer, type TestHttpServer } from "../support/http-server.js";
import { watchSecrets } from "../support/secrets.js";

const secrets = watchSecrets();
let as: TestAuthorizationServer;
let elsewhere: TestHttpServer;

beforeAll(async () => {
  as = await startAuthorizationServer();
  elsewhere = await startHttpServer(() => ({
    body: { access_token: "stolen", token_type: "Bearer", expires_in: 300 },
  }));
});

afterEach(() => as.fault(undefined));

afterAll(async () => {
  await as.close();
  await elsewhere.close();
});

/** A client, and what it asked for since. */
function setUp(options: Partial<AuthClientOptions> = {}) {
  const before = as.requests.length;
  const auth = createAuthClient({
    issuer: as.issuer,
    tokenEndpoint: as.tokenEndpoint,
    ...as.clients.basic,
    scope: "orders:read",
    resource: as.resources.orders,
    ...options,
  });
  return {
    auth,
    requests: () => as.requests.slice(before),
    fail: () => secrets.failure(auth.getToken()),
  };
}

const at = () => `the token endpoint ${as.tokenEndpoint}`;
const good = { access_token: "token", token_type: "Bearer" };

describe("redirects", () => {
  test.each([301, 302, 303, 307, 308])(
    "%i is an error, and nobody else is asked",
    async (status) => {
      as.fault({ type: "redirect", location: `${elsewhere.baseUrl}/token`, status });
      expect(await setUp().fail()).toMatchObject({
        name: "AuthClientError",
        code: "redirect",
        status,
        message: `${as.tokenEndpoint} redirects, which is not followed`,
      });
      expect(elsewhere.requests).toEqual([]);
    },
  );
});

describe("the kind of token", () => {
  const mismatch = (kind: string, advice: string) => ({
    name: "AuthClientError",
    code: "token_type_mismatch",
    message: `${at()} answered with a ${kind} token; ${advice}`,
  });

  test("Bearer is refused where the key was to be bound", async () => {
    as.fault({ type: "changed", change: (answer) => ({ ...answer, token_type: "Bearer" }) });
    const { fail } = setUp({ dpop: true });
    expect(await fail()).toMatchObject(mismatch("Bearer", "the key must be bound"));
  });

  test("DPoP is refused where there is no key", async () => {
    as.fault({ type: "changed", change: (answer) => ({ ...answer, token_type: "DPoP" }) });
    expect(await setUp().fail()).toMatchObject(mismatch("DPoP", "set dpop"));
  });

  test.each(["bearer", "BEARER"])("%s is Bearer", async (token_type) => {
    as.fault({ type: "body", json: { ...good, token_type } });
    expect(await setUp().auth.getToken()).toMatchObject(good);
  });

  test("dpop is DPoP", async () => {
    as.fault({ type: "changed", change: (answer) => ({ ...answer, token_type: "dpop" }) });
    expect(await setUp({ dpop: true }).auth.getToken()).toMatchObject({ token_type: "DPoP" });
  });
});

describe("an answer", () => {
  const noResponse = () => ({
    name: "AuthClientError",
    code: "invalid_response",
    message: `${at()} answered with no token response`,
  });

  test.each<{ name: string; json: unknown }>([
    { name: "null", json: null },
    { name: "a list", json: [good] },
    { name: "a text", json: "token" },
    { name: "empty", json: {} },
    { name: "without token", json: { token_type: "Bearer" } },
    { name: "without type", json: { access_token: "token" } },
    { name: "with an empty token", json: { ...good, access_token: "" } },
    { name: "with a token that is a number", json: { ...good, access_token: 1 } },
    { name: "with another type", json: { ...good, token_type: "mac" } },
    { name: "with a type that is a list", json: { ...good, token_type: ["Bearer"] } },
    { name: "with a scope that is a list", json: { ...good, scope: ["orders:read"] } },
    { name: 'with expires_in "60s"', json: { ...good, expires_in: "60s" } },
    { name: 'with expires_in ""', json: { ...good, expires_in: "" } },
    { name: "with expires_in -1", json: { ...good, expires_in: -1 } },
    { name: 'with expires_in "-1"', json: { ...good, expires_in: "-1" } },
    { name: "with expires_in true", json: { ...good, expires_in: true } },
    { name: "with expires_in []", json: { ...good, expires_in: [60] } },
  ])("is refused: $name", async ({ json }) => {
    as.fault({ type: "body", json });
    expect(await setUp().fail()).toMatchObject(noResponse());
  });

  test.each([
    { name: "text", body: "token", contentType: "text/plain" },
    { name: "HTML", body: "<html>", contentType: "text/html" },
    { name: "half of it", body: '{"access_token":"tok', contentType: "application/json" },
    { name: "nothing", body: "", contentType: "application/json" },
  ])("is refused: $name", async ({ body, contentType }) => {
    as.fault({ type: "status", status: 200, body, contentType });
    expect(await setUp().fail()).toMatchObject(noResponse());
  });

  test.each([
    { name: "CR LF", token: "hidden-1\r\nx-injected: 1" },
    { name: "a space", token: "hidden-2 hidden-2" },
    { name: "a comma", token: "hidden-3,hidden-3" },
    { name: "a letter that is not ASCII", token: "hidden-4é" },
    { name: "9 KiB", token: "h".repeat(9 * 1024) },
  ])("is refused: a token with $name, which no header can carry", async ({ token }) => {
    secrets.hide(token);
    as.fault({ type: "body", json: { ...good, access_token: token } });
    expect(await setUp().fail()).toMatchObject({
      name: "AuthClientError",
      code: "invalid_response",
      message: "the token is over 8192 bytes or has a wrong character",
    });
  });

  test.each([
    { status: 201, name: "Created" },
    { status: 200, name: "OK" },
  ])("is taken: HTTP $status, also as text/plain", async ({ status }) => {
    as.fault({ type: "status", status, body: JSON.stringify(good), contentType: "text/plain" });
    expect(await setUp().auth.getToken()).toMatchObject(good);
  });

  test("is taken with an id token, which nobody reads, and a null expires_in", async () => {
    as.fault({ type: "body", json: { ...good, id_token: "not.a.jwt", expires_in: null } });
    expect(await setUp().auth.getToken()).toMatchObject(good);
  });

  test.each([{ refresh_token: null }, { refresh_token: "" }, { scope: null }])(
    "is taken with %o, as if it were left out",
    async (empty) => {
      as.fault({ type: "body", json: { ...good, ...empty } });
      expect(await setUp().auth.getToken()).toEqual({
        ...good,
        expires_at: expect.any(Number),
        scope: "orders:read",
      });
    },
  );

  test("says which scopes were granted", async () => {
    const { auth } = setUp({ scope: "orders:read orders:write", resource: as.resources.users });
    as.fault({ type: "body", json: { ...good, scope: "orders:read" } });
    expect(await auth.getToken()).toMatchObject({ scope: "orders:read" });
    as.fault({ type: "body", json: good });
    expect(await auth.getToken({ forceRefresh: true })).toMatchObject({
      scope: "orders:read orders:write",
    });
  });
});

describe("expires_in", () => {
  const start = 1_700_000_000;
  const now = () => new Date(start * 1000);
  const jwt = (exp: number) =>
    new SignJWT({ exp }).setProtectedHeader({ alg: "HS256" }).sign(new Uint8Array(32));

  test.each([
    { value: 60, want: 60 },
    { value: "3600", want: 3600 },
    { value: 1.5, want: 1 },
    { value: 9e15, want: 315_360_000 },
    { value: undefined, want: 300 },
    { value: null, want: 300 },
  ])("$value is $want s", async ({ value, want }) => {
    as.fault({ type: "body", json: { ...good, expires_in: value } });
    expect((await setUp({ now }).auth.getToken()).expires_at - start).toBe(want);
  });

  test("left out is the exp of a JWT", async () => {
    as.fault({ type: "body", json: { ...good, access_token: await jwt(start + 90) } });
    expect((await setUp({ now }).auth.getToken()).expires_at - start).toBe(90);
  });

  test("left out is the exp of a JWT also where that is more than a day away", async () => {
    const far = start + 30 * 86_400;
    as.fault({ type: "body", json: { ...good, access_token: await jwt(far) } });
    expect((await setUp({ now }).auth.getToken()).expires_at).toBe(far);
  });

  test("1 is a second, also where the clock stands between two", async () => {
    as.fault({ type: "body", json: { ...good, expires_in: 1 } });
    let time = start * 1000 + 900;
    const { auth } = setUp({
      now: () => new Date(time),
      fetch: async (url, init) => {
        const answer = await fetch(url, init);
        // past the whole second in expires_at
        time += 300;
        return answer;
      },
    });
    expect((await auth.getToken()).expires_at - start).toBe(1);
  });

  test("9e15 keeps the token for a day all the same", async () => {
    let time = start * 1000;
    const { auth, requests } = setUp({ now: () => new Date(time) });
    as.fault({ type: "body", json: { ...good, expires_in: 9e15 } });
    await auth.getToken();
    time += 23 * 3_600_000;
    await auth.getToken();
    expect(requests()).toHaveLength(1);
    time += 3_700_000;
    await auth.getToken();
    expect(requests()).toHaveLength(2);
  });

  test.each([
    { name: "0", json: async () => ({ ...good, expires_in: 0 }) },
    { name: '"0"', json: async () => ({ ...good, expires_in: "0" }) },
    { name: "0.9", json: async () => ({ ...good, expires_in: 0.9 }) },
    {
      name: "in the past of a JWT",
      json: async () => ({ ...good, access_token: await jwt(start - 1) }),
    },
  ])("$name is an error, and no loop", async ({ json }) => {
    as.fault({ type: "body", json: await json() });
    const { fail, requests } = setUp({ now });
    for (let i = 0; i < 5; i++) {
      expect(await fail()).toMatchObject({
        name: "AuthClientError",
        code: "expired_token",
        message: `${at()} answered with an expired token`,
      });
    }
    expect(requests()).toHaveLength(1);
  });
});

describe("nonces", () => {
  let strict: TestAuthorizationServer;
  beforeAll(async () => {
    strict = await startAuthorizationServer({ dpopNonces: true });
  });
  afterEach(() => strict.fault(undefined));
  afterAll(() => strict.close());

  const clientOf = () =>
    createAuthClient({
      issuer: strict.issuer,
      tokenEndpoint: strict.tokenEndpoint,
      ...strict.clients.basic,
      resource: strict.resources.orders,
      dpop: true,
    });

  test("are sent once they are known, and renewed when they are stale", async () => {
    const auth = clientOf();
    const statuses = () => strict.requests.map(({ status }) => status);
    expect((await auth.getToken()).token_type).toBe("DPoP");
    expect(statuses()).toEqual([400, 200]);
    await auth.getToken({ forceRefresh: true });
    expect(statuses()).toEqual([400, 200, 200]);
    strict.restartNonces();
    await auth.getToken({ forceRefresh: true });
    expect(statuses()).toEqual([400, 200, 200, 400, 200]);
  });

  test.each([
    {
      name: "a new one each time",
      nonce: (n: number) => ({ "dpop-nonce": `nonce-${n}` }),
      sent: 2,
    },
    { name: "always the same", nonce: () => ({ "dpop-nonce": "nonce" }), sent: 2 },
    { name: "none", nonce: () => ({}), sent: 1 },
  ])("are not asked for without end: $name", async ({ nonce, sent }) => {
    strict.fault((n) => ({
      type: "status",
      status: 400,
      headers: nonce(n),
      body: '{"error":"use_dpop_nonce"}',
    }));
    const before = strict.requests.length;
    const auth = clientOf();
    for (let i = 0; i < 3; i++) {
      expect(await secrets.failure(auth.getToken())).toMatchObject({
        code: "use_dpop_nonce",
        status: 400,
        message: expect.stringMatching(/answered use_dpop_nonce, HTTP 400: the server refused/),
      });
    }
    expect(strict.requests.length - before).toBe(sent);
  });

  test("without dpop are not asked for again", async () => {
    as.fault({
      type: "status",
      status: 400,
      headers: { "dpop-nonce": "nonce" },
      body: '{"error":"use_dpop_nonce"}',
    });
    const { fail, requests } = setUp();
    expect(await fail()).toMatchObject({ code: "use_dpop_nonce" });
    expect(requests()).toHaveLength(1);
  });
});

describe("a server that is broken costs its time limit, and no other key", () => {
  test.each<{ name: string; fault: Fault; code: string; message: RegExp }>([
    {
      name: "hangs",
      fault: { type: "hang" },
      code: "timeout",
      message: /^no token within 500 ms$/,
    },
    {
      name: "stalls",
      fault: { type: "stall" },
      code: "timeout",
      message: /^no token within 500 ms$/,
    },
    {
      name: "resets",
      fault: { type: "reset" },
      code: "network_error",
      message: /^no answer from http:\/\/127\.0\.0\.1:\d+\/token: ECONNRESET$/,
    },
    {
      name: "never ends",
      fault: { type: "stream", bytes: Number.POSITIVE_INFINITY },
      code: "response_too_large",
      message: / answered with more than 256 KiB$/,
    },
    {
      name: "sends 256 KiB and a byte",
      fault: { type: "stream", bytes: 256 * 1024 + 1 },
      code: "response_too_large",
      message: / answered with more than 256 KiB$/,
    },
  ])("$name", async ({ fault, code, message }) => {
    as.fault((n) => (n === 1 ? fault : undefined));
    const { auth, requests } = setUp({ timeoutMs: 500 });
    const failing = [1, 2, 3].map(() => secrets.failure(auth.getToken()));
    await vi.waitUntil(() => requests().length === 1, 10_000);
    // another key, in the meantime
    expect(await auth.getToken({ scope: "orders:write" })).toMatchObject({ scope: "orders:write" });
    for (const error of await Promise.all(failing)) {
      expect(error).toMatchObject({ name: "AuthClientError", code });
      expect(error.message).toMatch(message);
    }
    expect(requests()).toHaveLength(2);
  });

  test("closed", async () => {
    const server = await startHttpServer(() => ({}));
    await server.close();
    const { fail } = setUp({ tokenEndpoint: `${server.baseUrl}/token` });
    expect(await fail()).toMatchObject({
      code: "network_error",
      message: `no answer from ${server.baseUrl}/token: ECONNREFUSED`,
    });
  });

  test("256 KiB are read", async () => {
    as.fault({ type: "stream", bytes: 256 * 1024 });
    expect(await setUp().fail()).toMatchObject({ code: "invalid_response" });
  });
});

describe("what a server writes into an error", () => {
  test.each([
    { name: "a code of its own", error: "mfa_required", code: "mfa_required" },
    { name: "text", error: "Something went wrong", code: "http_error" },
    { name: "an object", error: { code: 1 }, code: "http_error" },
    { name: "a very long code", error: "a".repeat(65), code: "http_error" },
  ])("is shown if it is a code: $name", async ({ error, code }) => {
    as.fault({ type: "status", status: 400, body: JSON.stringify({ error }) });
    expect(await setUp().fail()).toMatchObject({
      code,
      status: 400,
      message: `${at()} answered ${code === "http_error" ? "" : `${code}, `}HTTP 400`,
    });
  });

  test.each(["hunter", "correct_horse_battery_staple", "s3cret", "a b"])(
    "is not shown if it is the secret: %s",
    async (clientSecret) => {
      as.fault({
        type: "status",
        status: 401,
        headers: { "www-authenticate": `Basic realm="${clientSecret}"` },
        body: JSON.stringify({
          error: clientSecret,
          error_description: `${clientSecret} is wrong`,
          error_uri: `https://help.test/${clientSecret}`,
        }),
      });
      expect(await setUp({ clientSecret }).fail()).toMatchObject({
        code: "http_error",
        status: 401,
        message: `${at()} answered HTTP 401`,
      });
    },
  );

  test("a challenge beside the body changes nothing", async () => {
    as.fault({
      type: "status",
      status: 401,
      headers: { "www-authenticate": 'Basic realm="as", error="other"' },
      body: '{"error":"invalid_client"}',
    });
    expect(await setUp().fail()).toMatchObject({ code: "invalid_client", status: 401 });
  });

  test("nothing of what a custom fetch throws", async () => {
    const { clientSecret } = as.clients.basic;
    const { fail } = setUp({
      fetch: async (url, init) => {
        throw Object.assign(new Error(`${url} ${init.body} ${clientSecret}`), {
          cause: { code: `E ${clientSecret}` },
        });
      },
    });
    expect(await fail()).toMatchObject({
      code: "network_error",
      message: `no answer from ${as.tokenEndpoint}`,
    });
  });
});

test("a custom fetch that knows no signals costs the time limit, and the next request goes on", async () => {
  let time = Date.now();
  let calls = 0;
  const { auth, fail } = setUp({
    timeoutMs: 100,
    now: () => new Date(time),
    fetch: (url, init) => (++calls === 1 ? new Promise(() => {}) : fetch(url, init)),
  });
  expect(await fail()).toMatchObject({ code: "timeout" });
  time += 2000;
  expect((await auth.getToken()).token_type).toBe("Bearer");
});
