import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { type AuthClientOptions, createAuthClient } from "../../src/oauth/index.js";
import {
  type ServedMetadata,
  startAuthorizationServer,
  type TestAuthorizationServer,
} from "../support/authorization-server.js";
import type { Fault } from "../support/faulty-server.js";
import { type HttpAnswer, startHttpServer, type TestHttpServer } from "../support/http-server.js";
import { watchSecrets } from "../support/secrets.js";

const oauth = "/.well-known/oauth-authorization-server";
const oidc = "/.well-known/openid-configuration";

const secrets = watchSecrets();
let as: TestAuthorizationServer;

beforeAll(async () => {
  as = await startAuthorizationServer();
});

afterEach(() => {
  as.metadata("both");
  as.discoveryFault(undefined);
});

afterAll(() => as.close());

/** A client, and what it asked for since. */
function setUp(options: Partial<AuthClientOptions> = {}) {
  const asked = as.discoveryRequests.length;
  const sent = as.requests.length;
  return {
    auth: createAuthClient({
      issuer: as.issuer,
      ...as.clients.basic,
      scope: "orders:read",
      resource: as.resources.orders,
      ...options,
    }),
    discovery: () => as.discoveryRequests.slice(asked),
    requests: () => as.requests.slice(sent).map(({ path }) => path),
  };
}

describe("finds the token endpoint", () => {
  test.each<{ name: string; served: ServedMetadata; asked: string[]; path: string }>([
    { name: "in the metadata of RFC 8414", served: "both", asked: [oauth], path: "/token" },
    { name: "in those of OpenID Connect", served: "oidc", asked: [oauth, oidc], path: "/token" },
    {
      name: "at the default path where there are none",
      served: "none",
      asked: [oauth, oidc],
      path: "/api/v1/auth/oauth/token",
    },
  ])("$name", async ({ served, asked, path }) => {
    as.metadata(served);
    const { auth, discovery, requests } = setUp();
    await auth.getToken();
    expect(discovery()).toEqual(asked);
    expect(requests()).toEqual([path]);
  });

  test("once for all tokens that are asked for at once", async () => {
    const { auth, discovery, requests } = setUp();
    await Promise.all(
      ["orders:read", "orders:write", "users:read"].map((scope) => auth.getToken({ scope })),
    );
    expect(discovery()).toEqual([oauth]);
    expect(requests()).toHaveLength(3);
  });
});

describe("goes on to the document of OpenID Connect", () => {
  const page = { headers: { "content-type": "text/html" }, body: "<html>" };
  test.each<{ name: string; answer: HttpAnswer }>([
    ...[400, 401, 403, 405, 406, 410].map((status) => ({ name: `${status}`, answer: { status } })),
    { name: "a page", answer: page },
    { name: "a list", answer: { body: [] } },
  ])("after $name", async ({ answer }) => {
    const server = await startHttpServer(({ method, path }) => {
      if (method === "POST") {
        return { body: { access_token: "token", token_type: "Bearer" } };
      }
      const token_endpoint = `${server.baseUrl}/token`;
      return path === oidc ? { body: { issuer: server.baseUrl, token_endpoint } } : answer;
    });
    try {
      const { auth } = setUp({ issuer: server.baseUrl });
      expect(await auth.getToken()).toMatchObject({ access_token: "token" });
      expect(server.requests.map(({ path }) => path)).toEqual([oauth, oidc, "/token"]);
    } finally {
      await server.close();
    }
  });

  test.each([408, 429, 500])("not after %i", async (status) => {
    const server = await startHttpServer(() => ({ status }));
    try {
      const { auth } = setUp({ issuer: server.baseUrl });
      expect(await secrets.failure(auth.getToken())).toMatchObject({
        code: "http_error",
        status,
        message: `the metadata of ${server.baseUrl}/ answered HTTP ${status}`,
      });
      expect(server.requests.map(({ path }) => path)).toEqual([oauth]);
    } finally {
      await server.close();
    }
  });

  test.each([
    { first: 404, second: 403 },
    { first: 403, second: 404 },
  ])("and the default path is for 404 only: $first and $second", async ({ first, second }) => {
    const server = await startHttpServer(({ path }) => ({
      status: path === oauth ? first : second,
    }));
    try {
      const { auth } = setUp({ issuer: server.baseUrl });
      expect(await secrets.failure(auth.getToken())).toMatchObject({
        code: "http_error",
        status: 403,
        message: `the metadata of ${server.baseUrl}/ answered HTTP 403`,
      });
      expect(server.requests.map(({ path }) => path)).toEqual([oauth, oidc]);
    } finally {
      await server.close();
    }
  });
});

