import { Code } from "@connectrpc/connect";
import { decodeJwt, generateKeyPair } from "jose";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import {
  type ClientAuthentication,
  clientSecretBasic,
  clientSecretPost,
  privateKeyJwt,
  publicClient,
  tlsClientAuth,
} from "../../src/oauth/index.js";
import {
  createIntrospectionAuthInterceptor,
  type IntrospectionAuthInterceptorOptions,
} from "../../src/server/index.js";
import { type HttpAnswer, startHttpServer, type TestHttpServer } from "../support/http-server.js";
import { incomingCall } from "../support/incoming-call.js";
import { watchSecrets } from "../support/secrets.js";

const clientId = "orders api";
const token = "2YotnFZFEjr1zCsicMWpAA";
const secrets = watchSecrets();
const clientSecret = secrets.hide("the secret: of the API");
secrets.hide(token);

const oauth = "/.well-known/oauth-authorization-server";
const oidc = "/.well-known/openid-configuration";
const active = { active: true, sub: "alice", aud: clientId };

/** What is answered at a path; other paths are not found. */
const answers = new Map<string, HttpAnswer>();
let server: TestHttpServer;
beforeEach(async () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  answers.clear();
  server = await startHttpServer(
    ({ path }) => answers.get(path.replace(/\?.*/, "")) ?? { status: 404 },
  );
  answers.set("/introspect", { body: active });
});
afterEach(async () => {
  vi.useRealTimers();
  await server.close();
});

function createInterceptor(options: Partial<IntrospectionAuthInterceptorOptions>) {
  const authentication = options.clientAuthentication === undefined ? { clientSecret } : {};
  return createIntrospectionAuthInterceptor({ clientId, ...authentication, ...options });
}

function call(interceptor: ReturnType<typeof createInterceptor>, given = token) {
  return interceptor.authenticate(incomingCall({ authorization: `Bearer ${given}` }));
}

const paths = () => server.requests.map(({ path }) => path);

describe("a request to the introspection endpoint", () => {
  const basic = (id: string, secret: string) =>
    `Basic ${Buffer.from(`${id}:${secret}`).toString("base64")}`;
  const encoded = basic("orders+api", "the+secret%3A+of+the+API");
  test.each<{
    name: string;
    clientAuthentication?: ClientAuthentication;
    authorization: string | null;
    form?: Record<string, string>;
  }>([
    { name: "the secret in a header by default", authorization: encoded },
    {
      name: "the same by name",
      clientAuthentication: clientSecretBasic(clientSecret),
      authorization: encoded,
    },
    {
      name: "the secret as it is",
      clientAuthentication: clientSecretBasic(clientSecret, { raw: true }),
      authorization: basic(clientId, clientSecret),
    },
    {
      name: "the secret in the body",
      clientAuthentication: clientSecretPost(clientSecret),
      authorization: null,
      form: { client_id: clientId, client_secret: clientSecret },
    },
    {
      name: "a name alone",
      clientAuthentication: publicClient(),
      authorization: null,
      form: { client_id: clientId },
    },
  ])("has $name", async ({ clientAuthentication, authorization, form = {} }) => {
    const interceptor = createInterceptor({
      introspectionEndpoint: `${server.baseUrl}/introspect?tenant=1`,
      ...(clientAuthentication && { clientAuthentication }),
    });
    expect(await call(interceptor)).toMatchObject({ subject: "alice" });
    expect(server.requests).toHaveLength(1);
    const [request] = server.requests;
    expect(request).toMatchObject({ method: "POST", path: "/introspect?tenant=1" });
    expect(request?.headers.get("accept")).toBe("application/json");
    expect(request?.headers.get("content-type")).toBe("application/x-www-form-urlencoded");
    expect(request?.headers.get("authorization")).toBe(authorization);
    expect(Object.fromEntries(new URLSearchParams(request?.body))).toEqual({
      token,
      token_type_hint: "access_token",
      ...form,
    });
  });

  test("has an assertion for the issuer, another one each time", async () => {
    const { privateKey } = await generateKeyPair("ES256");
    const interceptor = createInterceptor({
      introspectionEndpoint: `${server.baseUrl}/introspect`,
      issuer: "https://issuer.test/",
      clientAuthentication: privateKeyJwt({ key: privateKey }),
    });
    await call(interceptor, "one");
    await call(interceptor, "two");
    const assertions = server.requests.map(({ body }) =>
      decodeJwt(new URLSearchParams(body).get("client_assertion") ?? ""),
    );
    expect(assertions).toEqual([
      expect.objectContaining({ aud: "https://issuer.test/", iss: clientId, sub: clientId }),
      expect.objectContaining({ aud: "https://issuer.test/", iss: clientId, sub: clientId }),
    ]);
    expect(new Set(assertions.map(({ jti }) => jti)).size).toBe(2);
  });

  test("is made by the fetch that was given", async () => {
    const seen: [string, RequestInit][] = [];
    const interceptor = createInterceptor({
      introspectionEndpoint: "https://issuer.test/introspect",
      fetch: async (url, init) => {
        seen.push([url, init]);
        return Response.json(active);
      },
    });
    expect(await call(interceptor)).toMatchObject({ subject: "alice" });
    expect(seen).toMatchObject([
      ["https://issuer.test/introspect", { method: "POST", redirect: "manual" }],
    ]);
  });

  test("is made once more where the connection broke", async () => {
    const bodies: string[] = [];
    const interceptor = createInterceptor({
      introspectionEndpoint: "https://issuer.test/introspect",
      fetch: async (_url, init) => {
        if (bodies.push(String(init.body)) === 1) {
          throw new TypeError("fetch failed");
        }
        return Response.json(active);
      },
    });
    expect(await call(interceptor)).toMatchObject({ subject: "alice" });
    expect(bodies).toHaveLength(2);
  });
});

