import http from "node:http";
import { inspect } from "node:util";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Listening, listenOnLoopback } from "../../example/loopback.js";
import {
  Auth,
  type PasswordLogin,
  type PasswordLoginOptions,
  passwordLogin,
} from "../../src/index.js";
import { authRequest } from "../support/auth-request.js";
import { answerWithFault, createFaultPlan, type Fault } from "../support/faulty-server.js";

const faults = createFaultPlan();
const posted: { path: string; type: string | undefined; body: unknown }[] = [];
const tokens = { access_token: "token-s3cr3t", refresh_token: "refresh-s3cr3t", expires_in: 3600 };
let listening: Listening;
let origin: string;

const server = http.createServer(async (req, res) => {
  const chunks: Buffer[] = [];
  for await (const chunk of req) {
    chunks.push(chunk);
  }
  posted.push({
    path: req.url ?? "",
    type: req.headers["content-type"],
    body: JSON.parse(Buffer.concat(chunks).toString("utf8")),
  });
  answerWithFault(faults.next() ?? { type: "body", json: tokens }, req, res, () => {});
});

beforeAll(async () => {
  listening = await listenOnLoopback(server);
  origin = listening.baseUrl;
});
beforeEach(() => {
  posted.length = 0;
  faults.set(undefined);
});
afterAll(() => listening.close());

function setUp(options: Partial<PasswordLoginOptions> = {}) {
  return passwordLogin({
    authProvider: Auth.basic("alice", "pass-s3cr3t"),
    login: `${origin}/login`,
    refresh: new URL(`${origin}/refresh`),
    initialBackoffMs: 1,
    ...options,
  });
}

describe("a URL as login", () => {
  test("gets user and password as JSON, and refresh the refresh token", async () => {
    const credentials = setUp();
    expect(await credentials.getAuth(authRequest())).toMatchObject({ token: "token-s3cr3t" });
    expect(await credentials.refreshToken()).toEqual(tokens);
    expect(posted).toEqual([
      {
        path: "/login",
        type: "application/json",
        body: { user: "alice", password: "pass-s3cr3t" },
      },
      { path: "/refresh", type: "application/json", body: { refresh_token: "refresh-s3cr3t" } },
    ]);
  });

  test("may have names of its own for the fields, and answer more", async () => {
    faults.set({
      type: "body",
      json: { token: "t", renewal: null, id: 7, expires_at: "2100-01-01T00:00:00Z" },
    });
    const credentials = setUp({
      fields: {
        user: "email",
        password: undefined,
        access_token: "token",
        refresh_token: "renewal",
        expires_at: undefined,
      },
    });
    expect(await credentials.login()).toEqual({
      access_token: "t",
      token: "t",
      id: 7,
      expires_at: "2100-01-01T00:00:00Z",
    });
    expect(posted.map(({ body }) => body)).toEqual([{ email: "alice", password: "pass-s3cr3t" }]);
  });

  test("may answer with a refresh token alone, which is used next", async () => {
    faults.set((n) => (n === 1 ? { type: "body", json: { refresh_token: "alone" } } : undefined));
    const credentials = setUp();
    await expect(credentials.login()).rejects.toMatchObject({
      code: "credentials_failed",
      message: "the login answered without an access_token",
    });
    await credentials.refreshToken();
    expect(posted[1]).toMatchObject({ path: "/refresh", body: { refresh_token: "alone" } });
  });

  test("is asked by the given fetch", async () => {
    const asked: unknown[] = [];
    const credentials = setUp({
      login: "https://auth.test/login",
      fetch: async (...args) => {
        asked.push(args);
        return Response.json(tokens);
      },
    });
    await credentials.login();
    expect(asked).toEqual([
      ["https://auth.test/login", expect.objectContaining({ method: "POST", redirect: "manual" })],
    ]);
  });
});

