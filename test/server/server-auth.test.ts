import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import {
  Code,
  ConnectError,
  type ConnectRouter,
  createClient,
  createConnectRouter,
  createContextValues,
  createRouterTransport,
  type Interceptor,
} from "@connectrpc/connect";
import { connectNodeAdapter, createConnectTransport } from "@connectrpc/connect-node";
import { describe, expect, test, vi } from "vitest";
import type { ServicePolicies } from "../../src/index.js";
import {
  AuthzDeniedError,
  authContextKey,
  createGatewayAuthInterceptor,
  createJwtAuthInterceptor,
  createProtoAuthzInterceptor,
  createServerAuth,
  type Denial,
  getAuthContext,
  type ServerAuthOptions,
} from "../../src/server/index.js";
import { MatrixServicePolicies } from "../gen/acme/matrix/v1/matrix_auth.js";
import { MatrixService } from "../gen/acme/matrix/v1/matrix_pb.js";
import { PlainService } from "../gen/acme/plain/v1/plain_pb.js";
import { UserServicePolicies } from "../gen/acme/user/v1/user_auth.js";
import { UserService } from "../gen/acme/user/v1/user_pb.js";
import { createTestToken, testSecret } from "../support/test-token.js";

const users = createJwtAuthInterceptor({ secret: testSecret });
const services = createGatewayAuthInterceptor({ trustSource: { expectedValues: ["mesh"] } });
const admin = await createTestToken({ roles: ["admin"], scope: "users:write matrix:use" });
const alice = await createTestToken({ sub: "alice" });
const service = { "x-gateway-secret": "mesh", "x-auth-subject": "indexer" };

const whoAmI = () => ({ subject: getAuthContext()?.subject ?? "nobody" });

function userRoutes(router: ConnectRouter) {
  router.service(UserService, {
    getProfile: () => ({ name: whoAmI().subject }),
    whoAmI,
    deleteUser: () => ({}),
    reindex: () => ({}),
  });
}

function userClient(options: Partial<ServerAuthOptions> = {}, serverOptions = {}) {
  const auth = createServerAuth({
    policies: [UserServicePolicies],
    authenticate: users,
    internal: services,
    ...options,
  });
  const transport = createRouterTransport(auth.guard(userRoutes), {
    router: { interceptors: auth.interceptors, ...serverOptions },
  });
  return createClient(UserService, transport);
}

const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });

/** A table of PlainService, as JavaScript may have it. */
function tableOf(open: string): ServicePolicies {
  return { service: PlainService, methods: { open: JSON.parse(open), closed: { kind: "denied" } } };
}

/** `ok`, or the code of the error. */
async function outcome(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return "ok";
  } catch (error) {
    return Code[ConnectError.from(error).code];
  }
}