describe("the default path", () => {
  const defaultPath = "/api/v1/auth/oauth/token";

  test("never takes the place of metadata that were found", async () => {
    let time = Date.now();
    const { auth, discovery, requests } = setUp({ now: () => new Date(time) });
    const renew = () => auth.getToken({ forceRefresh: true });
    await renew();
    as.metadata("none");
    time += 3_601_000;
    await renew();
    await vi.waitUntil(async () => {
      time += 61_000;
      await renew();
      return discovery().length >= 5;
    }, 10_000);
    expect(discovery().slice(0, 5)).toEqual([oauth, oauth, oidc, oauth, oidc]);
    expect([...new Set(requests())]).toEqual(["/token"]);
  });

  test("is found out again after a minute", async () => {
    let time = Date.now();
    as.metadata("none");
    const { auth, discovery, requests } = setUp({ now: () => new Date(time) });
    const renew = () => auth.getToken({ forceRefresh: true });
    await renew();
    time += 59_000;
    await renew();
    expect(discovery()).toEqual([oauth, oidc]);
    as.metadata("both");
    time += 2000;
    await renew();
    expect(discovery()).toEqual([oauth, oidc, oauth]);
    expect(requests()).toEqual([defaultPath, defaultPath, "/token"]);
  });

  test("is found out again where there is no endpoint", async () => {
    let time = Date.now();
    let isUp = false;
    const server = await startHttpServer(({ method, path }) => {
      if (!isUp || path === defaultPath) {
        return { status: 404 };
      }
      return method === "POST"
        ? { body: { access_token: "token", token_type: "Bearer" } }
        : { body: { issuer: server.baseUrl, token_endpoint: `${server.baseUrl}/token` } };
    });
    try {
      const { auth } = setUp({ issuer: server.baseUrl, now: () => new Date(time) });
      expect(await secrets.failure(auth.getToken())).toMatchObject({
        code: "http_error",
        status: 404,
        message: `the token endpoint ${server.baseUrl}${defaultPath} answered HTTP 404`,
      });
      isUp = true;
      time += 2000;
      expect(await auth.getToken()).toMatchObject({ access_token: "token" });
      expect(server.requests.map(({ path }) => path)).toEqual([
        ...[oauth, oidc, defaultPath],
        ...[oauth, "/token"],
      ]);
    } finally {
      await server.close();
    }
  });
});

describe("for an issuer with a path", () => {
  const documents = new Map<string, object>();
  let server: TestHttpServer;
  beforeAll(async () => {
    server = await startHttpServer(({ method, path }) => {
      if (method === "POST") {
        return { body: { access_token: "token", token_type: "Bearer" } };
      }
      const document = documents.get(path);
      return document ? { body: document } : { status: 404 };
    });
  });
  afterEach(() => {
    documents.clear();
    server.requests.length = 0;
  });
  afterAll(() => server.close());

  test.each([
    {
      name: "the path comes after that of the document",
      issuer: "/tenants/1",
      at: `${oauth}/tenants/1`,
      asked: [`${oauth}/tenants/1`, "/token"],
    },
    {
      name: "a slash at its end does not count",
      issuer: "/tenants/1/",
      at: `${oauth}/tenants/1`,
      asked: [`${oauth}/tenants/1`, "/token"],
    },
    {
      name: "it comes before that of OpenID Connect",
      issuer: "/tenants/1",
      at: `/tenants/1${oidc}`,
      asked: [`${oauth}/tenants/1`, `/tenants/1${oidc}`, "/token"],
    },
    {
      name: "the default path comes after it",
      issuer: "/tenants/1/",
      at: "/elsewhere",
      asked: [`${oauth}/tenants/1`, `/tenants/1${oidc}`, "/tenants/1/api/v1/auth/oauth/token"],
    },
  ])("$name", async ({ issuer, at, asked }) => {
    documents.set(at, {
      issuer: server.baseUrl + issuer,
      token_endpoint: `${server.baseUrl}/token`,
    });
    const { auth } = setUp({ issuer: server.baseUrl + issuer });
    expect(await auth.getToken()).toMatchObject({ access_token: "token" });
    expect(server.requests.map(({ path }) => path)).toEqual(asked);
  });
});