describe("a request that cannot be made", () => {
  const introspectionEndpoint = "https://issuer.test/introspect";
  const failing = () => Promise.reject(new Error(`${clientSecret} and ${token}`));
  const hanging = () => new Promise<never>(() => {});
  const authentication = (authenticate: ClientAuthentication["authenticate"]) => ({
    clientAuthentication: { method: "own", authenticate },
  });

  test.each<{
    name: string;
    options: Partial<IntrospectionAuthInterceptorOptions>;
    reason: string;
  }>([
    {
      name: "the client's proof fails",
      options: authentication(failing),
      reason: "no request could be made",
    },
    {
      name: "the client's proof takes too long",
      options: { ...authentication(hanging), timeoutMs: 50 },
      reason: "no answer in time",
    },
    {
      name: "its fetch fails",
      options: { fetch: failing },
      reason: `no answer from ${introspectionEndpoint}`,
    },
    {
      name: "its fetch knows no signals",
      options: { fetch: hanging, timeoutMs: 50 },
      reason: `no answer from ${introspectionEndpoint} in time`,
    },
    {
      name: "its metadata take too long",
      options: { issuer: "https://issuer.test", fetch: hanging, timeoutMs: 50 },
      reason: "no answer in time",
    },
  ])("because $name is no fault of the caller's", async ({ options, reason }) => {
    const endpoint = options.issuer === undefined ? { introspectionEndpoint } : {};
    const interceptor = createInterceptor({ ...endpoint, ...options });
    expect(await secrets.failure(call(interceptor))).toMatchObject({
      code: Code.Unavailable,
      rawMessage: "credentials cannot be verified at the moment",
      cause: new Error(`introspection: ${reason}`),
    });
  });
});