describe("createServerAuth", () => {
  test("lets callers pass as the proto file says", async () => {
    const client = userClient();
    const callers = {
      nobody: undefined,
      alice: bearer(alice),
      admin: bearer(admin),
      service: { headers: service },
      forged: bearer(`${admin.slice(0, -4)}AAAA`),
    };
    const results = await Promise.all(
      Object.entries(callers).map(async ([name, options]) => [
        name,
        await outcome(client.getProfile({}, options)),
        await outcome(client.whoAmI({}, options)),
        await outcome(client.deleteUser({}, options)),
        await outcome(client.reindex({}, options)),
      ]),
    );
    expect(results).toEqual([
      ["nobody", "ok", "Unauthenticated", "Unauthenticated", "Unauthenticated"],
      ["alice", "ok", "ok", "PermissionDenied", "Unauthenticated"],
      ["admin", "ok", "ok", "ok", "Unauthenticated"],
      ["service", "ok", "Unauthenticated", "Unauthenticated", "ok"],
      ["forged", "ok", "Unauthenticated", "Unauthenticated", "Unauthenticated"],
    ]);
  });

  test("knows nobody on public methods, unless it is told to look", async () => {
    expect((await userClient().getProfile({}, bearer(alice))).name).toBe("nobody");
    const looking = userClient({ identifyOnPublic: true });
    expect((await looking.getProfile({}, bearer(alice))).name).toBe("alice");
    expect((await looking.getProfile({}, bearer("bad"))).name).toBe("nobody");
    expect((await looking.getProfile({})).name).toBe("nobody");
  });

  test("refuses internal methods where no trust source is given", async () => {
    const auth = createServerAuth({ policies: [UserServicePolicies], authenticate: services });
    const transport = createRouterTransport(auth.guard(userRoutes), {
      router: { interceptors: auth.interceptors },
    });
    const client = createClient(UserService, transport);
    expect(await outcome(client.reindex({}, { headers: service }))).toBe("Unauthenticated");
    expect(await outcome(client.whoAmI({}, { headers: service }))).toBe("ok");
  });

  test("goes by the first authentication whose credential is there", async () => {
    const client = userClient({ authenticate: [services, users] });
    expect((await client.whoAmI({}, bearer(alice))).subject).toBe("alice");
    expect((await client.whoAmI({}, { headers: service })).subject).toBe("indexer");
    const both = { headers: { ...service, ...bearer(alice).headers } };
    expect((await client.whoAmI({}, both)).subject).toBe("indexer");
    const forged = { headers: { ...service, ...bearer(alice).headers, "x-gateway-secret": "x" } };
    expect(await outcome(client.whoAmI({}, forged))).toBe("Unauthenticated");
  });

  test("asks for an identity before rules, authorize and default", async () => {
    const authorize = vi.fn(() => true);
    const auth = createServerAuth({
      policies: [MatrixServicePolicies],
      authenticate: users,
      rules: [
        {
          name: "open",
          methods: ["acme.matrix.v1.MatrixService/UnspecifiedUnary"],
          effect: "allow",
        },
      ],
      defaultPolicy: "allow",
    });
    const transport = createRouterTransport(
      auth.guard((router) => router.service(MatrixService, { unspecifiedUnary: () => ({}) })),
      { router: { interceptors: auth.interceptors } },
    );
    const client = createClient(MatrixService, transport);
    expect(await outcome(client.unspecifiedUnary({}))).toBe("Unauthenticated");
    expect(await outcome(client.unspecifiedUnary({}, bearer(alice)))).toBe("ok");
    expect(await outcome(client.deniedUnary({}))).toBe("Unauthenticated");
    expect(await outcome(client.deniedUnary({}, bearer(admin)))).toBe("PermissionDenied");
    expect(authorize).not.toHaveBeenCalled();
  });

  test("refuses a method without a policy", async () => {
    const auth = createServerAuth({
      policies: [UserServicePolicies],
      authenticate: users,
      defaultPolicy: "allow",
    });
    const transport = createRouterTransport(
      (router) => router.service(PlainService, { open: () => ({}) }),
      { router: { interceptors: auth.interceptors } },
    );
    const client = createClient(PlainService, transport);
    expect(await outcome(client.open({}, bearer(admin)))).toBe("PermissionDenied");
  });

  test("leaves exempt methods alone", async () => {
    const auth = createServerAuth({
      policies: [UserServicePolicies],
      authenticate: users,
      exempt: ["acme.plain.v1.PlainService/*"],
    });
    const transport = createRouterTransport(
      auth.guard((router) => {
        userRoutes(router);
        router.service(PlainService, { open: () => ({}) });
      }),
      { router: { interceptors: auth.interceptors } },
    );
    expect(await outcome(createClient(PlainService, transport).open({}))).toBe("ok");
    expect(await outcome(createClient(UserService, transport).whoAmI({}))).toBe("Unauthenticated");
  });

  test("tells onDenied why, and the client little", async () => {
    const denials: Denial[] = [];
    const client = userClient({
      onDenied: (denial) => {
        denials.push(denial);
        throw new Error("a hook that fails changes nothing");
      },
    });
    const error = await client.whoAmI({}, bearer("bad")).catch(ConnectError.from);
    expect(error).toMatchObject({ code: Code.Unauthenticated, rawMessage: "invalid token" });
    await client.deleteUser({}, bearer(alice)).catch(ConnectError.from);
    expect(denials).toMatchObject([
      {
        method: UserService.method.whoAmI,
        identity: undefined,
        error: { cause: new Error("token: 1 segments, a signed token has three") },
      },
      {
        method: UserService.method.deleteUser,
        identity: { subject: "alice" },
        error: {
          authzDetails: {
            ruleName: "requires",
            requiredRoles: ["admin"],
            requiredScopes: ["users:write"],
          },
        },
      },
    ]);
    expect(denials.map(({ error: { code } }) => Code[code])).toEqual([
      "Unauthenticated",
      "PermissionDenied",
    ]);
    expect(denials[1]?.error).toBeInstanceOf(AuthzDeniedError);
    expect(denials[0]?.error).not.toBeInstanceOf(AuthzDeniedError);
  });

  test("refuses with Unauthenticated where an authentication breaks", async () => {
    const denials: Denial[] = [];
    const client = userClient({
      authenticate: {
        identityHeaders: [],
        authenticate: () => Promise.reject(new TypeError("bug")),
      },
      onDenied: (denial) => denials.push(denial),
    });
    expect(await outcome(client.whoAmI({}))).toBe("Unauthenticated");
    expect(denials).toMatchObject([{ error: { cause: { cause: new TypeError("bug") } } }]);
  });

  test("refuses an identity that no header can carry, tells of it, and knows nobody on public methods", async () => {
    const denials: Denial[] = [];
    const client = userClient({
      authenticate: createJwtAuthInterceptor({ secret: testSecret, propagateHeaders: true }),
      identifyOnPublic: true,
      onDenied: (denial) => denials.push(denial),
    });
    const headers = { authorization: `Bearer ${await createTestToken({ sub: "josé" })}` };
    await expect(client.whoAmI({}, { headers })).rejects.toMatchObject({
      code: Code.Unauthenticated,
      rawMessage: "invalid credentials",
    });
    expect(denials).toMatchObject([
      {
        error: {
          cause: new Error(
            "propagateHeaders: subject cannot be carried in a header: it must be visible ASCII, at most 8192 bytes",
          ),
        },
      },
    ]);
    expect(await client.getProfile({}, { headers })).toMatchObject({ name: "nobody" });
  });

  test("tells clients nothing else, whatever an authentication throws", async () => {
    const client = userClient({
      authenticate: {
        identityHeaders: [],
        authenticate: () => Promise.reject(new ConnectError("a detail", Code.Internal)),
      },
    });
    await expect(client.whoAmI({})).rejects.toMatchObject({
      code: Code.Unauthenticated,
      rawMessage: "invalid credentials",
    });
  });

  test("hides identity headers from the handlers of public methods too", async () => {
    const seen: (string | null)[] = [];
    const auth = createServerAuth({
      policies: [UserServicePolicies],
      authenticate: users,
      internal: services,
    });
    const transport = createRouterTransport(
      auth.guard((router) =>
        router.service(UserService, {
          getProfile: (_, { requestHeader }) => {
            seen.push(requestHeader.get("x-auth-subject"), requestHeader.get("x_auth_subject"));
            return {};
          },
        }),
      ),
      { router: { interceptors: auth.interceptors } },
    );
    await createClient(UserService, transport).getProfile(
      {},
      { headers: { ...service, x_auth_subject: "mallory" } },
    );
    expect(seen).toEqual([null, null]);
  });

  test.each<{ name: string; options: Partial<ServerAuthOptions>; message: string }>([
    {
      name: "exempt *",
      options: { exempt: ["*"] },
      message: 'exempt "*" would switch off every check; name the services',
    },
    {
      name: "a malformed exempt pattern",
      options: { exempt: ["health"] },
      message:
        'method pattern "health" must be "package.Service/Method", "package.Service/*" or "*"',
    },
    {
      name: "no authentication",
      options: { authenticate: [] },
      message: "authenticate must be one or more authentication interceptors",
    },
    {
      name: "a table that is not in a list",
      options: JSON.parse("{}", (_, value) => ({ ...value, policies: UserServicePolicies })),
      message: "policies must be a list of policy tables, such as [UserServicePolicies]",
    },
    {
      name: "a service for a table",
      options: JSON.parse("{}", (_, value) => ({ ...value, policies: [UserService] })),
      message: "policies must be policy tables, of the plugin or of definePolicies()",
    },
    {
      name: "a table with an unknown kind",
      options: {
        policies: [tableOf('{"kind":"open"}')],
      },
      message:
        "policies for acme.plain.v1.PlainService, open: the kind must be one of public, internal, requires, authenticated, denied, unspecified",
    },
    {
      name: "a table with a role that is no list",
      options: {
        policies: [tableOf('{"kind":"requires","roles":"admin"}')],
      },
      message: "policies for acme.plain.v1.PlainService, open: roles must be a list of strings",
    },
    {
      name: "a table with a misspelt requirement",
      options: { policies: [tableOf('{"kind":"requires","role":["admin"]}')] },
      message:
        'policies for acme.plain.v1.PlainService, open: a policy of kind requires has no "role", only kind, roles, scopes',
    },
    {
      name: "a table with a requirement that its kind has not",
      options: { policies: [tableOf('{"kind":"authenticated","roles":["admin"]}')] },
      message:
        'policies for acme.plain.v1.PlainService, open: a policy of kind authenticated has no "roles", only kind',
    },
    {
      name: "a rule about methods that have a policy",
      options: {
        rules: [{ name: "closed", methods: ["acme.user.v1.UserService/*"], effect: "deny" }],
      },
      message:
        'rule "closed" matches no method that its proto file says nothing about, and would do nothing',
    },
    {
      name: "a switch that is text",
      options: JSON.parse('{"identifyOnPublic":"false"}'),
      message: 'identifyOnPublic "false" must be true or false',
    },
    {
      name: "a hook that is no function",
      options: JSON.parse('{"onDenied":"log"}'),
      message: "onDenied must be a function",
    },
    {
      name: "a callback that is no function",
      options: JSON.parse('{"authorize":"yes"}'),
      message: "authorize must be a function",
    },
    {
      name: "a misspelt option",
      options: JSON.parse('{"defaultPolice":"deny"}'),
      message:
        'createServerAuth has no option "defaultPolice"; there are policies, authenticate, internal, rules, authorize, defaultPolicy, exempt, identifyOnPublic, onDenied',
    },
    {
      name: "something else as the source of internal trust",
      options: { internal: JSON.parse("{}") },
      message: "internal must be one or more trust sources or authentication interceptors",
    },
    {
      name: "a plain interceptor as authentication",
      options: { authenticate: JSON.parse("{}") },
      message: "authenticate must be one or more authentication interceptors",
    },
  ])("rejects $name", ({ options, message }) => {
    expect(() =>
      createServerAuth({ policies: [UserServicePolicies], authenticate: users, ...options }),
    ).toThrow(new TypeError(message));
  });
});