describe("refuses metadata", () => {
  test.each<{ name: string; served: object; code: string; message: string }>([
    {
      name: "of another issuer",
      served: { issuer: "https://other.test" },
      code: "issuer_mismatch",
      message: "the metadata are not those of ISSUER",
    },
    {
      name: "of an issuer with another path",
      served: { issuer: "SELF/tenant" },
      code: "issuer_mismatch",
      message: "the metadata are not those of ISSUER",
    },
    {
      name: "without issuer",
      served: { token_endpoint: "https://other.test/" },
      code: "invalid_response",
      message: "no metadata of ISSUER in the answer",
    },
    {
      name: "whose issuer is no URL",
      served: { issuer: "other" },
      code: "invalid_response",
      message: "no metadata of ISSUER in the answer",
    },
    {
      name: "that are a list",
      served: [],
      code: "invalid_response",
      message: "no metadata of ISSUER in the answer",
    },
    {
      name: "without a token endpoint",
      served: { issuer: "SELF" },
      code: "invalid_response",
      message: "the metadata of ISSUER name no token endpoint",
    },
    {
      name: "whose token endpoint is no URL",
      served: { issuer: "SELF", token_endpoint: "/token" },
      code: "invalid_response",
      message: "the metadata of ISSUER name no token endpoint",
    },
    {
      name: "whose token endpoint is not https",
      served: { issuer: "SELF", token_endpoint: "http://auth.acme.dev/token" },
      code: "insecure_endpoint",
      message: "the metadata of ISSUER name a token endpoint without https",
    },
    {
      name: "whose token endpoint is a script",
      served: { issuer: "SELF", token_endpoint: "javascript:alert(1)" },
      code: "insecure_endpoint",
      message: "the metadata of ISSUER name a token endpoint without https",
    },
    {
      name: "whose token endpoint for certificates is not https",
      served: {
        issuer: "SELF",
        token_endpoint: "https://auth.acme.dev/token",
        mtls_endpoint_aliases: { token_endpoint: "http://auth.acme.dev/token" },
      },
      code: "insecure_endpoint",
      message: "the metadata of ISSUER name a token endpoint without https",
    },
  ])("$name", async ({ served, code, message }) => {
    as.metadata(JSON.parse(JSON.stringify(served).replaceAll("SELF", as.issuer)));
    const posted: string[] = [];
    const { auth, requests } = setUp({
      fetch: (url, init) => {
        if (init.method === "POST") {
          posted.push(url);
        }
        return fetch(url, init);
      },
    });
    expect(await secrets.failure(auth.getToken())).toMatchObject({
      name: "AuthClientError",
      code,
      message: message.replace("ISSUER", `${as.issuer}/`),
    });
    expect(requests()).toEqual([]);
    expect(posted).toEqual([]);
  });

  test.each<{ name: string; fault: Fault; code: string; status?: number }>([
    {
      name: "an error",
      fault: { type: "status", status: 500, body: "oops" },
      code: "http_error",
      status: 500,
    },
    {
      name: "forbidden metadata",
      fault: { type: "status", status: 403, body: "{}" },
      code: "http_error",
      status: 403,
    },
    {
      name: "HTML",
      fault: { type: "status", status: 200, body: "<html>", contentType: "text/html" },
      code: "invalid_response",
    },
    {
      name: "a redirect",
      fault: { type: "redirect", location: "https://other.test/", status: 302 },
      code: "redirect",
      status: 302,
    },
    {
      name: "an endless answer",
      fault: { type: "stream", bytes: Number.POSITIVE_INFINITY },
      code: "response_too_large",
      status: 200,
    },
    { name: "a broken connection", fault: { type: "reset" }, code: "network_error" },
    { name: "a server that hangs", fault: { type: "hang" }, code: "timeout" },
    { name: "half an answer", fault: { type: "stall" }, code: "timeout" },
  ])("where there is $name", async ({ fault, code, status }) => {
    as.discoveryFault(fault);
    const { auth, requests } = setUp({ timeoutMs: 300 });
    const error = await secrets.failure(auth.getToken());
    expect(error).toMatchObject({ name: "AuthClientError", code });
    expect(error).toHaveProperty("message", expect.stringMatching(messages[code] ?? /never/));
    expect(Reflect.get(error, "status")).toBe(status);
    expect(requests()).toEqual([]);
  });

  const messages: Readonly<Record<string, RegExp>> = {
    http_error: /^the metadata of http:\/\/127\.0\.0\.1:\d+\/ answered HTTP \d+$/,
    invalid_response: /^no metadata of http:\/\/127\.0\.0\.1:\d+\/ in the answer$/,
    redirect: /\/oauth-authorization-server redirects, which is not followed$/,
    response_too_large: / answered with more than 256 KiB$/,
    network_error: /^no answer from http:\S+\/oauth-authorization-server: ECONNRESET$/,
    timeout: /^(no token within 300 ms|no answer from \S+ in time)$/,
  };

  test("and asks again after the backoff", async () => {
    let time = Date.now();
    as.discoveryFault((n) => (n === 1 ? { type: "status", status: 503 } : undefined));
    const { auth, discovery } = setUp({ now: () => new Date(time) });
    expect(await secrets.failure(auth.getToken())).toMatchObject({ status: 503 });
    expect(await secrets.failure(auth.getToken())).toMatchObject({ status: 503 });
    expect(discovery()).toEqual([oauth]);
    time += 2000;
    expect((await auth.getToken()).token_type).toBe("Bearer");
    expect(discovery()).toEqual([oauth, oauth]);
  });
});