describe("discovery", () => {
  const metadata = () => ({
    issuer: server.baseUrl,
    token_endpoint: `${server.baseUrl}/token`,
    introspection_endpoint: `${server.baseUrl}/introspect`,
  });

  test("asks for the metadata of the issuer when the first token comes, and once", async () => {
    answers.set(oauth, { body: metadata() });
    const interceptor = createInterceptor({ issuer: server.baseUrl });
    expect(paths()).toEqual([]);
    await Promise.all(["one", "two", "three"].map((given) => call(interceptor, given)));
    expect(paths()).toEqual([oauth, "/introspect", "/introspect", "/introspect"]);
  });

  test("goes on to the document of OpenID Connect", async () => {
    answers.set(oidc, { body: metadata() });
    await call(createInterceptor({ issuer: server.baseUrl }));
    expect(paths()).toEqual([oauth, oidc, "/introspect"]);
  });

  test("is not needed where the endpoint is given", async () => {
    const introspectionEndpoint = `${server.baseUrl}/introspect`;
    await call(createInterceptor({ issuer: server.baseUrl, introspectionEndpoint }));
    expect(paths()).toEqual(["/introspect"]);
  });

  test.each([
    {
      name: "the endpoint for mutual TLS for a client with a certificate",
      clientAuthentication: tlsClientAuth(),
      aliases: ["/mtls"],
      path: "/mtls",
    },
    {
      name: "the usual one for it where there is no other",
      clientAuthentication: tlsClientAuth(),
      aliases: [],
      path: "/introspect",
    },
    {
      name: "the usual one for other clients",
      clientAuthentication: clientSecretBasic(clientSecret),
      aliases: ["/mtls"],
      path: "/introspect",
    },
  ])("takes $name", async ({ clientAuthentication, aliases, path }) => {
    const [alias] = aliases.map((name) => ({
      introspection_endpoint: `${server.baseUrl}${name}`,
      token_endpoint: `${server.baseUrl}/token`,
    }));
    answers.set(oauth, { body: { ...metadata(), mtls_endpoint_aliases: alias } });
    answers.set("/mtls", { body: active });
    await call(createInterceptor({ issuer: server.baseUrl, clientAuthentication }));
    expect(paths()).toEqual([oauth, path]);
  });

  test.each<{ name: string; document: () => HttpAnswer; reason: () => string }>([
    {
      name: "of another issuer",
      document: () => ({ body: { ...metadata(), issuer: "https://evil.test" } }),
      reason: () => `the metadata are not those of ${server.baseUrl}/`,
    },
    {
      name: "without an introspection endpoint",
      document: () => ({ body: { ...metadata(), introspection_endpoint: undefined } }),
      reason: () => `the metadata of ${server.baseUrl} name no introspection endpoint with https`,
    },
    {
      name: "with one on plain http",
      document: () => ({
        body: { ...metadata(), introspection_endpoint: "http://issuer.test/introspect" },
      }),
      reason: () => `the metadata of ${server.baseUrl} name no introspection endpoint with https`,
    },
    {
      name: "with one that is no URL",
      document: () => ({ body: { ...metadata(), introspection_endpoint: "/introspect" } }),
      reason: () => `the metadata of ${server.baseUrl} name no introspection endpoint with https`,
    },
    {
      name: "with one that is no text",
      document: () => ({ body: { ...metadata(), introspection_endpoint: [1] } }),
      reason: () => `the metadata of ${server.baseUrl} name no introspection endpoint with https`,
    },
    {
      name: "that are not there",
      document: () => ({ status: 404 }),
      reason: () => `the metadata of ${server.baseUrl} name no introspection endpoint with https`,
    },
    {
      name: "of a server that fails",
      document: () => ({ status: 500 }),
      reason: () => `the metadata of ${server.baseUrl}/ answered HTTP 500`,
    },
    {
      name: "that are elsewhere",
      document: () => ({ status: 302, headers: { location: `${server.baseUrl}/x` } }),
      reason: () => `${server.baseUrl}${oauth} redirects, which is not followed`,
    },
  ])("refuses metadata $name, and asks again after a while", async ({ document, reason }) => {
    answers.set(oauth, document());
    const interceptor = createInterceptor({ issuer: server.baseUrl });
    expect(await secrets.failure(call(interceptor))).toMatchObject({
      code: Code.Unavailable,
      rawMessage: "credentials cannot be verified at the moment",
      cause: new Error(`introspection: ${reason()}`),
    });
    const asked = paths();
    expect(await secrets.failure(call(interceptor, "other"))).toMatchObject({
      code: Code.Unavailable,
      cause: new Error("introspection: the endpoint failed and is not asked again yet"),
    });
    expect(paths()).toEqual(asked);
    answers.set(oauth, { body: metadata() });
    vi.setSystemTime(Date.now() + 5000);
    expect(await call(interceptor)).toMatchObject({ subject: "alice" });
  });

  test("is made anew where the endpoint is not there any more", async () => {
    answers.set(oauth, { body: metadata() });
    const interceptor = createInterceptor({ issuer: server.baseUrl });
    await call(interceptor, "one");
    answers.set("/moved", answers.get("/introspect") ?? {});
    answers.delete("/introspect");
    answers.set(oauth, {
      body: { ...metadata(), introspection_endpoint: `${server.baseUrl}/moved` },
    });
    expect(await secrets.failure(call(interceptor, "two"))).toMatchObject({
      code: Code.Unavailable,
      cause: new Error(`introspection: ${server.baseUrl}/introspect answered HTTP 404`),
    });
    expect(await call(interceptor, "three")).toMatchObject({ subject: "alice" });
    expect(paths()).toEqual([oauth, "/introspect", "/introspect", oauth, "/moved"]);
  });
});