describe("guard", () => {
  const auth = createServerAuth({ policies: [UserServicePolicies], authenticate: users });

  test("runs no handler where the interceptors were forgotten", async () => {
    const called = vi.fn(() => ({}));
    const forgetful = createServerAuth({ policies: [MatrixServicePolicies], authenticate: users });
    const transport = createRouterTransport(
      forgetful.guard((router) =>
        router.service(MatrixService, {
          publicUnary: called,
          async *publicServer() {
            yield called();
          },
        }),
      ),
    );
    const client = createClient(MatrixService, transport);
    const error = await client.publicUnary({}).catch(ConnectError.from);
    expect(error).toMatchObject({
      code: Code.Internal,
      rawMessage: "auth.interceptors did not run: pass them to whatever serves auth.guard(routes)",
    });
    const stream = (async () => {
      for await (const _ of client.publicServer({})) {
        // never
      }
    })();
    expect(await outcome(stream)).toBe("Internal");
    expect(called).not.toHaveBeenCalled();
  });

  test("runs before the interceptors of a service, which replace those of the router", async () => {
    const seen: (string | undefined)[] = [];
    const own: Interceptor = (next) => (req) => {
      seen.push(req.contextValues.get(authContextKey)?.subject);
      return next(req);
    };
    const transport = createRouterTransport(
      auth.guard((router) => {
        router.service(UserService, { whoAmI }, { interceptors: [own] });
      }),
      { router: { interceptors: auth.interceptors } },
    );
    const client = createClient(UserService, transport);
    expect(await outcome(client.whoAmI({}))).toBe("Unauthenticated");
    expect(await outcome(client.whoAmI({}, bearer(alice)))).toBe("ok");
    expect(seen).toEqual(["alice"]);
  });

  test("guards methods that are registered one by one", async () => {
    const transport = createRouterTransport(
      auth.guard((router) => {
        router.rpc(UserService.method.whoAmI, whoAmI, { interceptors: [] });
      }),
      { router: { interceptors: auth.interceptors } },
    );
    const client = createClient(UserService, transport);
    expect(await outcome(client.whoAmI({}))).toBe("Unauthenticated");
    expect((await client.whoAmI({}, bearer(alice))).subject).toBe("alice");
  });

  test("keeps `this` of an implementation that is an object of a class", async () => {
    class Users {
      readonly #greeting = "hello";
      getProfile() {
        return { name: this.#greeting };
      }
    }
    const transport = createRouterTransport(
      auth.guard((router) => router.service(UserService, new Users())),
      { router: { interceptors: auth.interceptors } },
    );
    expect((await createClient(UserService, transport).getProfile({})).name).toBe("hello");
  });

  test("lets a call pass once where the interceptor stands in the chain twice", async () => {
    const authenticate = vi.fn(users.authenticate);
    const client = userClient({ authenticate: { identityHeaders: [], authenticate } });
    await client.whoAmI({}, bearer(alice));
    expect(authenticate).toHaveBeenCalledTimes(1);
  });

  test.each<{
    name: string;
    exempt?: string[];
    routes: (router: ConnectRouter) => unknown;
    message: string;
  }>([
    {
      name: "a served method has no policy",
      routes: (router) => router.service(UserService, {}).service(PlainService, {}),
      message:
        "acme.plain.v1.PlainService is served without a policy table; add its table, or exempt it by name",
    },
    {
      name: "a served method has no policy, and its service is exempt in part",
      exempt: ["acme.plain.v1.PlainService/Open"],
      routes: (router) => router.service(UserService, {}).service(PlainService, {}),
      message:
        "acme.plain.v1.PlainService is served without a policy table; add its table, or exempt it by name",
    },
    {
      name: "a table has no served service",
      routes: () => undefined,
      message: "there is a policy table for acme.user.v1.UserService, which is not served",
    },
    {
      name: "an exempt pattern names nothing",
      exempt: ["grpc.health.v1.Health/*"],
      routes: (router) => router.service(UserService, {}),
      message: 'exempt "grpc.health.v1.Health/*" matches no served method',
    },
    {
      name: "several things are wrong",
      exempt: ["grpc.health.v1.Health/*"],
      routes: (router) => router.service(PlainService, {}),
      message:
        'acme.plain.v1.PlainService is served without a policy table; add its table, or exempt it by name; there is a policy table for acme.user.v1.UserService, which is not served; exempt "grpc.health.v1.Health/*" matches no served method',
    },
  ])("throws at start-up where $name", ({ exempt = [], routes, message }) => {
    const { guard } = createServerAuth({
      policies: [UserServicePolicies],
      authenticate: users,
      exempt,
    });
    expect(() => createRouterTransport(guard(routes))).toThrow(new TypeError(message));
  });
});

describe("a call without a credential", () => {
  test.each([
    { name: "users", call: "whoAmI", want: "Bearer" },
    { name: "services", call: "reindex", want: null },
  ] as const)("is told what would do for $name", async ({ call, want }) => {
    const error = await userClient()[call]({}).catch(ConnectError.from);
    expect.assert(error instanceof ConnectError);
    expect(error).toMatchObject({ code: Code.Unauthenticated, rawMessage: "missing credentials" });
    expect(error.metadata.get("www-authenticate")).toBe(want);
  });
});

describe("context values that an adapter gives to every call", () => {
  test("do not let a call pass because another one did", async () => {
    const shared = createContextValues();
    const auth = createServerAuth({ policies: [UserServicePolicies], authenticate: users });
    const server = createServer(
      connectNodeAdapter({
        routes: auth.guard(userRoutes),
        interceptors: auth.interceptors,
        contextValues: () => shared,
      }),
    );
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    try {
      const { port } = server.address() as AddressInfo;
      const baseUrl = `http://127.0.0.1:${port}`;
      const client = createClient(
        UserService,
        createConnectTransport({ baseUrl, httpVersion: "1.1" }),
      );
      await client.getProfile({});
      await client.deleteUser({}, bearer(admin));
      expect(await outcome(client.deleteUser({}))).toBe("Unauthenticated");
      expect(await outcome(client.deleteUser({}, bearer(alice)))).toBe("PermissionDenied");
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });

  test("do not mix the identities of two calls", async () => {
    const shared = createContextValues();
    const seen: (string | undefined)[] = [];
    let release = () => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    const share: Interceptor = (next) => (req) => next({ ...req, contextValues: shared });
    const slow: Interceptor = (next) => async (req) => {
      if (req.contextValues.get(authContextKey)?.subject === "alice") {
        await released;
      }
      seen.push(req.contextValues.get(authContextKey)?.subject);
      return next(req);
    };
    const interceptors = [share, users, slow, createProtoAuthzInterceptor()];
    const transport = createRouterTransport(userRoutes, { router: { interceptors } });
    const client = createClient(UserService, transport);
    const waiting = outcome(client.deleteUser({}, bearer(alice)));
    expect(await outcome(client.deleteUser({}, bearer(admin)))).toBe("ok");
    release();
    expect(await waiting).toBe("PermissionDenied");
    expect(seen).toEqual(["user", "alice"]);
  });
});

describe("an authentication of one's own", () => {
  test.each([
    "null",
    "false",
    '""',
    "{}",
    '{"subject":"a"}',
    '{"subject":"","roles":[],"scopes":[]}',
  ])("that answers %s identifies nobody", async (answer) => {
    const authenticator = {
      identityHeaders: [],
      authenticate: async () => JSON.parse(answer),
    };
    const client = userClient({ authenticate: authenticator, internal: authenticator });
    for (const call of ["whoAmI", "reindex", "deleteUser"] as const) {
      expect(await outcome(client[call]({}))).toBe("Unauthenticated");
    }
  });
});

describe("an onDenied that fails later", () => {
  test("harms neither the answer nor the process", async () => {
    const unhandled = vi.fn();
    process.on("unhandledRejection", unhandled);
    const client = userClient({ onDenied: () => Promise.reject(new Error("the log is down")) });
    expect(await outcome(client.whoAmI({}))).toBe("Unauthenticated");
    await new Promise((resolve) => setImmediate(resolve));
    process.off("unhandledRejection", unhandled);
    expect(unhandled).not.toHaveBeenCalled();
  });
});

describe("routes", () => {
  const { guard } = createServerAuth({ policies: [UserServicePolicies], authenticate: users });

  test("that are async are rejected: what comes later would not be checked", () => {
    const routes = async (router: ConnectRouter) => {
      await Promise.resolve();
      router.service(PlainService, {});
    };
    expect(() => createRouterTransport(guard(routes))).toThrow(
      new TypeError("routes must not be async: what they register later would not be checked"),
    );
  });

  test("that add a handler past the router are rejected", () => {
    const other = createConnectRouter();
    other.service(PlainService, {});
    expect(() =>
      createRouterTransport(
        guard((router) => {
          userRoutes(router);
          router.handlers.push(...other.handlers);
        }),
      ),
    ).toThrow(
      new TypeError("routes must register handlers by router.service() and router.rpc() only"),
    );
  });

  test("with service options that leave the interceptors undefined are guarded", async () => {
    const auth = createServerAuth({ policies: [UserServicePolicies], authenticate: users });
    const options = JSON.parse("{}");
    options.interceptors = undefined;
    const transport = createRouterTransport(
      auth.guard((router) => router.service(UserService, { whoAmI }, options)),
      { router: { interceptors: auth.interceptors } },
    );
    const client = createClient(UserService, transport);
    expect(await outcome(client.whoAmI({}))).toBe("Unauthenticated");
    expect((await client.whoAmI({}, bearer(alice))).subject).toBe("alice");
  });
});
