import http from "node:http";
import { Code, ConnectError } from "@connectrpc/connect";
import { connectNodeAdapter, createConnectTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Listening, listenOnLoopback } from "../../example/loopback.js";
import {
  Auth,
  type BasicAuth,
  type LoginResult,
  type PasswordLogin,
  type PasswordLoginOptions,
  passwordLogin,
} from "../../src/index.js";
import {
  createLoginServiceClient,
  type LoginServiceClient,
} from "../gen/acme/login/v1/login_auth.js";
import { LoginService } from "../gen/acme/login/v1/login_pb.js";

const arrived: string[] = [];
const valid = new Set<string>();
const rotated = new Set<string>();
let n = 0;

function issue() {
  n++;
  valid.add(`Bearer token-${n}`);
  return { accessToken: `token-${n}`, refreshToken: `refresh-${n}`, expiresInSeconds: 3600 };
}

function logIn({ user, password }: { readonly user: string; readonly password: string }) {
  if (user !== "alice" || password !== "s3cr3t") {
    throw new ConnectError("wrong user or password", Code.Unauthenticated);
  }
  return issue();
}

const server = http.createServer(
  connectNodeAdapter({
    interceptors: [
      (next) => (req) => {
        arrived.push(`${req.method.name}: ${req.header.get("authorization")}`);
        return next(req);
      },
    ],
    routes: ({ service }) => {
      service(LoginService, {
        login: logIn,
        loginAgain: logIn,
        refresh({ refreshToken }) {
          if (rotated.has(refreshToken)) {
            throw new ConnectError("used before", Code.Unauthenticated);
          }
          rotated.add(refreshToken);
          return issue();
        },
        whoAmI(_, { requestHeader }) {
          if (!valid.has(requestHeader.get("authorization") ?? "")) {
            throw new ConnectError("token refused", Code.Unauthenticated);
          }
          return { subject: "alice" };
        },
      });
    },
  }),
);
let listening: Listening;
let baseUrl: string;

beforeAll(async () => {
  listening = await listenOnLoopback(server);
  baseUrl = listening.baseUrl;
});
beforeEach(() => {
  arrived.length = 0;
  valid.clear();
  rotated.clear();
  n = 0;
});
afterAll(() => listening.close());

function toResult({
  accessToken,
  refreshToken,
  expiresInSeconds,
}: ReturnType<typeof issue>): LoginResult {
  return {
    access_token: accessToken,
    refresh_token: refreshToken,
    expires_in: expiresInSeconds,
  };
}

type LogIn = (
  client: LoginServiceClient,
  basic: BasicAuth,
  signal: AbortSignal,
) => LoginResult | Promise<LoginResult>;

/** A client of LoginService whose credentials log in with the very client. */
function setUp(logInWith: LogIn, options: Partial<PasswordLoginOptions> = {}) {
  const credentials: PasswordLogin = passwordLogin({
    authProvider: Auth.basic("alice", "s3cr3t"),
    login: (basic, signal) => logInWith(client, basic, signal),
    refresh: async (refreshToken, signal) =>
      toResult(await client.refresh({ refreshToken }, { signal })),
    ...options,
  });
  const client: LoginServiceClient = createLoginServiceClient(
    createConnectTransport,
    { baseUrl, httpVersion: "1.1" },
    { credentials },
  );
  return { credentials, client };
}

const withLogin: LogIn = async (client, { user, password }, signal) =>
  toResult(await client.login({ user, password }, { signal }));

