import {
  Code,
  ConnectError,
  createClient,
  createContextValues,
  createRouterTransport,
  type Interceptor,
} from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { Auth } from "../../src/index.js";
import {
  AUTH_HEADERS,
  type Authenticator,
  authContextKey,
  createAuthInterceptor,
  createGatewayAuthInterceptor,
  createInternalAuthInterceptor,
  createJwtAuthInterceptor,
  createProtoAuthzInterceptor,
  createServerAuth,
  getAuthContext,
  getInternalMethods,
  getPublicMethods,
  type InternalAuthInterceptorOptions,
  meshIdentityTrust,
  sharedSecretTrust,
  signedTokenTrust,
} from "../../src/server/index.js";
import { inMemory } from "../../src/testing/index.js";
import { MatrixServicePolicies } from "../gen/acme/matrix/v1/matrix_auth.js";
import { MatrixService } from "../gen/acme/matrix/v1/matrix_pb.js";
import { UserService } from "../gen/acme/user/v1/user_pb.js";
import { incomingCall } from "../support/incoming-call.js";
import { matrixRoutes, type SeenCall } from "../support/matrix-routes.js";
import { refusalOf } from "../support/refusal-of.js";
import { createTestToken, testSecret } from "../support/test-token.js";
import { callMatrix, createMatrixClient } from "../wire/protocols.js";

const secret = "what only services of ours know, and no user";
const principal = "spiffe://cluster.local/ns/shop/sa/indexer";
const internalMethods = getInternalMethods([MatrixService]);
const streams = ["Unary", "Server", "Client", "Bidi"] as const;

const users = createJwtAuthInterceptor({
  secret: testSecret,
  skipMethods: [...getPublicMethods([MatrixService]), ...internalMethods],
});
const bySecret = sharedSecretTrust({ secret });
const byMesh = meshIdentityTrust({ allowlist: [{ principal }] });
const issuers = { services: { secret: testSecret, audience: "matrix" } };
const byToken = signedTokenTrust({ issuers });
const byBearer = signedTokenTrust({ issuers, header: "authorization" });
const byGateway = createGatewayAuthInterceptor({ trustSource: { expectedValues: [secret] } });

const alice = await createTestToken({ sub: "alice" });
const service = await createTestToken({ iss: "services", aud: "matrix", sub: "indexer" });

/** Interceptors that a user puts together. */
function alone(trustSource: Authenticator | readonly Authenticator[]): Interceptor[] {
  const services = createInternalAuthInterceptor({ trustSource, internalMethods });
  const authentications = trustSource === byGateway ? [services, users] : [users, services];
  return [...authentications, createProtoAuthzInterceptor()];
}

/** What does the same in one piece. */
function together(trustSource: Authenticator | readonly Authenticator[]): Interceptor[] {
  return createServerAuth({
    policies: [MatrixServicePolicies],
    authenticate: users,
    internal: trustSource,
  }).interceptors;
}

/** A client of a server behind these interceptors. `added`: headers that a proxy between them sets. */
function connect(interceptors: Interceptor[], internal: Auth, added: Record<string, string> = {}) {
  const seen: SeenCall[] = [];
  const proxy: Interceptor = (next) => (req) => {
    for (const [name, value] of Object.entries(added)) {
      req.header.set(name, value);
    }
    return next(req);
  };
  const createTransport = inMemory(
    matrixRoutes((call) => {
      seen.push(call);
    }),
    { interceptors: [proxy, ...interceptors] },
  );
  const client = createMatrixClient(
    { name: "in memory", httpVersion: "2", streams, createTransport },
    { baseUrl: "https://api.test" },
    { credentials: Auth.jwt(alice), internalCredentials: internal },
  );
  return { client, seen };
}

const setups = [
  { setup: "alone", wire: alone },
  { setup: "in createServerAuth", wire: together },
];

