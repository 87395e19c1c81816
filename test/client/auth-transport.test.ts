import { Code, ConnectError, createClient, createContextValues } from "@connectrpc/connect";
import { describe, expect, test, vi } from "vitest";
import {
  Auth,
  AuthError,
  type AuthOptions,
  type AuthRequest,
  type Credentials,
  callCredentials,
  createAuthTransport,
  definePolicies,
} from "../../src/index.js";
import { inMemory } from "../../src/testing/index.js";
import { PlainService } from "../gen/acme/plain/v1/plain_pb.js";
import { createUserServiceClient } from "../gen/acme/user/v1/user_auth.js";
import { UserService } from "../gen/acme/user/v1/user_pb.js";

const baseUrl = "https://api.test";

/** A server that keeps the headers of the calls it gets, and can refuse some. */
function recordingServer(refuse: (header: Headers) => boolean = () => false) {
  const arrived: Headers[] = [];
  const record = (_: unknown, { requestHeader }: { requestHeader: Headers }) => {
    arrived.push(requestHeader);
    if (refuse(requestHeader)) {
      throw new ConnectError("no", Code.Unauthenticated);
    }
    return {};
  };
  const factory = inMemory((router) => {
    router.service(UserService, { getProfile: record, whoAmI: record, reindex: record });
  });
  const authorization = () => arrived.map((header) => header.get("authorization"));
  return { factory, arrived, authorization };
}

/** A client of `UserService`, with options as a caller without types may give them. */
function untypedClient(factory: ReturnType<typeof inMemory>, auth: object) {
  return createClient(UserService, createAuthTransport(factory, { baseUrl }, auth as AuthOptions));
}

describe("createAuthTransport", () => {
  test.each<{ name: string; auth: object; message: string }>([
    {
      name: "an unknown option",
      auth: { credential: Auth.jwt("t") },
      message: 'auth has no option "credential"',
    },
    {
      name: "a string as credentials",
      auth: { credentials: "token" },
      message: "credentials: not a credential, such as Auth.jwt(token)",
    },
    {
      name: "null as credentials",
      auth: { internalCredentials: null },
      message: "internalCredentials: not a credential, such as Auth.jwt(token)",
    },
    {
      name: "a constant credential that cannot be sent",
      auth: { credentials: Auth.jwt("") },
      message: "credentials: the token is empty",
    },
    {
      name: "a password",
      auth: { credentials: Auth.basic("u", "p") },
      message: "credentials: a password is for passwordLogin()",
    },
  ])("rejects $name", ({ auth, message }) => {
    const { factory } = recordingServer();
    expect(() => untypedClient(factory, auth)).toThrow(new TypeError(message));
  });

  test("rejects a baseUrl that is no URL", () => {
    const { factory } = recordingServer();
    expect(() => createUserServiceClient(factory, { baseUrl: "api.test" })).toThrow(
      new TypeError('baseUrl "api.test" must be an http or https URL'),
    );
  });

  test("does not write to the options it is given", () => {
    const { factory } = recordingServer();
    const options = Object.freeze({ baseUrl, interceptors: [] });
    const auth = Object.freeze({ credentials: Auth.jwt("t") });
    expect(() => createAuthTransport(factory, options, auth)).not.toThrow();
    expect(options.interceptors).toEqual([]);
  });

  test("goes by a policy table where the proto file has no options", async () => {
    const arrived: (string | null)[] = [];
    const record = (_: unknown, { requestHeader }: { requestHeader: Headers }) => {
      arrived.push(requestHeader.get("authorization"));
      return {};
    };
    const factory = inMemory((router) => {
      router.service(PlainService, { open: record, closed: record });
    });
    const transport = createAuthTransport(factory, { baseUrl }, { credentials: Auth.jwt("t") });
    transport.addPolicies(
      definePolicies(PlainService, { open: { kind: "public" }, closed: { kind: "authenticated" } }),
    );
    const client = createClient(PlainService, transport);
    await client.open({});
    await client.closed({});
    expect(arrived).toEqual([null, "Bearer t"]);
  });
});

