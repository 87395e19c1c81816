import http from "node:http";
import { Code, ConnectError } from "@connectrpc/connect";
import { connectNodeAdapter, createConnectTransport } from "@connectrpc/connect-node";
import { betterAuth } from "better-auth";
import { memoryAdapter } from "better-auth/adapters/memory";
import { toNodeHandler } from "better-auth/node";
import { bearer } from "better-auth/plugins/bearer";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { type Listening, listenOnLoopback } from "../../example/loopback.js";
import { Auth, type Credentials } from "../../src/index.js";
import {
  createServerAuth,
  createSessionAuthInterceptor,
  requireAuthContext,
  type SessionAuthInterceptorOptions,
} from "../../src/server/index.js";
import {
  createUserServiceClient,
  UserServicePolicies,
  type UserServiceUserClient,
} from "../gen/acme/user/v1/user_auth.js";
import { UserService } from "../gen/acme/user/v1/user_pb.js";
import { refusalOf } from "../support/refusal-of.js";

const cookie = "better-auth.session_token";
const password = "correct horse battery staple";

const missing = { code: "Unauthenticated", message: "missing credentials" };
const invalid = { code: "Unauthenticated", message: "invalid credentials" };
const denied = { code: "PermissionDenied", message: "access denied" };

/** Users and sessions of better-auth, in memory. */
function createLogin(baseURL: string) {
  const database: Record<string, { id: string }[]> = {
    user: [],
    session: [],
    account: [],
    verification: [],
  };
  const auth = betterAuth({
    baseURL,
    secret: "a secret of tests, known to everybody",
    database: memoryAdapter(database),
    emailAndPassword: { enabled: true },
    plugins: [bearer()],
    logger: { disabled: true },
    telemetry: { enabled: false },
  });
  return { auth, database };
}

type Login = ReturnType<typeof createLogin>;
type Session = Login["auth"]["$Infer"]["Session"];

/** How a server asks better-auth. */
function sessionsOf({ auth }: Login): SessionAuthInterceptorOptions<Session> {
  return {
    async verifySession(_token, headers) {
      try {
        return await auth.api.getSession({ headers });
      } catch (error) {
        throw new ConnectError("no session store", Code.Unavailable, undefined, undefined, error);
      }
    },
    mapSession: ({ user, session }) => ({
      subject: user.id,
      name: user.name,
      roles: ["user"],
      scopes: [],
      claims: { email: user.email },
      type: "session",
      expiresAt: session.expiresAt,
    }),
  };
}

/** Serves UserService to those who have such sessions. */
function createApi(authenticate: readonly SessionAuthInterceptorOptions<Session>[]) {
  const auth = createServerAuth({
    policies: [UserServicePolicies],
    authenticate: authenticate.map((options) => createSessionAuthInterceptor(options)),
  });
  const routes = auth.guard((router) =>
    router.service(UserService, {
      getProfile: () => ({ name: "public" }),
      whoAmI: () => {
        const { claims, roles } = requireAuthContext();
        return { subject: String(claims.email), roles: [...roles] };
      },
      deleteUser: () => ({}),
      reindex: () => ({}),
    }),
  );
  return connectNodeAdapter({ routes, interceptors: auth.interceptors });
}

/** A server of UserService, with its login under /api/auth. */
interface TestServer extends Listening {
  readonly login: Login;
}

async function startServer(
  options: (login: Login) => SessionAuthInterceptorOptions<Session>[],
): Promise<TestServer> {
  let answer: http.RequestListener = (_, res) => res.writeHead(503).end();
  const server = http.createServer((req, res) => answer(req, res));
  const listening = await listenOnLoopback(server);
  const login = createLogin(listening.baseUrl);
  const handleLogin = toNodeHandler(login.auth);
  const handleCalls = createApi(options(login));
  answer = (req, res) =>
    req.url?.startsWith("/api/auth/") ? handleLogin(req, res) : handleCalls(req, res);
  return { ...listening, login };
}

const ttl = 30_000;
let direct: TestServer;
let cached: TestServer;
const requested: string[] = [];
beforeAll(async () => {
  const { fetch } = globalThis;
  vi.spyOn(globalThis, "fetch").mockImplementation((input, init) => {
    requested.push(input instanceof Request ? input.url : String(input));
    return fetch(input, init);
  });
  direct = await startServer((login) => [
    { ...sessionsOf(login), cookie, allowedOrigins: ["https://app.test"] },
    sessionsOf(login),
  ]);
  cached = await startServer((login) => [{ ...sessionsOf(login), cookie, cache: { ttl } }]);
});
afterAll(async () => {
  await Promise.all([direct.close(), cached.close()]);
  vi.restoreAllMocks();
});
afterEach(() => {
  vi.useRealTimers();
});