const pairs: {
  readonly name: string;
  readonly source: Authenticator;
  readonly sent: Auth;
  readonly added?: Record<string, string>;
  readonly subject: string;
}[] = [
  {
    name: "sharedSecretTrust reads Auth.header()",
    source: bySecret,
    sent: Auth.header("x-internal-secret", secret),
    subject: "internal",
  },
  {
    name: "signedTokenTrust reads Auth.header()",
    source: byToken,
    sent: Auth.header("x-internal-token", service),
    subject: "indexer",
  },
  {
    name: "signedTokenTrust reads Auth.jwt()",
    source: byBearer,
    sent: Auth.jwt(service),
    subject: "indexer",
  },
  {
    name: "meshIdentityTrust reads what a proxy sets",
    source: byMesh,
    sent: Auth.none(),
    added: { "x-forwarded-client-principal": principal },
    subject: principal,
  },
  {
    name: "createGatewayAuthInterceptor reads Auth.gateway()",
    source: byGateway,
    sent: Auth.gateway({ secret, subject: "indexer" }),
    subject: "indexer",
  },
  {
    name: "createAuthInterceptor reads what is its own",
    source: createAuthInterceptor({
      extractCredentials: ({ header }) => header.get("x-api-key"),
      verifyCredentials: (key) => {
        if (key !== "k") {
          throw new Error("unknown key");
        }
        return { subject: "indexer", roles: [], scopes: [], claims: {}, type: "api-key" };
      },
    }),
    sent: Auth.header("x-api-key", "k"),
    subject: "indexer",
  },
];

describe.each(setups)("internal methods, $setup", ({ wire }) => {
  test.each(pairs)("let services in where $name", async ({ source, sent, added, subject }) => {
    const { client, seen } = connect(wire(source), sent, added);
    for (const stream of streams) {
      await callMatrix(client, "internal", stream);
      await callMatrix(client, "authenticated", stream);
      await callMatrix(client, "public", stream);
    }
    expect(seen.map(({ method, subject }) => `${method} ${subject}`)).toEqual(
      streams.flatMap((stream) => [
        `Internal${stream} ${subject}`,
        `Authenticated${stream} alice`,
        `Public${stream} nobody`,
      ]),
    );
    for (const { header } of seen) {
      expect(source.identityHeaders.filter((name) => header.has(name))).toEqual([]);
    }
  });

  test.each(pairs)("refuse a user where $name", async ({ source }) => {
    const { client, seen } = connect(wire(source), Auth.none());
    for (const stream of streams) {
      for (const header of ["authorization", "x-internal-token"]) {
        const call = callMatrix(client, "internal", stream, {
          headers: { [header]: `Bearer ${alice}` },
        });
        const { code, message } = await refusalOf(call);
        expect(code).toBe("Unauthenticated");
        expect(["missing credentials", "invalid token"]).toContain(message);
      }
    }
    expect(seen).toEqual([]);
  });

  test.each<{
    name: string;
    source: Authenticator;
    header: Record<string, string>;
    message: string;
  }>([
    {
      name: "nothing",
      source: bySecret,
      header: {},
      message: "missing credentials",
    },
    {
      name: "another secret",
      source: bySecret,
      header: { "x-internal-secret": "guess" },
      message: "invalid credentials",
    },
    {
      name: "a service that is not on the list",
      source: byMesh,
      header: { "x-forwarded-client-principal": "spiffe://cluster.local/ns/shop/sa/web" },
      message: "invalid credentials",
    },
    {
      name: "the token of a user in the header for services",
      source: byToken,
      header: { "x-internal-token": alice },
      message: "invalid token",
    },
    {
      name: "a header with underscores",
      source: bySecret,
      header: { x_internal_secret: secret },
      message: "missing credentials",
    },
  ])("refuse $name", async ({ source, header, message }) => {
    const { client, seen } = connect(wire(source), Auth.none());
    for (const stream of streams) {
      const call = callMatrix(client, "internal", stream, { headers: header });
      expect(await refusalOf(call)).toMatchObject({ code: "Unauthenticated", message });
    }
    expect(seen).toEqual([]);
  });

  test("go by the first source whose credential a call has", async () => {
    const { client, seen } = connect(wire([byMesh, bySecret]), Auth.none());
    const mesh = { "x-forwarded-client-principal": principal };
    const good = { "x-internal-secret": secret };
    await client.internalUnary({}, { headers: mesh });
    await client.internalUnary({}, { headers: good });
    await client.internalUnary({}, { headers: { ...mesh, ...good } });
    await client.internalUnary({}, { headers: { ...mesh, "x-internal-secret": "guess" } });
    expect(seen.map(({ subject }) => subject)).toEqual([
      principal,
      "internal",
      principal,
      principal,
    ]);
    const bad = { "x-forwarded-client-principal": "spiffe://evil" };
    expect(
      await refusalOf(client.internalUnary({}, { headers: { ...bad, ...good } })),
    ).toMatchObject({ code: "Unauthenticated", message: "invalid credentials" });
    expect(await refusalOf(client.internalUnary({}))).toMatchObject({
      code: "Unauthenticated",
      message: "missing credentials",
    });
  });

  test("say in WWW-Authenticate which credential would do", async () => {
    const challenge = async (source: readonly Authenticator[]) => {
      const { client } = connect(wire(source), Auth.none());
      const error = await client.internalUnary({}).catch(ConnectError.from);
      return error instanceof ConnectError && error.metadata.get("www-authenticate");
    };
    expect(await challenge([bySecret, byBearer])).toBe("Bearer");
    expect(await challenge([bySecret, byMesh, byToken])).toBeNull();
  });

  test("hide the headers of all sources from the handlers of other methods", async () => {
    const { client, seen } = connect(wire([byMesh, bySecret, byToken]), Auth.none());
    const headers = {
      "x-forwarded-client-principal": principal,
      "x_forwarded-client_principal": principal,
      "x-internal-secret": secret,
      x_internal_secret: secret,
      "X-Internal_Token": service,
      "x-auth-subject": "mallory",
      x_auth_subject: "mallory",
      "x-other": "1",
    };
    for (const policy of ["public", "authenticated"] as const) {
      for (const stream of streams) {
        await callMatrix(client, policy, stream, { headers });
      }
    }
    expect(
      seen.map(({ header }) => [...header.keys()].filter((name) => name.startsWith("x")).join()),
    ).toEqual(seen.map(() => "x-other"));
    expect(seen).toHaveLength(8);
  });
});

