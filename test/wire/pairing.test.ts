import { Code, type Interceptor } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  Auth,
  type AuthOptions,
  createClientBearerInterceptor,
  createClientGatewayInterceptor,
} from "../../src/index.js";
import { clientCredentials } from "../../src/oauth/index.js";
import {
  type Authenticator,
  authContextKey,
  createGatewayAuthInterceptor,
  createIntrospectionAuthInterceptor,
  createJwtAuthInterceptor,
  createServerAuth,
  createSessionAuthInterceptor,
  meshIdentityTrust,
  sharedSecretTrust,
  signedTokenTrust,
} from "../../src/server/index.js";
import { startTestIssuer, type TestIssuer } from "../../src/testing/index.js";
import { MatrixServicePolicies } from "../gen/acme/matrix/v1/matrix_auth.js";
import {
  startAuthorizationServer,
  type TestAuthorizationServer,
} from "../support/authorization-server.js";
import { createTestToken, testSecret } from "../support/test-token.js";
import { callMatrix, createMatrixClient, protocols } from "./protocols.js";
import { type RecordingServer, startRecordingServer } from "./recording-server.js";

const api = "https://api.test";
const gatewaySecret = "the secret of the gateway";
const serviceSecret = "the secret that all services share";
const principal = "spiffe://acme.dev/ns/shop/sa/indexer";
const sessions = new Map([["the-session-of-alice", { user: "alice" }]]);

let authorizationServer: TestAuthorizationServer;
let issuer: TestIssuer;
beforeAll(async () => {
  [authorizationServer, issuer] = await Promise.all([
    startAuthorizationServer(),
    startTestIssuer(),
  ]);
});
afterAll(() => Promise.all([authorizationServer.close(), issuer.close()]));

/** A credential of a client, and what a server knows its caller by. */
interface Pairing {
  readonly name: string;
  /** Whose methods are called. */
  readonly kind: "authenticated" | "internal";
  authenticator(baseUrl: string): Authenticator;
  /** What the client is made with: credentials, or an interceptor of the seeds. */
  good(): Promise<Caller> | Caller;
  bad(): Promise<Caller> | Caller;
  /** Subject and type of the identity. */
  readonly caller: string;
  /** What a caller with the bad credential is told. */
  readonly refusal: string;
}

interface Caller {
  readonly auth?: AuthOptions;
  readonly interceptor?: Interceptor;
}

const user = (credentials: AuthOptions["credentials"]): Caller => ({ auth: { credentials } });
const service = (internalCredentials: Auth): Caller => ({ auth: { internalCredentials } });

const session = createSessionAuthInterceptor({
  cookie: "session",
  header: "x-session",
  verifySession: (token) => sessions.get(token),
  mapSession: ({ user: subject }) => ({
    subject,
    roles: [],
    scopes: [],
    claims: {},
    type: "session",
  }),
});
const bearerSession = createSessionAuthInterceptor({
  verifySession: (token) => sessions.get(token),
  mapSession: ({ user: subject }) => ({
    subject,
    roles: [],
    scopes: [],
    claims: {},
    type: "session",
  }),
});
const gateway = createGatewayAuthInterceptor({ trustSource: { expectedValues: [gatewaySecret] } });
const jwt = createJwtAuthInterceptor({ secret: testSecret });

const oauth = (resource: "orders" | "opaque", dpop: boolean) => {
  const { clientId, clientSecret } = authorizationServer.clients.basic;
  return clientCredentials({
    issuer: authorizationServer.issuer,
    clientId,
    clientSecret,
    resource: authorizationServer.resources[resource],
    dpop,
  });
};