describe("an endpoint that fails", () => {
  const failed = "credentials_failed";
  const unavailable = "credentials_unavailable";
  const withStatus = (status: number, headers: Record<string, string> = {}): Fault => ({
    type: "status",
    status,
    headers,
    body: JSON.stringify({ error: "s3cr3t", ...tokens }),
  });

  test.each<{ name: string; fault: Fault; code: string; message: string; attempts: number }>([
    ...[400, 401, 403, 404, 405].map((status) => ({
      name: `status ${status}`,
      fault: withStatus(status),
      code: failed,
      message: `the login endpoint @/login answered with status ${status}`,
      attempts: 1,
    })),
    ...[408, 429, 500, 503].map((status) => ({
      name: `status ${status}`,
      fault: withStatus(status),
      code: unavailable,
      message: `the login endpoint @/login answered with status ${status}`,
      attempts: 3,
    })),
    ...[301, 302, 307, 308].map((status) => ({
      name: `a redirect with ${status}`,
      fault: { type: "redirect" as const, location: "/elsewhere", status },
      code: failed,
      message: "the login endpoint @/login redirects, which is not followed",
      attempts: 1,
    })),
    {
      name: "a reset connection",
      fault: { type: "reset" },
      code: unavailable,
      message: "no answer from the login endpoint @/login: ECONNRESET",
      attempts: 3,
    },
    ...[
      { name: "HTML", body: "<h1>s3cr3t</h1>" },
      { name: "nothing", body: "" },
      { name: "a list", body: '["s3cr3t"]' },
      { name: "no token", body: '{"error":"s3cr3t"}' },
      { name: "cut JSON", body: '{"access_token":"s3cr3t' },
    ].map(({ name, body }) => ({
      name,
      fault: { type: "status" as const, status: 200, body },
      code: failed,
      message: "the login endpoint @/login answered without JSON that has a token",
      attempts: 1,
    })),
    {
      name: "an endless body",
      fault: { type: "stream", bytes: Number.POSITIVE_INFINITY },
      code: failed,
      message: "the login endpoint @/login answered without JSON that has a token",
      attempts: 1,
    },
  ])("is an error that shows none of it: $name", async ({ fault, code, message, attempts }) => {
    faults.set(fault);
    const error = await setUp()
      .login()
      .catch((thrown) => thrown);
    expect(error).toMatchObject({
      name: "AuthError",
      code,
      message: message.replace("@", origin),
    });
    expect(posted).toHaveLength(attempts);
    expect(`${inspect(error, { depth: 10 })}${JSON.stringify(error)}`).not.toContain("s3cr3t");
  });

  test.each([
    { name: "a hanging one", fault: { type: "hang" } as const },
    { name: "one that stops in the middle", fault: { type: "stall" } as const },
  ])("costs timeoutMs: $name", async ({ fault }) => {
    faults.set(fault);
    await expect(setUp({ timeoutMs: 200 }).login()).rejects.toMatchObject({
      code: unavailable,
      message: "no token within 200 ms",
    });
    expect(posted).toHaveLength(1);
  });

  test.each([
    { name: "seconds", value: "120", want: 120_000 },
    { name: "a date", value: "Thu, 01 Jan 2026 00:02:00 GMT", want: 120_000 },
    { name: "a date that has passed", value: "Thu, 01 Jan 2015 00:00:00 GMT", want: 0 },
    { name: "nonsense", value: "soon", want: undefined },
  ])("says how long it wants to be left alone: $name", async ({ value, want }) => {
    faults.set(withStatus(429, { "retry-after": value }));
    const credentials = setUp({ maxAttempts: 1, now: () => new Date("2026-01-01T00:00:00Z") });
    const error = await credentials.login().catch((thrown) => thrown);
    expect(error).toMatchObject({ code: unavailable });
    expect(error.retryAfterMs).toBe(want);
  });

  test("is asked again where it is down", async () => {
    faults.set((n) => (n < 3 ? withStatus(503) : undefined));
    await setUp().login();
    expect(posted).toHaveLength(3);
  });

  /** A call whose token was refused by the API. */
  const renew = async (credentials: PasswordLogin) => {
    const auth = await credentials.getAuth(authRequest());
    credentials.rejected(auth, undefined);
    return credentials.getAuth({ ...authRequest(), reason: "rejected", rejected: auth });
  };

  test.each([400, 401, 403])("of refresh with status %i is followed by a login", async (status) => {
    const credentials = setUp();
    await credentials.login();
    posted.length = 0;
    faults.set((n) => (n === 1 ? withStatus(status) : undefined));
    await renew(credentials);
    expect(posted.map(({ path }) => path)).toEqual(["/refresh", "/login"]);
  });

  test.each<{ name: string; fault: Fault; message: string }>([
    { name: "404", fault: withStatus(404), message: "answered with status 404" },
    {
      name: "a redirect",
      fault: { type: "redirect", location: "/portal", status: 302 },
      message: "redirects, which is not followed",
    },
    {
      name: "HTML",
      fault: { type: "status", status: 200, body: "<h1>portal</h1>" },
      message: "answered without JSON that has a token",
    },
  ])("of refresh with $name is not, and the refresh token is kept", async ({ fault, message }) => {
    const credentials = setUp();
    await credentials.login();
    posted.length = 0;
    faults.set((n) => (n === 1 ? fault : undefined));
    await expect(renew(credentials)).rejects.toMatchObject({
      code: failed,
      message: `the refresh endpoint ${origin}/refresh ${message}`,
    });
    await credentials.refreshToken();
    const refresh = { path: "/refresh", body: { refresh_token: "refresh-s3cr3t" } };
    expect(posted).toMatchObject([refresh, refresh]);
  });
});

describe("a fetch of another kind", () => {
  test("that follows a redirect all the same is an error", async () => {
    const fetch = async () =>
      Object.defineProperty(Response.json(tokens), "redirected", { value: true });
    await expect(setUp({ fetch }).login()).rejects.toMatchObject({
      code: "credentials_failed",
      message: `the login endpoint ${origin}/login redirects, which is not followed`,
    });
  });

  test("that shows the request in its error is not quoted", async () => {
    const fetch = async (_: unknown, init?: RequestInit): Promise<Response> => {
      throw Object.assign(new Error("boom"), { config: init });
    };
    const error = await setUp({ fetch })
      .login()
      .catch((thrown) => thrown);
    expect(error).toMatchObject({
      code: "credentials_unavailable",
      message: `no answer from the login endpoint ${origin}/login`,
    });
    expect(inspect(error, { depth: 10 })).not.toContain("s3cr3t");
  });
});