describe("a client whose credentials log in with it", () => {
  test("logs in by a public method, once, and refreshes by another", async () => {
    const { credentials, client } = setUp(withLogin);
    const answers = await Promise.all(Array.from({ length: 100 }, () => client.whoAmI({})));
    expect(answers.every(({ subject }) => subject === "alice")).toBe(true);
    expect(arrived).toEqual(["Login: null", ...Array(100).fill("WhoAmI: Bearer token-1")]);

    arrived.length = 0;
    valid.clear();
    await client.whoAmI({});
    expect(arrived).toEqual(["WhoAmI: Bearer token-1", "Refresh: null", "WhoAmI: Bearer token-2"]);

    arrived.length = 0;
    await credentials.refreshToken();
    await client.whoAmI({});
    expect(arrived).toEqual(["Refresh: null", "WhoAmI: Bearer token-3"]);
    expect([...rotated]).toEqual(["refresh-1", "refresh-2"]);
  });

  test("logs in anew where the server takes neither token", async () => {
    const { client, credentials } = setUp(withLogin);
    await client.whoAmI({});
    valid.clear();
    rotated.add("refresh-1");
    arrived.length = 0;
    await client.whoAmI({});
    expect(arrived).toEqual([
      "WhoAmI: Bearer token-1",
      "Refresh: null",
      "Login: null",
      "WhoAmI: Bearer token-2",
    ]);
    expect(credentials.getAuthType()).toBe("bearer");
  });

  test("logs in without a token also where public methods get one", async () => {
    const { credentials } = setUp((_, basic, signal) => withLogin(client, basic, signal));
    const client = createLoginServiceClient(
      createConnectTransport,
      { baseUrl, httpVersion: "1.1" },
      { credentials, sendOnPublic: "if-available" },
    );
    await client.whoAmI({});
    expect(arrived).toEqual(["Login: null", "WhoAmI: Bearer token-1"]);
  });

  test("is refused with a wrong password, which shows nowhere", async () => {
    const { client } = setUp(withLogin, { authProvider: Auth.basic("alice", "wr0ng") });
    const error = await client.whoAmI({}).catch(ConnectError.from);
    expect(error).toMatchObject({
      code: Code.Unauthenticated,
      cause: {
        code: "credentials_failed",
        message: "the credential could not be obtained",
        cause: { code: Code.Unauthenticated, rawMessage: "wrong user or password" },
      },
    });
    expect(arrived).toEqual(["Login: null"]);
  });

  test("says so at once where the login waits for itself", async () => {
    const { client, credentials } = setUp(async (own, { user, password }) =>
      toResult(await own.loginAgain({ user, password })),
    );
    const message =
      "the login calls acme.login.v1.LoginService/LoginAgain, which waits for the login: use a public method";
    expect(await client.whoAmI({}).catch(ConnectError.from)).toMatchObject({
      code: Code.Unauthenticated,
      rawMessage: message,
      cause: { code: "credentials_failed", message, sent: false },
    });
    await expect(credentials.login()).rejects.toMatchObject({
      name: "AuthError",
      code: "credentials_failed",
      message,
    });
    expect(arrived).toEqual([]);
  });

  test("ends at the deadline of the call where the login comes to wait for itself later", async () => {
    const { client, credentials } = setUp(
      async (own, { user, password }, signal) => {
        await Promise.resolve();
        return toResult(await own.loginAgain({ user, password }, { signal }));
      },
      { timeoutMs: 300 },
    );
    const late = await client.whoAmI({}, { timeoutMs: 30 }).catch(ConnectError.from);
    expect(late).toMatchObject({ code: Code.DeadlineExceeded });
    await expect(credentials.login()).rejects.toMatchObject({
      code: "credentials_unavailable",
      message: "no token within 300 ms",
    });
    expect(arrived).toEqual([]);
  });

  test("may call other methods to refresh while its token is valid", async () => {
    const { client, credentials } = setUp(withLogin, {
      refresh: async (_, signal) =>
        toResult(await client.loginAgain({ user: "alice", password: "s3cr3t" }, { signal })),
    });
    await client.whoAmI({});
    arrived.length = 0;
    await credentials.refreshToken();
    await client.whoAmI({});
    expect(arrived).toEqual(["LoginAgain: Bearer token-1", "WhoAmI: Bearer token-2"]);
  });
});
