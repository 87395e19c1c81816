import { Code, ConnectError } from "@connectrpc/connect";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { Auth } from "../../src/index.js";
import {
  clientCredentials,
  clientSecretPost,
  createAuthClient,
  privateKeyJwt,
  refreshToken,
  tlsClientAuth,
} from "../../src/oauth/index.js";
import {
  createIntrospectionAuthInterceptor,
  type DpopOptions,
  type IntrospectionAuthInterceptorOptions,
} from "../../src/server/index.js";
import {
  startAuthorizationServer,
  type TestAuthorizationServer,
} from "../support/authorization-server.js";
import { incomingCall } from "../support/incoming-call.js";
import { createTlsFetch } from "../support/mutual-tls.js";
import { type ProtectedApi, startProtectedApi } from "../support/protected-api.js";
import { watchSecrets } from "../support/secrets.js";
import { callMatrix, createMatrixClient, protocols } from "../wire/protocols.js";
import { caller, connectOverHttp1, connectOverHttp2 } from "./unary-calls.js";

const secrets = watchSecrets();
let authorizationServer: TestAuthorizationServer;
/** The tokens that were asked about, in order. */
let introspected: (string | null)[];
beforeAll(async () => {
  authorizationServer = await startAuthorizationServer();
});
afterAll(() => authorizationServer.close());
beforeEach(() => {
  introspected = [];
});
afterEach(() => {
  vi.useRealTimers();
});

/** Options of an API whose client at the authorization server is `post`, and that finds it by its issuer. */
function apiOptions(): IntrospectionAuthInterceptorOptions {
  const { issuer, clients, resources } = authorizationServer;
  const { clientId, clientSecret } = clients.post;
  return {
    issuer,
    clientId,
    clientAuthentication: clientSecretPost(secrets.hide(clientSecret)),
    audience: resources.opaque,
    fetch: (url, init) => {
      if (url === authorizationServer.introspectionEndpoint) {
        introspected.push(new URLSearchParams(String(init.body)).get("token"));
      }
      return fetch(url, init);
    },
  };
}

function startApi(
  httpVersion: "1.1" | "2",
  dpop?: Omit<DpopOptions, "publicOrigins">,
): Promise<ProtectedApi> {
  const authenticateAt = (origin: string) =>
    createIntrospectionAuthInterceptor({
      ...apiOptions(),
      ...(dpop && { dpop: { publicOrigins: [origin], ...dpop } }),
    });
  return startProtectedApi({ httpVersion, authorizationServer, authenticateAt });
}

/** How a service gets opaque tokens. */
function serviceOptions(dpop = false) {
  const { issuer, clients, resources } = authorizationServer;
  return { issuer, ...clients.basic, resource: resources.opaque, scope: "orders:read", dpop };
}

/** How a user's application gets them. */
async function createUserCredentials() {
  const { issuer, clients, resources } = authorizationServer;
  const { clientId } = clients.basic;
  return refreshToken({
    issuer,
    ...clients.basic,
    refreshToken: await authorizationServer.createRefreshToken({
      clientId,
      scope: "orders:read",
      resources: [resources.opaque],
    }),
  });
}

async function revoke(token: string): Promise<void> {
  const { clientId, clientSecret } = authorizationServer.clients.basic;
  const { status } = await fetch(authorizationServer.revocationEndpoint, {
    method: "POST",
    headers: { authorization: `Basic ${btoa(`${clientId}:${encodeURIComponent(clientSecret)}`)}` },
    body: new URLSearchParams({ token }),
  });
  expect(status).toBe(200);
}