describe("a generated factory", () => {
  test.each([
    { name: "nothing", args: [] },
    { name: "a transport that has no credentials", args: [{ unary() {}, stream() {} }] },
  ])("rejects $name", ({ args }) => {
    const factory: (...args: never[]) => unknown = createUserServiceClient;
    expect(() => factory(...(args as never[]))).toThrow(
      new TypeError("pass options, or an AuthTransport"),
    );
  });

  test("names the option that a call needs, and sends nothing", async () => {
    const { factory, arrived } = recordingServer();
    const client = untypedClient(factory, {});
    for (const [call, message] of [
      [client.whoAmI({}), "acme.user.v1.UserService/WhoAmI needs a client with `credentials`"],
      [
        client.reindex({}),
        "acme.user.v1.UserService/Reindex needs a client with `internalCredentials`",
      ],
    ] as const) {
      const error = await call.catch(ConnectError.from);
      expect(error).toMatchObject({
        code: Code.Unauthenticated,
        rawMessage: message,
        cause: { name: "AuthError", code: "credentials_missing", sent: false },
      });
    }
    expect(arrived).toEqual([]);
  });
});

describe("credentials", () => {
  test("are asked for with what a provider needs to know", async () => {
    const requests: AuthRequest[] = [];
    const { factory } = recordingServer();
    const client = createUserServiceClient(
      factory,
      { baseUrl },
      {
        credentials: (request) => {
          requests.push(request);
          return Auth.jwt("t");
        },
      },
    );
    await client.whoAmI({});
    expect(requests).toEqual([
      {
        service: UserService,
        method: UserService.method.whoAmI,
        url: `${baseUrl}/acme.user.v1.UserService/WhoAmI`,
        policy: { kind: "authenticated" },
        reason: "request",
        signal: expect.any(AbortSignal),
      },
    ]);
  });

  test.each<{ name: string; credentials: Credentials; code: Code; cause: object }>([
    {
      name: "undefined",
      credentials: () => JSON.parse("null"),
      code: Code.Unauthenticated,
      cause: {
        code: "credentials_invalid",
        message: "not a credential, such as Auth.jwt(token)",
      },
    },
    {
      name: "an empty token",
      credentials: async () => Auth.jwt(""),
      code: Code.Unauthenticated,
      cause: { code: "credentials_invalid", message: "the token is empty" },
    },
    {
      name: "an exception",
      credentials: () => {
        throw new Error("s3cr3t");
      },
      code: Code.Unauthenticated,
      cause: {
        code: "credentials_failed",
        message: "the credential could not be obtained",
      },
    },
    {
      name: "NotFound of a login server",
      credentials: { getAuth: () => Promise.reject(new ConnectError("s3cr3t", Code.NotFound)) },
      code: Code.Unauthenticated,
      cause: { code: "credentials_failed" },
    },
    {
      name: "Unavailable of a login server",
      credentials: () => Promise.reject(new ConnectError("s3cr3t", Code.Unavailable)),
      code: Code.Unavailable,
      cause: { code: "credentials_unavailable" },
    },
    {
      name: "an AuthError of its own",
      credentials: () => {
        throw new AuthError("credentials_unavailable", "down");
      },
      code: Code.Unavailable,
      cause: { code: "credentials_unavailable", message: "down" },
    },
  ])("fail the call for $name, with nothing sent", async ({ credentials, code, cause }) => {
    const { factory, arrived } = recordingServer();
    const client = createUserServiceClient(factory, { baseUrl }, { credentials });
    const error = await client.whoAmI({}).catch(ConnectError.from);
    expect(error).toMatchObject({ code, cause: { name: "AuthError", sent: false, ...cause } });
    expect((error as ConnectError).message).not.toContain("s3cr3t");
    expect(arrived).toEqual([]);
  });

  test("do not hold a call beyond its deadline, nor beyond an abort", async () => {
    const { factory } = recordingServer();
    const client = createUserServiceClient(
      factory,
      { baseUrl },
      {
        credentials: () => new Promise<Auth>(() => {}),
      },
    );
    const late = await client.whoAmI({}, { timeoutMs: 20 }).catch(ConnectError.from);
    expect(late).toMatchObject({ code: Code.DeadlineExceeded });
    const controller = new AbortController();
    const aborted = client.whoAmI({}, { signal: controller.signal }).catch(ConnectError.from);
    controller.abort();
    expect(await aborted).toMatchObject({ code: Code.Canceled });
  });

  test("are not asked for on public methods, nor for a URL they must not go to", async () => {
    const credentials = vi.fn(() => Auth.jwt("t"));
    const { factory, authorization } = recordingServer();
    const client = createUserServiceClient(
      factory,
      { baseUrl: "http://api.test" },
      {
        credentials,
      },
    );
    await client.getProfile({});
    const error = await client.whoAmI({}).catch(ConnectError.from);
    expect(error).toMatchObject({
      code: Code.Unauthenticated,
      cause: { code: "insecure_transport", sent: false },
    });
    expect(credentials).not.toHaveBeenCalled();
    expect(authorization()).toEqual([null]);
  });

  test("do not follow a call that an interceptor sends elsewhere", async () => {
    const { factory, arrived } = recordingServer();
    const client = createUserServiceClient(
      factory,
      {
        baseUrl,
        interceptors: [
          (next) => (req) =>
            next(
              req.stream
                ? { ...req, url: "https://evil.test/x" }
                : { ...req, url: "https://evil.test/x" },
            ),
        ],
      },
      { credentials: Auth.jwt("t") },
    );
    const error = await client.whoAmI({}).catch(ConnectError.from);
    expect(error).toMatchObject({
      code: Code.Unauthenticated,
      cause: { code: "foreign_origin", sent: false },
    });
    expect(arrived).toEqual([]);
  });

  test("of one call take the place of the client's", async () => {
    const { factory, authorization } = recordingServer();
    const client = createUserServiceClient(factory, { baseUrl }, { credentials: Auth.jwt("t") });
    const using = (auth: Auth) => ({
      contextValues: createContextValues().set(callCredentials, auth),
    });
    await client.whoAmI({}, using(Auth.jwt("other")));
    await client.whoAmI({}, using(Auth.none()));
    await client.getProfile({}, using(Auth.jwt("other")));
    expect(authorization()).toEqual(["Bearer other", null, null]);
  });

  test("give way to a header that the caller set, whole", async () => {
    const { factory, arrived } = recordingServer();
    const client = createUserServiceClient(
      factory,
      { baseUrl },
      {
        credentials: Auth.all(Auth.jwt("t"), Auth.header("x-api-key", "k")),
      },
    );
    await client.whoAmI({}, { headers: { Authorization: "Bearer mine" } });
    expect(arrived.map((header) => [header.get("authorization"), header.get("x-api-key")])).toEqual(
      [["Bearer mine", null]],
    );
  });

  test("that a public method could have do not fail it", async () => {
    const { factory, authorization } = recordingServer();
    const failing = createUserServiceClient(
      factory,
      { baseUrl },
      {
        credentials: () => Promise.reject(new Error("signed out")),
        sendOnPublic: "if-available",
      },
    );
    await failing.getProfile({});
    const working = createUserServiceClient(
      factory,
      { baseUrl },
      {
        credentials: Auth.jwt("t"),
        sendOnPublic: "if-available",
      },
    );
    await working.getProfile({});
    expect(authorization()).toEqual([null, "Bearer t"]);
  });
});