async function post(server: Listening, path: string, body: object, headers: HeadersInit = {}) {
  const response = await fetch(`${server.baseUrl}/api/auth/${path}`, {
    method: "POST",
    headers: { "content-type": "application/json", origin: server.baseUrl, ...headers },
    body: JSON.stringify(body),
  });
  expect(response.status).toBe(200);
  return response;
}

/** What a browser keeps of the cookie of a session. */
function cookieIn(response: Response): string {
  const prefix = `${cookie}=`;
  const line = response.headers.getSetCookie().find((text) => text.startsWith(prefix)) ?? "";
  return line.slice(prefix.length).replace(/;.*/, "");
}

let users = 0;

/** Signs a new user up. */
async function signUp(server: Listening) {
  const email = `user-${++users}@example.test`;
  const response = await post(server, "sign-up/email", { email, password, name: "A User" });
  const token = cookieIn(response);
  // the signature is base64, whose characters a cookie has in their encoded form
  expect(token).toMatch(/^[\w.%-]+%3D$/);
  return { email, token, bearerToken: response.headers.get("set-auth-token") ?? "" };
}

function signOut(server: Listening, token: string) {
  return post(server, "sign-out", {}, { cookie: `${cookie}=${token}` });
}

function clientOf(
  { baseUrl }: Listening,
  credentials: Credentials,
  useHttpGet = false,
): UserServiceUserClient {
  return createUserServiceClient(
    createConnectTransport,
    { baseUrl, httpVersion: "1.1", useHttpGet },
    { credentials },
  );
}

function withCookie(server: Listening, token: string, useHttpGet?: boolean) {
  return clientOf(server, Auth.session(token, { cookie }), useHttpGet);
}

