import http from "node:http";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  type CountingServer,
  createTestApi,
  serve,
  type TestApi,
} from "../support/gated-server.js";
import { createTestToken } from "../support/test-token.js";

const alice = await createTestToken({ sub: "alice" });
const admin = await createTestToken({
  sub: "admin",
  roles: ["admin"],
  scope: "users:write matrix:use",
});
const service = "/acme.user.v1.UserService";
const json = { "content-type": "application/json" };
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

interface Answer {
  readonly status: number | undefined;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

let server: CountingServer | undefined;
afterEach(async () => {
  await server?.close();
  server = undefined;
});

/** Sends a request as it is: `fetch` would not let us write every header. */
function send(
  method: string,
  target: string,
  headers: http.OutgoingHttpHeaders = json,
  body = "{}",
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const options = {
      port: server?.port,
      host: "127.0.0.1",
      method,
      path: target,
      agent: false,
      headers,
    };
    const req = http.request(options, (res) => {
      let text = "";
      res.setEncoding("utf8").on("data", (chunk) => {
        text += chunk;
      });
      res.on("end", () => resolve({ status: res.statusCode, headers: res.headers, body: text }));
    });
    req.on("error", reject);
    req.end(["POST", "PUT", "PATCH"].includes(method) ? body : "");
  });
}

/** The message of a call by GET. */
const query = "connect=v1&encoding=json&message=%7B%7D";

/** Behind the gate, and behind the interceptors alone. */
const fronts = [
  { front: "a gate and interceptors", isGated: true },
  { front: "interceptors alone", isGated: false },
];