describe("a refused credential", () => {
  test("is renewed once, and the call made again", async () => {
    const { factory, authorization } = recordingServer(
      (header) => header.get("authorization") === "Bearer stale",
    );
    const rejected = vi.fn();
    const asked: Pick<AuthRequest, "reason" | "rejected">[] = [];
    const client = createUserServiceClient(
      factory,
      { baseUrl },
      {
        credentials: {
          getAuth({ reason, rejected }) {
            asked.push({ reason, ...(rejected && { rejected }) });
            return Auth.jwt(reason === "rejected" ? "fresh" : "stale");
          },
          rejected,
        },
      },
    );
    await client.whoAmI({});
    expect(authorization()).toEqual(["Bearer stale", "Bearer fresh"]);
    expect(asked).toEqual([
      { reason: "request" },
      { reason: "rejected", rejected: { type: "jwt", token: "stale" } },
    ]);
    expect(rejected.mock.calls).toEqual([[{ type: "jwt", token: "stale" }, undefined]]);
  });

  test.each<{ name: string; credentials: Credentials; calls: number }>([
    { name: "is constant", credentials: Auth.jwt("t"), calls: 1 },
    { name: "comes again", credentials: () => Auth.jwt("t"), calls: 1 },
    {
      name: "is followed by another refused one",
      credentials: ({ reason }) => Auth.jwt(reason),
      calls: 2,
    },
  ])("fails the call where it $name", async ({ credentials, calls }) => {
    const { factory, arrived } = recordingServer(() => true);
    const client = createUserServiceClient(factory, { baseUrl }, { credentials });
    const error = await client.whoAmI({}).catch(ConnectError.from);
    expect(error).toMatchObject({
      code: Code.Unauthenticated,
      rawMessage: "no",
      cause: { name: "AuthError", code: "credentials_refused", sent: true },
    });
    expect(arrived).toHaveLength(calls);
  });

  test("that cannot be renewed fails the call with the reason why", async () => {
    const { factory } = recordingServer(() => true);
    const client = createUserServiceClient(
      factory,
      { baseUrl },
      {
        credentials: ({ reason }) => {
          if (reason === "rejected") {
            throw new ConnectError("down", Code.Unavailable);
          }
          return Auth.jwt("t");
        },
      },
    );
    const error = await client.whoAmI({}).catch(ConnectError.from);
    expect(error).toMatchObject({
      code: Code.Unavailable,
      cause: { code: "credentials_unavailable", sent: true },
    });
  });
});