const pairings: readonly Pairing[] = [
  {
    name: "Auth.jwt with createJwtAuthInterceptor",
    kind: "authenticated",
    authenticator: () => jwt,
    good: async () => user(Auth.jwt(await createTestToken({ sub: "alice" }))),
    bad: async () => user(Auth.jwt(`${await createTestToken()}AAAA`)),
    caller: "alice by jwt",
    refusal: "invalid token",
  },
  {
    name: "createClientBearerInterceptor with createJwtAuthInterceptor",
    kind: "authenticated",
    authenticator: () => jwt,
    good: async () => {
      const token = await createTestToken({ sub: "alice" });
      return { interceptor: createClientBearerInterceptor({ token: async () => token }) };
    },
    bad: () => ({ interceptor: createClientBearerInterceptor({ token: "no-token" }) }),
    caller: "alice by jwt",
    refusal: "invalid token",
  },
  {
    name: "Auth.session with createSessionAuthInterceptor and a cookie",
    kind: "authenticated",
    authenticator: () => session,
    good: () => user(Auth.session("the-session-of-alice", { cookie: "session" })),
    bad: () => user(Auth.session("another-session", { cookie: "session" })),
    caller: "alice by session",
    refusal: "invalid credentials",
  },
  {
    name: "Auth.session with createSessionAuthInterceptor and a header",
    kind: "authenticated",
    authenticator: () => session,
    good: () => user(Auth.session("the-session-of-alice", { header: "x-session" })),
    bad: () => user(Auth.session("another-session", { header: "x-session" })),
    caller: "alice by session",
    refusal: "invalid credentials",
  },
  {
    name: "createClientBearerInterceptor with createSessionAuthInterceptor",
    kind: "authenticated",
    authenticator: () => bearerSession,
    good: () => ({
      interceptor: createClientBearerInterceptor({ token: "the-session-of-alice" }),
    }),
    bad: () => ({ interceptor: createClientBearerInterceptor({ token: "another-session" }) }),
    caller: "alice by session",
    refusal: "invalid credentials",
  },
  {
    name: "Auth.gateway with createGatewayAuthInterceptor",
    kind: "authenticated",
    authenticator: () => gateway,
    good: () => user(Auth.gateway({ secret: gatewaySecret, subject: "alice", roles: ["user"] })),
    bad: () => user(Auth.gateway({ secret: "another", subject: "alice", roles: ["user"] })),
    caller: "alice by gateway",
    refusal: "invalid credentials",
  },
  {
    name: "createClientGatewayInterceptor with createGatewayAuthInterceptor",
    kind: "authenticated",
    authenticator: () => gateway,
    good: () => ({
      interceptor: createClientGatewayInterceptor({ secret: gatewaySecret, subject: "alice" }),
    }),
    bad: () => ({
      interceptor: createClientGatewayInterceptor({ secret: "another", subject: "alice" }),
    }),
    caller: "alice by gateway",
    refusal: "invalid credentials",
  },
  {
    name: "clientCredentials with DPoP with createJwtAuthInterceptor and dpop",
    kind: "authenticated",
    authenticator: (baseUrl) =>
      createJwtAuthInterceptor({
        jwksUri: authorizationServer.jwksUri,
        issuer: authorizationServer.issuer,
        audience: authorizationServer.resources.orders,
        dpop: { publicOrigins: [baseUrl], required: true },
      }),
    good: () => user(oauth("orders", true)),
    bad: () => user(oauth("orders", false)),
    caller: "basic by jwt",
    refusal: "invalid token",
  },
  {
    name: "clientCredentials with createIntrospectionAuthInterceptor",
    kind: "authenticated",
    authenticator: () => introspection(),
    good: () => user(oauth("opaque", false)),
    bad: () => user(Auth.bearer("a-token-that-was-never-issued")),
    caller: "basic by introspection-client",
    refusal: "invalid token",
  },
  {
    name: "clientCredentials with DPoP with createIntrospectionAuthInterceptor and dpop",
    kind: "authenticated",
    authenticator: (baseUrl) => introspection({ dpop: { publicOrigins: [baseUrl] } }),
    good: () => user(oauth("opaque", true)),
    bad: () => user(Auth.bearer("a-token-that-was-never-issued")),
    caller: "basic by introspection-client",
    refusal: "invalid token",
  },
  {
    name: "a proxy of the mesh with meshIdentityTrust",
    kind: "internal",
    authenticator: () => meshIdentityTrust({ allowlist: [{ principal }] }),
    good: () => service(Auth.header("x-forwarded-client-principal", principal)),
    bad: () => service(Auth.header("x-forwarded-client-principal", `${principal}-2`)),
    caller: `${principal} by mesh`,
    refusal: "invalid credentials",
  },
  {
    name: "a service token with signedTokenTrust",
    kind: "internal",
    authenticator: () =>
      signedTokenTrust({
        issuers: { [issuer.issuer]: { jwksUri: issuer.jwksUri, audience: api } },
      }),
    good: async () =>
      service(
        Auth.header(
          "x-internal-token",
          await issuer.createToken({ sub: "indexer" }, { audience: api }),
        ),
      ),
    bad: async () =>
      service(
        Auth.header(
          "x-internal-token",
          await issuer.createToken({ sub: "indexer" }, { audience: `${api}/other` }),
        ),
      ),
    caller: "indexer by service",
    refusal: "invalid token",
  },
  {
    name: "a shared secret with sharedSecretTrust",
    kind: "internal",
    authenticator: () => sharedSecretTrust({ secret: serviceSecret, subject: "indexer" }),
    good: () => service(Auth.header("x-internal-secret", serviceSecret)),
    bad: () => service(Auth.header("x-internal-secret", `${serviceSecret}.`)),
    caller: "indexer by secret",
    refusal: "invalid credentials",
  },
  {
    name: "Auth.gateway with createGatewayAuthInterceptor, for services",
    kind: "internal",
    authenticator: () => gateway,
    good: () => service(Auth.gateway({ secret: gatewaySecret, subject: "indexer", roles: [] })),
    bad: () => service(Auth.gateway({ secret: "another", subject: "indexer", roles: [] })),
    caller: "indexer by gateway",
    refusal: "invalid credentials",
  },
];