describe("a session of better-auth", () => {
  test("passes in its cookie, with POST and GET", async () => {
    const { email, token } = await signUp(direct);
    for (const useHttpGet of [false, true]) {
      const { subject, roles } = await withCookie(direct, token, useHttpGet).whoAmI({});
      expect({ subject, roles }).toEqual({ subject: email, roles: ["user"] });
    }
  });

  test("passes after signing in again, while the first one lives on", async () => {
    const { email, token } = await signUp(direct);
    const second = cookieIn(await post(direct, "sign-in/email", { email, password }));
    expect(second).not.toBe(token);
    for (const each of [token, second]) {
      expect((await withCookie(direct, each).whoAmI({})).subject).toBe(email);
    }
    await signOut(direct, token);
    expect((await withCookie(direct, second).whoAmI({})).subject).toBe(email);
  });

  test("passes as a bearer token", async () => {
    const { email, bearerToken } = await signUp(direct);
    const client = clientOf(direct, Auth.session(bearerToken));
    expect((await client.whoAmI({})).subject).toBe(email);
  });

  test("is not taken from a cookie beside a bad bearer token", async () => {
    const bearerOnly = await startServer((login) => [sessionsOf(login)]);
    try {
      const { token } = await signUp(bearerOnly);
      const client = clientOf(
        bearerOnly,
        Auth.all(Auth.session("bad"), Auth.header("cookie", `${cookie}=${token}`)),
      );
      expect(await refusalOf(client.whoAmI({}))).toMatchObject(invalid);
    } finally {
      await bearerOnly.close();
    }
  });

  test("is refused once it has ended", async () => {
    const { token } = await signUp(direct);
    const client = withCookie(direct, token);
    await client.whoAmI({});
    await signOut(direct, token);
    expect(await refusalOf(client.whoAmI({}))).toMatchObject(invalid);
  });

  test("is refused a ttl after it has ended at the latest, where it is remembered", async () => {
    vi.useFakeTimers({ now: Date.now(), toFake: ["Date"] });
    const { email, token } = await signUp(cached);
    const client = withCookie(cached, token);
    await client.whoAmI({});
    await signOut(cached, token);
    expect((await client.whoAmI({})).subject).toBe(email);
    vi.setSystemTime(Date.now() + ttl);
    expect(await refusalOf(client.whoAmI({}))).toMatchObject(invalid);
  });

  test.each([
    { name: "asked about", server: () => direct },
    { name: "remembered", server: () => cached },
  ])("is refused after its 7 days, where it is $name", async ({ server }) => {
    vi.useFakeTimers({ now: Date.now(), toFake: ["Date"] });
    const { token } = await signUp(server());
    const client = withCookie(server(), token);
    await client.whoAmI({});
    vi.setSystemTime(Date.now() + 7 * 24 * 3_600_000 + 1);
    expect(await refusalOf(client.whoAmI({}))).toMatchObject(invalid);
  });

  test.each([
    { name: "with another signature", forge: (token: string) => token.replace(/\.../, ".AA") },
    { name: "without a signature", forge: (token: string) => token.replace(/\..*/, "") },
    { name: "with the token of another session", forge: (token: string) => `x${token.slice(1)}` },
    { name: "that is no token", forge: () => "admin" },
  ])("is refused $name", async ({ forge }) => {
    const { token } = await signUp(direct);
    const forged = forge(token);
    expect(forged).not.toBe(token);
    expect(await refusalOf(withCookie(direct, forged).whoAmI({}))).toMatchObject(invalid);
  });

  test("is refused twice in one call", async () => {
    const { token } = await signUp(direct);
    const twice = Auth.header("cookie", `${cookie}=${token}; ${cookie}=${token}`);
    expect(await refusalOf(clientOf(direct, twice).whoAmI({}))).toMatchObject(invalid);
  });

  test("is missing where there is no cookie of that name", async () => {
    const { token } = await signUp(direct);
    const other = clientOf(direct, Auth.session(token, { cookie: "better-auth.session_data" }));
    expect(await refusalOf(other.whoAmI({}))).toMatchObject(missing);
  });

  test("is not asked for on public methods", async () => {
    const { name } = await clientOf(direct, Auth.none()).getProfile({ id: "1" });
    expect(name).toBe("public");
  });

  test("cannot be judged while the sessions are out of reach", async () => {
    const { email, token } = await signUp(direct);
    const { database } = direct.login;
    const { session = [] } = database;
    delete database.session;
    const client = withCookie(direct, token);
    expect(await refusalOf(client.whoAmI({}))).toMatchObject({
      code: "Unavailable",
      message: "no session store",
    });
    database.session = session;
    expect((await client.whoAmI({})).subject).toBe(email);
  });
});

describe.each([{ useHttpGet: false }, { useHttpGet: true }])(
  "the cookie of a browser, with GET: $useHttpGet,",
  ({ useHttpGet }) => {
    let token: string;
    let email: string;
    beforeEach(async () => {
      ({ email, token } = await signUp(direct));
    });

    test.each<{ name: string; headers: (baseUrl: string) => HeadersInit }>([
      { name: "a page of this server", headers: () => ({ "sec-fetch-site": "same-origin" }) },
      {
        name: "a page of this server in an old browser",
        headers: (baseUrl) => ({ origin: baseUrl }),
      },
      {
        name: "a page of an allowed origin",
        headers: () => ({ "sec-fetch-site": "cross-site", origin: "https://app.test" }),
      },
    ])("passes from $name", async ({ headers }) => {
      const client = withCookie(direct, token, useHttpGet);
      const options = { headers: headers(direct.baseUrl) };
      expect((await client.whoAmI({}, options)).subject).toBe(email);
    });

    test.each<{ name: string; headers: HeadersInit }>([
      { name: "another site", headers: { "sec-fetch-site": "cross-site" } },
      {
        name: "another host of the site",
        headers: { "sec-fetch-site": "same-site", origin: "https://other.test" },
      },
      { name: "another site in an old browser", headers: { origin: "https://evil.test" } },
      { name: "a sandbox in an old browser", headers: { origin: "null" } },
      { name: "another port in an old browser", headers: { origin: "http://127.0.0.1:1" } },
    ])("is refused from a page of $name", async ({ headers }) => {
      const client = withCookie(direct, token, useHttpGet);
      expect(await refusalOf(client.whoAmI({}, { headers }))).toMatchObject(denied);
    });
  },
);

test("nothing but servers of this machine was asked", () => {
  expect(requested.length).toBeGreaterThan(0);
  const foreign = requested.filter((url) => !url.startsWith("http://127.0.0.1:"));
  expect(foreign).toEqual([]);
});