describe("a credential for a single call", () => {
  test.each([undefined, null])(
    "that is %s fails the call, it is not the client's",
    async (given) => {
      const { factory, arrived } = recordingServer();
      const client = createUserServiceClient(factory, { baseUrl }, { credentials: Auth.jwt("t") });
      const contextValues = createContextValues().set(
        callCredentials,
        JSON.parse(`${given ?? null}`),
      );
      const error = await client.whoAmI({}, { contextValues }).catch(ConnectError.from);
      expect(error).toMatchObject({
        code: Code.Unauthenticated,
        cause: { code: "credentials_invalid", sent: false },
      });
      expect(arrived).toEqual([]);
    },
  );
});

describe("a provider that misbehaves", () => {
  test.each<{ name: string; auth: unknown }>([
    { name: "all without a list", auth: { type: "all" } },
    { name: "a gateway without roles", auth: { type: "gateway", secret: "s", subject: "a" } },
    {
      name: "roles that are text",
      auth: { ...Auth.gateway({ secret: "s", subject: "a" }), roles: "x" },
    },
    { name: "a header without a name", auth: { type: "header", value: "v" } },
  ])("with $name fails the call as invalid, with nothing sent", async ({ auth }) => {
    const { factory, arrived } = recordingServer();
    const client = untypedClient(factory, { credentials: () => auth });
    const error = await client.whoAmI({}).catch(ConnectError.from);
    expect(error).toMatchObject({
      code: Code.Unauthenticated,
      cause: { code: "credentials_invalid", sent: false },
    });
    expect(arrived).toEqual([]);
  });

  test.each([
    {
      name: "throws",
      rejected() {
        throw new ConnectError("store", Code.NotFound);
      },
    },
    { name: "rejects", rejected: () => Promise.reject(new Error("store")) },
  ])("when it is told of a refused credential and $name changes nothing", async ({ rejected }) => {
    const { factory, authorization } = recordingServer(
      (header) => header.get("authorization") === "Bearer request",
    );
    const client = createUserServiceClient(
      factory,
      { baseUrl },
      {
        credentials: { getAuth: ({ reason }) => Auth.jwt(reason), rejected },
      },
    );
    await client.whoAmI({});
    expect(authorization()).toEqual(["Bearer request", "Bearer rejected"]);
  });

  test("with a proof that never comes ends with the deadline", async () => {
    const { factory } = recordingServer();
    const client = createUserServiceClient(
      factory,
      { baseUrl },
      {
        credentials: Auth.dpop("t", () => new Promise(() => {})),
      },
    );
    const error = await client.whoAmI({}, { timeoutMs: 20 }).catch(ConnectError.from);
    expect(error).toMatchObject({ code: Code.DeadlineExceeded });
  });

  test("with a promise of another kind ends with the deadline", async () => {
    const { factory } = recordingServer();
    // biome-ignore lint/suspicious/noThenProperty: a promise that is not of this realm
    const thenable = { then: () => {} };
    const client = untypedClient(factory, { credentials: () => thenable });
    const error = await client.whoAmI({}, { timeoutMs: 20 }).catch(ConnectError.from);
    expect(error).toMatchObject({ code: Code.DeadlineExceeded });
  });
});

describe("the credential of a gateway", () => {
  const gateway = Auth.gateway({ secret: "mesh", subject: "bff" });

  test("does not vouch for identity headers that the caller passes on", async () => {
    const { factory, arrived } = recordingServer();
    const client = createUserServiceClient(factory, { baseUrl }, { internalCredentials: gateway });
    await client.reindex({}, { headers: { "x-auth-scopes": "all" } });
    await client.reindex({}, { headers: { "x-request-id": "1" } });
    expect(arrived.map((header) => header.get("x-gateway-secret"))).toEqual([null, "mesh"]);
  });
});