describe("keeps metadata", () => {
  const hour = 3_600_000;

  test("for an hour", async () => {
    let time = Date.now();
    const { auth, discovery } = setUp({ now: () => new Date(time) });
    const renew = () => auth.getToken({ forceRefresh: true });
    await renew();
    time += hour - 60_000;
    await renew();
    expect(discovery()).toEqual([oauth]);
    time += 120_000;
    await renew();
    await vi.waitUntil(() => discovery().length === 2, 10_000);
    await renew();
    expect(discovery()).toEqual([oauth, oauth]);
  });

  test("while the next ones do not come, and takes them when they do", async () => {
    const server = await startHttpServer(() => ({
      body: { access_token: "moved", token_type: "Bearer" },
    }));
    try {
      let time = Date.now();
      const { auth, discovery, requests } = setUp({ now: () => new Date(time) });
      const renew = () => auth.getToken({ forceRefresh: true });
      await renew();
      as.discoveryFault({ type: "status", status: 503 });
      time += hour + 1000;
      await renew();
      await renew();
      await vi.waitUntil(() => discovery().length === 2, 10_000);
      expect(requests()).toEqual(["/token", "/token", "/token"]);
      // not with each token
      await renew();
      expect(discovery()).toHaveLength(2);
      as.discoveryFault(undefined);
      as.metadata({ issuer: as.issuer, token_endpoint: `${server.baseUrl}/token` });
      time += 61_000;
      await renew();
      await vi.waitUntil(async () => (await renew()).access_token === "moved", 10_000);
      expect(discovery()).toHaveLength(3);
    } finally {
      await server.close();
    }
  });

  test("and waits for nothing while the next ones hang", async () => {
    let time = Date.now();
    const { auth, discovery, requests } = setUp({ now: () => new Date(time), timeoutMs: 2000 });
    await auth.getToken();
    as.discoveryFault({ type: "hang" });
    time += hour + 1000;
    await auth.getToken({ forceRefresh: true });
    expect(requests()).toHaveLength(2);
    await vi.waitUntil(() => discovery().length === 2, 10_000);
  });
});