describe("createInternalAuthInterceptor", () => {
  const internal = (options: Partial<InternalAuthInterceptorOptions> = {}) =>
    createInternalAuthInterceptor({ trustSource: bySecret, internalMethods, ...options });
  const headers = { "x-internal-secret": secret };

  test("leaves Authorization to handlers of other methods", async () => {
    const { client, seen } = connect(alone(byBearer), Auth.none());
    await client.authenticatedUnary({});
    expect(seen[0]?.header.get("authorization")).toBe(`Bearer ${alice}`);
  });

  test("lets no service in where an interceptor before it deletes the headers of a gateway", async () => {
    const interceptors = [users, internal({ trustSource: byGateway })];
    const { client, seen } = connect(interceptors, Auth.gateway({ secret, subject: "indexer" }));
    expect(await refusalOf(client.internalUnary({}))).toMatchObject({
      code: "Unauthenticated",
      message: "invalid credentials",
    });
    expect(seen).toEqual([]);
  });

  test("puts the service in the place of a user that was found before", async () => {
    const everywhere = createJwtAuthInterceptor({ secret: testSecret });
    const { client, seen } = connect([everywhere, internal()], Auth.none());
    const authorization = `Bearer ${alice}`;
    await client.internalUnary({}, { headers: { ...headers, authorization } });
    await client.authenticatedUnary({});
    expect(seen.map(({ subject }) => subject)).toEqual(["internal", "alice"]);
    expect(await refusalOf(client.internalUnary({}, { headers: { authorization } }))).toMatchObject(
      { code: "Unauthenticated", message: "missing credentials" },
    );
  });

  test("takes no identity of the call around it for that of a call", async () => {
    const inner = createRouterTransport(
      (router) =>
        router.service(UserService, {
          getProfile: () => ({ name: getAuthContext()?.subject ?? "nobody" }),
        }),
      { router: { interceptors: [internal()] } },
    );
    const outer = createRouterTransport(
      (router) =>
        router.service(MatrixService, {
          internalUnary: async () => {
            const { name } = await createClient(UserService, inner).getProfile({});
            return { credentials: { inner: name, outer: getAuthContext()?.subject ?? "nobody" } };
          },
        }),
      { router: { interceptors: [internal()] } },
    );
    const client = createClient(MatrixService, outer);
    expect((await client.internalUnary({}, { headers })).credentials).toEqual({
      inner: "nobody",
      outer: "internal",
    });
  });

  test("keeps an identity that was found before on other methods", async () => {
    const before: Interceptor = (next) => (req) => {
      const contextValues = createContextValues().set(authContextKey, {
        subject: "found before",
        roles: [],
        scopes: [],
        claims: {},
        type: "test",
      });
      return next({ ...req, contextValues });
    };
    const { client, seen } = connect([before, internal()], Auth.none());
    await callMatrix(client, "authenticated", "Unary");
    await callMatrix(client, "authenticated", "Bidi");
    expect(seen.map(({ subject }) => subject)).toEqual(["found before", "found before"]);
  });

  test("writes the service into headers where it is told so", async () => {
    const source = sharedSecretTrust({ secret, roles: ["service"] });
    const propagating = internal({ trustSource: source, propagateHeaders: true });
    const { client, seen } = connect([propagating], Auth.none());
    const forged = { ...headers, "x-auth-subject": "mallory", "x-auth-name": "Mallory" };
    await client.internalUnary({}, { headers: forged });
    await client.publicUnary({}, { headers: forged });
    const written = seen.map(({ header }) =>
      Object.values(AUTH_HEADERS).flatMap((name) => header.get(name) ?? []),
    );
    expect(written).toEqual([["internal", '["service"]', "secret"], []]);
  });

  test("judges no method but the internal ones, whoever asks it", async () => {
    const one = internal({ internalMethods: ["acme.matrix.v1.MatrixService/InternalUnary"] });
    const ask = (method: keyof typeof MatrixService.method) =>
      one.authenticate(incomingCall(headers, MatrixService.method[method]));
    expect((await ask("internalUnary"))?.subject).toBe("internal");
    expect(await ask("internalServer")).toBeUndefined();
    expect(await ask("authenticatedUnary")).toBeUndefined();

    const auth = createServerAuth({
      policies: [MatrixServicePolicies],
      authenticate: [internal(), createJwtAuthInterceptor({ secret: testSecret })],
      internal: one,
    });
    const { client, seen } = connect(auth.interceptors, Auth.none());
    await client.internalUnary({}, { headers });
    await client.authenticatedUnary({}, { headers });
    expect(seen.map(({ subject }) => subject)).toEqual(["internal", "alice"]);
    expect(seen.map(({ header }) => header.has("x-internal-secret"))).toEqual([false, false]);
    const anonymous = { ...headers, authorization: "" };
    expect(await refusalOf(callMatrix(client, "internal", "Bidi", { headers }))).toMatchObject({
      code: "Unauthenticated",
      message: "missing credentials",
    });
    expect(await refusalOf(client.authenticatedUnary({}, { headers: anonymous }))).toMatchObject({
      code: "Unauthenticated",
      message: "missing credentials",
    });
  });

  test("hides a header that has underscores itself, with its twins", async () => {
    const trustSource = sharedSecretTrust({ secret, header: "X_Key" });
    const { client, seen } = connect([internal({ trustSource })], Auth.none());
    const twins = { x_key: secret, "x-key": "1", "x.key": "1", "x-keys": "1" };
    await client.internalUnary({}, { headers: twins });
    await client.publicUnary({}, { headers: twins });
    expect(seen.map(({ header }) => [...header.keys()].filter((name) => /^x/.test(name)))).toEqual([
      ["x-keys"],
      ["x-keys"],
    ]);
  });

  test("takes patterns", async () => {
    const all = internal({ internalMethods: ["acme.matrix.v1.MatrixService/*"] });
    const { client } = connect([all], Auth.none());
    expect(await refusalOf(client.publicUnary({}))).toMatchObject({
      code: "Unauthenticated",
      message: "missing credentials",
    });
  });

  test.each<{ name: string; fail: () => unknown; code: string; message: string; cause?: object }>([
    {
      name: "an error of a library",
      fail: () => {
        throw new TypeError("bug");
      },
      code: "Unauthenticated",
      message: "invalid credentials",
      cause: { message: "trustSource failed", cause: new TypeError("bug") },
    },
    {
      name: "an error with another code",
      fail: () => {
        throw new ConnectError("secret inside", Code.Internal);
      },
      code: "Unauthenticated",
      message: "invalid credentials",
      cause: { message: "trustSource failed" },
    },
    {
      name: "an outage",
      fail: () => {
        throw new ConnectError("down", Code.Unavailable);
      },
      code: "Unavailable",
      message: "down",
    },
    {
      name: "something that is no identity",
      fail: () => ({ subject: "x" }),
      code: "Unauthenticated",
      message: "invalid credentials",
      cause: { message: "the authentication returned something that is no identity" },
    },
    {
      name: "null",
      fail: () => null,
      code: "Unauthenticated",
      message: "missing credentials",
    },
  ])("answers $name of a trust source with $code", async ({ fail, code, message, cause }) => {
    const trustSource: Authenticator = {
      identityHeaders: [],
      authenticate: async () => JSON.parse(JSON.stringify(fail())),
    };
    const transport = createRouterTransport(
      matrixRoutes(() => {}),
      {
        router: { interceptors: [logCauses, internal({ trustSource })] },
      },
    );
    const causes: unknown[] = [];
    function logCauses(next: Parameters<Interceptor>[0]): ReturnType<Interceptor> {
      return async (req) => {
        try {
          return await next(req);
        } catch (error) {
          causes.push(error instanceof ConnectError ? error.cause : error);
          throw error;
        }
      };
    }
    const call = createClient(MatrixService, transport).internalUnary({});
    expect(await refusalOf(call)).toMatchObject({ code, message });
    expect(causes).toHaveLength(1);
    if (cause === undefined) {
      expect(causes).toEqual([undefined]);
    } else {
      expect(causes).toMatchObject([cause]);
    }
  });

  const noSource = "trustSource must be one or more trust sources or authentication interceptors";
  const noMethods = "internalMethods must be a list of one or more method patterns";

  test.each<{ name: string; options: object; message: string }>([
    { name: "no trust source", options: { trustSource: undefined }, message: noSource },
    { name: "an empty list of sources", options: { trustSource: [] }, message: noSource },
    { name: "options for a source", options: { trustSource: { secret } }, message: noSource },
    {
      name: "nothing among sources",
      options: { trustSource: [bySecret, null] },
      message: noSource,
    },
    {
      name: "a plain interceptor as the source",
      options: { trustSource: createProtoAuthzInterceptor() },
      message: noSource,
    },
    { name: "no methods", options: { internalMethods: undefined }, message: noMethods },
    { name: "an empty list of methods", options: { internalMethods: [] }, message: noMethods },
    { name: "a single method", options: { internalMethods: "a.B/C" }, message: noMethods },
    {
      name: "a malformed pattern",
      options: { internalMethods: ["/a.B/C"] },
      message:
        'method pattern "/a.B/C" must be "package.Service/Method", "package.Service/*" or "*"',
    },
    {
      name: "propagateHeaders that is no boolean",
      options: { propagateHeaders: "yes" },
      message: 'propagateHeaders "yes" must be true or false',
    },
    {
      name: "methods to skip",
      options: { skipMethods: ["a.B/C"] },
      message:
        'createInternalAuthInterceptor has no option "skipMethods"; there are trustSource, internalMethods, propagateHeaders, propagatedClaims',
    },
  ])("rejects $name", ({ options, message }) => {
    expect(() => internal(options)).toThrow(new TypeError(message));
  });
});