describe.each(protocols)("opaque tokens over $name", (protocol) => {
  let api: ProtectedApi;
  let bound: ProtectedApi;
  beforeAll(async () => {
    api = await startApi(protocol.httpVersion);
    bound = await startApi(protocol.httpVersion, { required: true });
  });
  afterAll(() => Promise.all([api.close(), bound.close()]));
  beforeEach(() => {
    for (const { calls, requests } of [api, bound]) {
      calls.length = 0;
      requests.length = 0;
    }
  });

  test.each(protocol.streams)("tell who calls, %s, and are asked about once", async (stream) => {
    const credentials = clientCredentials(serviceOptions());
    const client = createMatrixClient(protocol, { baseUrl: api.baseUrl }, { credentials });
    await callMatrix(client, "authenticated", stream);
    await callMatrix(client, "authenticated", stream);
    expect(api.calls).toEqual(["POST by basic", "POST by basic"]);
    expect(introspected).toEqual([api.requests[0]?.token]);
    expect(introspected[0]).toMatch(/^[\w-]+$/); // opaque
  });

  test.each(protocol.streams)("that are not known are refused, %s", async (stream) => {
    const credentials = Auth.bearer(secrets.hide("nobody-issued-this"));
    const client = createMatrixClient(protocol, { baseUrl: api.baseUrl }, { credentials });
    const error = await secrets.failure(callMatrix(client, "authenticated", stream));
    expect(error).toMatchObject({ code: Code.Unauthenticated, rawMessage: "invalid token" });
    expect(ConnectError.from(error).metadata.get("www-authenticate")).toBe(
      'Bearer error="invalid_token"',
    );
    expect(api.calls).toEqual([]);
  });

  test.each(protocol.streams)("that are bound to a key pass with proofs, %s", async (stream) => {
    const credentials = clientCredentials(serviceOptions(true));
    const client = createMatrixClient(protocol, { baseUrl: bound.baseUrl }, { credentials });
    await callMatrix(client, "authenticated", stream);
    await callMatrix(client, "authenticated", stream);
    expect(bound.calls).toEqual(["POST by basic", "POST by basic"]);
    expect(bound.requests.map(({ scheme }) => scheme)).toEqual(["DPoP", "DPoP"]);
    expect(introspected).toEqual([bound.requests[0]?.token]);
  });
});

describe("a token", () => {
  let api: ProtectedApi;
  beforeAll(async () => {
    api = await startApi("2");
  });
  afterAll(() => api.close());
  beforeEach(() => {
    api.restart();
    api.calls.length = 0;
  });
  const callWith = (credentials: Parameters<typeof caller>[2]) =>
    caller(api, connectOverHttp2, credentials)();
  const refused = { code: Code.Unauthenticated, rawMessage: "invalid token" };

  test("of a user is that of the user", async () => {
    await callWith(await createUserCredentials());
    expect(api.calls).toEqual(["POST by alice"]);
  });

  test("that is revoked passes for one ttl at most", async () => {
    vi.useFakeTimers({ toFake: ["Date"] });
    const { access_token } = await createAuthClient(serviceOptions()).getToken();
    const call = () => callWith(Auth.bearer(secrets.hide(access_token)));
    await call();
    await revoke(access_token);
    vi.setSystemTime(Date.now() + 29_000);
    await call();
    vi.setSystemTime(Date.now() + 1_000);
    expect(await secrets.failure(call())).toMatchObject(refused);
    expect(api.calls).toHaveLength(2);
    expect(introspected).toHaveLength(2);
  });

  test("that is revoked is fetched anew by a client that can", async () => {
    const credentials = clientCredentials(serviceOptions());
    await callWith(credentials);
    await revoke(api.requests.at(-1)?.token ?? "");
    api.restart();
    await callWith(credentials);
    expect(new Set(introspected).size).toBe(2);
    expect(api.calls).toEqual(["POST by basic", "POST by basic"]);
  });

  test("that has expired is refused", async () => {
    vi.useFakeTimers({ toFake: ["Date"] });
    const { access_token, expires_at } = await createAuthClient(serviceOptions()).getToken();
    vi.setSystemTime(expires_at * 1000);
    expect(await secrets.failure(callWith(Auth.bearer(access_token)))).toMatchObject(refused);
  });

  test("for another API is refused", async () => {
    const { access_token } = await createAuthClient({
      ...serviceOptions(),
      resource: authorizationServer.resources.orders,
    }).getToken();
    // a JWT: this authorization server says nothing about it
    expect(await secrets.failure(callWith(Auth.bearer(access_token)))).toMatchObject(refused);
    expect(introspected).toEqual([access_token]);
  });

  test("that refreshes others is refused, also as an active one", async () => {
    const { clients, resources } = authorizationServer;
    const { clientId } = clients.basic;
    const given = await authorizationServer.createRefreshToken({
      clientId,
      scope: "orders:read",
      resources: [resources.opaque],
    });
    expect(await secrets.failure(callWith(Auth.bearer(secrets.hide(given))))).toMatchObject(
      refused,
    );
    expect(introspected).toEqual([given]);
    const interceptor = createIntrospectionAuthInterceptor(apiOptions());
    const call = incomingCall({ authorization: `Bearer ${given}` });
    expect(await secrets.failure(interceptor.authenticate(call))).toMatchObject({
      ...refused,
      cause: new Error('token: "aud" is missing; audience: false accepts that'),
    });
  });

  test("that is bound to a key is refused as Bearer, with or without dpop", async () => {
    const { access_token } = await createAuthClient(serviceOptions(true)).getToken();
    const credentials = Auth.bearer(secrets.hide(access_token));
    expect(await secrets.failure(callWith(credentials))).toMatchObject(refused);
    const bound = await startApi("1.1", { nonces: true });
    try {
      const call = caller(bound, connectOverHttp1, credentials);
      expect(await secrets.failure(call())).toMatchObject(refused);
      await caller(bound, connectOverHttp1, clientCredentials(serviceOptions(true)))();
      expect(bound.calls).toEqual(["POST by basic"]);
    } finally {
      await bound.close();
    }
  });
});