function introspection(options: { dpop?: { publicOrigins: string[] } } = {}) {
  const { clientId, clientSecret } = authorizationServer.clients.basic;
  return createIntrospectionAuthInterceptor({
    issuer: authorizationServer.issuer,
    introspectionEndpoint: authorizationServer.introspectionEndpoint,
    clientId,
    clientSecret,
    audience: authorizationServer.resources.opaque,
    ...options,
  });
}

/** Nobody gets in here. */
const closed = createJwtAuthInterceptor({ secret: "a secret that nobody signs with, ever" });

describe.each(pairings)("$name", (pairing) => {
  const { kind } = pairing;

  describe.each(protocols)("over $name", (protocol) => {
    let server: RecordingServer;
    const callers: string[] = [];

    beforeAll(async () => {
      const chain: Interceptor[] = [];
      server = await startRecordingServer({
        httpVersion: protocol.httpVersion,
        interceptors: [
          // made when the server has its origin
          (next) => (req) => (chain[0]?.(next) ?? next)(req),
          (next) => (req) => {
            const { subject, type } = req.contextValues.get(authContextKey) ?? {};
            callers.push(`${subject} by ${type}`);
            return next(req);
          },
        ],
      });
      const by = pairing.authenticator(server.baseUrl);
      const auth = createServerAuth({
        policies: [MatrixServicePolicies],
        authenticate: kind === "internal" ? closed : by,
        internal: kind === "internal" ? by : closed,
      });
      chain.push(...auth.interceptors);
      expect(chain).toHaveLength(1);
    });
    afterAll(() => server.close());

    const clientOf = ({ auth = {}, interceptor }: Caller) =>
      createMatrixClient(
        protocol,
        { baseUrl: server.baseUrl, ...(interceptor && { interceptors: [interceptor] }) },
        // the interceptors of the seeds bring their own, for which the client has none
        interceptor ? { credentials: Auth.none(), internalCredentials: Auth.none() } : auth,
      );

    test.each(protocol.streams)("lets the right caller pass, %s", async (stream) => {
      callers.length = 0;
      await callMatrix(clientOf(await pairing.good()), kind, stream);
      expect(callers).toEqual([pairing.caller]);
    });

    test.each(protocol.streams)("refuses a wrong credential, %s", async (stream) => {
      callers.length = 0;
      await expect(callMatrix(clientOf(await pairing.bad()), kind, stream)).rejects.toMatchObject({
        code: Code.Unauthenticated,
        rawMessage: pairing.refusal,
      });
      expect(callers).toEqual([]);
    });
  });
});