describe.each(fronts)("behind $front, a call", ({ isGated }) => {
  let api: TestApi;
  async function start(requestPathPrefix = ""): Promise<void> {
    api = createTestApi();
    const { routes, interceptors } = api;
    const handler = connectNodeAdapter({ routes, interceptors, requestPathPrefix });
    server = await serve("1.1", isGated ? api.gate(handler) : handler);
  }
  beforeEach(() => start());

  test("by GET is held to what holds for POST", async () => {
    for (const [method, target] of [
      ["POST", `${service}/WhoAmI`],
      ["GET", `${service}/WhoAmI?${query}`],
    ] as const) {
      expect(await send(method, target)).toMatchObject({
        status: 401,
        body: JSON.stringify({ code: "unauthenticated", message: "missing credentials" }),
      });
      expect(await send(method, target, { ...json, ...bearer("x") })).toMatchObject({
        status: 401,
        body: JSON.stringify({ code: "unauthenticated", message: "invalid token" }),
      });
      expect(await send(method, target, { ...json, ...bearer(alice) })).toMatchObject({
        status: 200,
        body: JSON.stringify({ subject: "alice" }),
      });
      expect(await send(method, target.replace("WhoAmI", "GetProfile"))).toMatchObject({
        status: 200,
      });
    }
    expect(api.calls.map((call) => call.split(":")[0])).toEqual([
      "WhoAmI by alice",
      "GetProfile by undefined",
      "WhoAmI by alice",
      "GetProfile by undefined",
    ]);
  });

  test.each(["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"])(
    "by %s runs nothing where the method is only for POST",
    async (method) => {
      const answer = await send(method, `${service}/DeleteUser?${query}`, {
        ...json,
        "x-http-method-override": "POST",
      });
      // the gate says who may call before Connect says how
      expect(answer.status).toBe(isGated && method === "GET" ? 401 : 405);
      expect(api.calls).toEqual([]);
    },
  );

  test("has its token in the header, and nowhere in the URL or the body", async () => {
    for (const name of [
      "access_token",
      "authorization",
      "Authorization",
      "token",
      "bearer",
      "sid",
    ]) {
      for (const value of [alice, `Bearer ${alice}`, `Bearer%20${alice}`]) {
        const inQuery = `${service}/WhoAmI?${name}=${encodeURI(value)}`;
        expect((await send("POST", inQuery)).status).toBe(401);
        expect((await send("GET", `${inQuery}&${query}`)).status).toBe(401);
      }
    }
    // RFC 6750 §2.2
    const form = { "content-type": "application/x-www-form-urlencoded" };
    expect(
      (await send("POST", `${service}/WhoAmI`, form, `access_token=${alice}`)).status,
    ).not.toBe(200);
    expect(api.calls).toEqual([]);
  });

  test.each([
    "/v1",
    "/acme.user.v1.UserService/GetProfile",
    "/acme.user.v1.UserService/GetProfile/..%2f",
    "/%2e",
    "/grpc.health.v1.Health/Check",
  ])("is judged by its method, with %s before its path", async (prefix) => {
    await server?.close();
    await start(prefix);
    const whoAmI = `${prefix}${service}/WhoAmI`;
    expect((await send("POST", whoAmI)).status).toBe(401);
    expect((await send("GET", `${whoAmI}?${query}`)).status).toBe(401);
    expect((await send("POST", `${prefix}${service}/GetProfile`)).status).toBe(200);
    expect(
      (await send("POST", `${prefix}${service}/Reindex`, { ...json, ...bearer(admin) })).status,
    ).toBe(401);
    expect((await send("POST", whoAmI, { ...json, ...bearer(alice) })).status).toBe(200);
  });

  test.each([
    `${service}/Unknown`,
    `${service}/whoami`,
    `${service}/whoAmI`,
    `${service}/constructor`,
    `${service}/__proto__`,
    `${service}/`,
    "/acme.user.v1.UserServic/WhoAmI",
    "/acme.user.v1.userservice/WhoAmI",
    "/UserService/WhoAmI",
    "/",
  ])("of no method runs nothing: %s", async (target) => {
    for (const headers of [json, { ...json, ...bearer(admin) }]) {
      const { status } = await send("POST", target, headers);
      expect([401, 404]).toContain(status);
    }
    expect(api.calls).toEqual([]);
  });

  /** What proxies, frameworks and debuggers listen to. */
  const switches: readonly http.OutgoingHttpHeaders[] = [
    { "x-http-method-override": "GET" },
    { "x-http-method": "OPTIONS", "x-method-override": "OPTIONS" },
    { "x-original-url": `${service}/GetProfile`, "x-rewrite-url": `${service}/GetProfile` },
    { "x-forwarded-uri": `${service}/GetProfile`, "x-forwarded-prefix": `${service}/GetProfile` },
    { "x-forwarded-for": "127.0.0.1", "x-real-ip": "127.0.0.1", forwarded: "for=127.0.0.1" },
    { "x-forwarded-host": "localhost", "x-forwarded-proto": "https", host: "localhost" },
    { "x-forwarded-user": "admin", "x-remote-user": "admin", "remote-user": "admin" },
    { "x-forwarded-client-cert": "URI=spiffe://a/b", "x-client-verify": "SUCCESS" },
    { "x-auth-subject": "admin", "x-auth-roles": '["admin"]', "x-auth-scopes": "users:write" },
    { x_auth_subject: "admin", x_gateway_secret: "mesh" },
    { "x-internal": "true", "x-debug": "1", "x-skip-auth": "true" },
    { "connect-protocol-version": "0" },
    {
      "connect-timeout-ms": "99999",
      "connect-accept-encoding": "gzip",
      "connect-content-encoding": "x",
    },
    { "grpc-timeout": "1H", "grpc-encoding": "identity", te: "trailers" },
    { "x-user-agent": "grpc-health-probe", "user-agent": "kube-probe/1.30" },
    { "content-type": "application/json; charset=utf-8" },
    { "content-type": "APPLICATION/JSON" },
    { "content-type": "application/grpc-web-text" },
    { "content-type": "text/plain" },
    { "content-type": "multipart/form-data; boundary=x" },
    { "content-type": "" },
    { "content-type": ["application/json", "application/proto"] },
    { "content-encoding": "gzip" },
    { "transfer-encoding": "chunked" },
    { upgrade: "h2c", connection: "upgrade" },
    { expect: "100-continue" },
    { origin: "null", "sec-fetch-site": "same-origin" },
    { "access-control-request-method": "POST" },
    { authorization: "Basic YWRtaW46YWRtaW4=" },
    { authorization: "" },
    { "proxy-authorization": `Bearer ${admin}` },
    { cookie: `authorization=Bearer ${admin}; token=${admin}` },
  ];
  test.each(switches)("is judged whatever its headers say: %j", async (headers) => {
    for (const method of ["WhoAmI", "DeleteUser", "Reindex"]) {
      const answer = await send("POST", `${service}/${method}`, { ...json, ...headers });
      // 415: Connect knows no such content type; 400: it cannot read the rest
      expect([400, 401, 415]).toContain(answer.status);
    }
    expect(api.calls).toEqual([]);
  });

  test.each([
    { type: "application/proto", body: "" },
    { type: "application/connect+json", body: "\0\0\0\0\x02{}" },
    { type: "application/connect+proto", body: "\0\0\0\0\0" },
    { type: "application/grpc", body: "\0\0\0\0\0" },
    { type: "application/grpc+json", body: "\0\0\0\0\x02{}" },
    { type: "application/grpc-web", body: "\0\0\0\0\0" },
    { type: "application/grpc-web-text", body: "AAAAAAA=" },
  ])("is judged in whatever protocol it says it is: $type", async ({ type, body }) => {
    for (const method of ["WhoAmI", "DeleteUser", "Reindex"]) {
      const headers = { "content-type": type };
      const { status, body: answer } = await send("POST", `${service}/${method}`, headers, body);
      if (status === 200) {
        expect(answer).toMatch(/grpc-status: 16|"code":"unauthenticated"|^$/);
      } else {
        expect([401, 415]).toContain(status);
      }
    }
    expect(api.calls).toEqual([]);
  });
});