describe("an API proves who it is", () => {
  async function opaqueToken(): Promise<string> {
    return (await createAuthClient(serviceOptions()).getToken()).access_token;
  }

  test("with a signed assertion", async () => {
    const { issuer, introspectionEndpoint, clients, resources } = authorizationServer;
    const { clientId, privateKey, kid } = clients.privateKeyJwt;
    const interceptor = createIntrospectionAuthInterceptor({
      issuer,
      introspectionEndpoint,
      clientId,
      clientAuthentication: privateKeyJwt({ key: privateKey, kid }),
      audience: resources.opaque,
    });
    const call = incomingCall({ authorization: `Bearer ${await opaqueToken()}` });
    expect(await interceptor.authenticate(call)).toMatchObject({
      subject: "basic",
      type: "introspection-client",
      scopes: ["orders:read"],
    });
  });

  test("with a certificate", async () => {
    const tls = await startAuthorizationServer({ tls: true });
    try {
      const { clientId, certificate } = tls.clients.mutualTls;
      const token = await createAuthClient({
        issuer: tls.issuer,
        ...tls.clients.basic,
        resource: tls.resources.opaque,
        fetch: createTlsFetch(),
      }).getToken();
      const interceptor = createIntrospectionAuthInterceptor({
        issuer: tls.issuer,
        clientId,
        clientAuthentication: tlsClientAuth(),
        audience: tls.resources.opaque,
        fetch: createTlsFetch(certificate),
      });
      const call = incomingCall({ authorization: `Bearer ${token.access_token}` });
      expect(await interceptor.authenticate(call)).toMatchObject({ subject: "basic" });
    } finally {
      await tls.close();
    }
  });

  test("and nobody passes where it does not", async () => {
    const interceptor = createIntrospectionAuthInterceptor({
      ...apiOptions(),
      clientAuthentication: clientSecretPost(secrets.hide("the wrong secret")),
    });
    const call = incomingCall({ authorization: `Bearer ${await opaqueToken()}` });
    expect(await secrets.failure(interceptor.authenticate(call))).toMatchObject({
      code: Code.Unavailable,
      rawMessage: "credentials cannot be verified at the moment",
      cause: new Error(
        `introspection: ${authorizationServer.introspectionEndpoint} answered HTTP 401: it does not accept this server; check clientId, the secret or key, and clientAuthentication`,
      ),
    });
  });
});
