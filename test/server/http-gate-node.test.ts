import http from "node:http";
import http2 from "node:http2";
import net from "node:net";
import { text } from "node:stream/consumers";
import { Code, ConnectError } from "@connectrpc/connect";
import { expressConnectMiddleware } from "@connectrpc/connect-express";
import express from "express";
import { afterEach, describe, expect, test, vi } from "vitest";
import type { IncomingCall } from "../../src/server/index.js";
import {
  type CountingServer,
  createTestApi,
  createTestHandler,
  listen,
  type NodeHandler,
  serve,
} from "../support/gated-server.js";
import { certificates, createTlsFetch } from "../support/mutual-tls.js";
import { createTestToken } from "../support/test-token.js";

const authorization = `Bearer ${await createTestToken({ sub: "alice" })}`;
const path = "/acme.user.v1.UserService/WhoAmI";

let server: CountingServer;
afterEach(() => server.close());

/** Sends these lines as the head of a request, and returns all that comes. */
async function exchange(...lines: string[]): Promise<string> {
  const socket = net.connect(server.port);
  socket.write([...lines, "", ""].join("\r\n"));
  return text(socket);
}

const json = "content-type: application/json";
const post = (...lines: string[]) =>
  exchange(`POST ${path} HTTP/1.1`, "connection: close", "content-length: 0", json, ...lines);

async function postOverHttp2(headers: http2.OutgoingHttpHeaders, target = path) {
  const session = http2.connect(server.baseUrl);
  const own = { ":method": "POST", ":path": target, "content-type": "application/json" };
  const stream = session.request({ ...own, ...headers }, { endStream: true });
  let response: http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader = {};
  stream.on("response", (header) => {
    response = header;
  });
  const body = await text(stream);
  session.close();
  return { headers: response, body };
}

describe("a refusal", () => {
  const twoCookies = new ConnectError("sign in again", Code.Unauthenticated);
  twoCookies.metadata.append("set-cookie", "a=; max-age=0");
  twoCookies.metadata.append("set-cookie", "b=; max-age=0");
  const api = createTestApi({
    authenticate: { identityHeaders: [], authenticate: () => Promise.reject(twoCookies) },
  });
  /** As middleware for CORS does. */
  const withCors =
    (handler: NodeHandler): NodeHandler =>
    (req, res) => {
      res.setHeader("access-control-allow-origin", "https://app.test");
      res.setHeader("content-type", "text/plain");
      handler(req, res);
    };

  test("keeps the headers that were set before it, over HTTP/1.1", async () => {
    server = await serve("1.1", withCors(api.gate(createTestHandler(api))));
    const answer = await post("host: x");
    expect(answer).toMatch(/^HTTP.1.1 401 /);
    expect(answer).toContain("access-control-allow-origin: https://app.test\r\n");
    expect(answer).toContain("content-type: application/json\r\n");
    expect(answer).toContain("set-cookie: a=; max-age=0\r\nset-cookie: b=; max-age=0\r\n");
  });

  test("keeps the headers that were set before it, over HTTP/2", async () => {
    server = await serve("2", withCors(api.gate(createTestHandler(api))));
    const { headers } = await postOverHttp2({});
    expect(headers).toMatchObject({
      ":status": 401,
      "access-control-allow-origin": "https://app.test",
      "content-type": "application/json",
      "set-cookie": ["a=; max-age=0", "b=; max-age=0"],
    });
  });

  test.each(["1.1", "2"] as const)("is not sent after another answer, over HTTP/%s", async (v) => {
    const gate = api.gate(createTestHandler(api));
    server = await serve(v, (req, res) => {
      gate(req, res);
      res.writeHead(503);
      res.end();
    });
    if (v === "1.1") {
      expect(await post("host: x")).toMatch(/^HTTP.1.1 503 [\s\S]*\r\n\r\n$/);
    } else {
      expect(await postOverHttp2({})).toMatchObject({ headers: { ":status": 503 }, body: "" });
    }
  });
});

describe("a request that makes no URL", () => {
  const hosts = ["", "a:b:c", "[", "%", "a b"];
  const targets = [path, "/acme.user.v1.UserService/GetProfile"];

  test.each(targets.flatMap((target) => hosts.map((host) => ({ target, host }))))(
    "is a bad one, and does not reach Connect: host $host, $target",
    async ({ target, host }) => {
      const api = createTestApi();
      const handler = vi.fn(createTestHandler(api));
      server = await serve("1.1", api.gate(handler));
      const answer = await exchange(
        `POST ${target} HTTP/1.1`,
        `host: ${host}`,
        "connection: close",
        "content-length: 0",
        json,
        `authorization: ${authorization}`,
      );
      expect(answer).toMatch(/^HTTP.1.1 400 Bad Request\r\n/);
      expect(handler).not.toHaveBeenCalled();
    },
  );

  test("is a bad one without a host, over HTTP/1.0", async () => {
    const api = createTestApi();
    server = await serve("1.1", api.gate(createTestHandler(api)));
    const answer = await exchange(`POST ${path} HTTP/1.0`, json, `authorization: ${authorization}`);
    expect(answer).toMatch(/^HTTP.1.1 400 Bad Request\r\n/);
  });

  test("reaches the handler with another path", async () => {
    const api = createTestApi();
    server = await serve(
      "1.1",
      api.gate((_req, res) => res.end("healthy")),
    );
    expect(await exchange("GET /health HTTP/1.0")).toMatch(/^HTTP.1.1 200 [\s\S]*healthy$/);
    expect(await exchange("GET http://[ HTTP/1.1", "host: x", "connection: close")).toMatch(
      /^HTTP.1.1 200 [\s\S]*healthy$/,
    );
  });
});

describe("what authentication sees of a request", () => {
  const seen: IncomingCall[] = [];
  const api = createTestApi({
    authenticate: {
      identityHeaders: [],
      async authenticate(call) {
        seen.push(call);
        return undefined;
      },
    },
  });
  afterEach(() => {
    seen.length = 0;
  });

  test.each([
    { name: "its path", target: `${path}?a=b`, want: `http://api.test${path}?a=b` },
    { name: "its prefix", target: `/v1${path}`, want: `http://api.test/v1${path}` },
    {
      name: "its own host, and no other",
      target: `//evil.test${path}`,
      want: `http://api.test/evil.test${path}`,
    },
    {
      name: "its own host, whatever the slashes",
      target: `/\\evil.test${path}`,
      want: `http://api.test/evil.test${path}`,
    },
    {
      name: "the host of a target that has one",
      target: `http://other.test${path}`,
      want: `http://other.test${path}`,
    },
  ])("has $name over HTTP/1.1", async ({ target, want }) => {
    server = await serve("1.1", api.gate(createTestHandler(api)));
    const head = [`POST ${target} HTTP/1.1`, "host: api.test", "connection: close"];
    await exchange(...head, "content-length: 0", json, "x-two: 1", "x-two: 2");
    expect(seen.map(({ url, requestMethod }) => [url, requestMethod])).toEqual([[want, "POST"]]);
    expect(seen[0]?.header.get("x-two")).toBe("1, 2");
  });

  test("has all of its path where Express took a part of it", async () => {
    const app = express();
    app.use("/api/v1", api.gate(expressConnectMiddleware(api)));
    server = await listen(http.createServer(app));
    const head = [`POST /api/v1${path}?a=b HTTP/1.1`, "host: api.test", "connection: close"];
    await exchange(...head, "content-length: 0", json);
    expect(seen.map(({ url }) => url)).toEqual([`http://api.test/api/v1${path}?a=b`]);
  });

  test("has https for a scheme, over TLS", async () => {
    const { cert, key } = certificates.server;
    const handler = api.gate(createTestHandler(api));
    server = await listen(http2.createSecureServer({ cert, key, allowHTTP1: true }, handler));
    await createTlsFetch()(`https://127.0.0.1:${server.port}${path}`, { method: "POST" });
    expect(seen.map(({ url }) => url)).toEqual([`https://127.0.0.1:${server.port}${path}`]);
  });

  test("has the authority of HTTP/2, and no header that HTTP/2 has for it", async () => {
    server = await serve("2", api.gate(createTestHandler(api)));
    await postOverHttp2({ ":authority": "api.test", "x-two": ["1", "2"] }, `${path}?a=b`);
    expect(seen.map(({ url }) => url)).toEqual([`http://api.test${path}?a=b`]);
    expect(seen[0]?.method.name).toBe("WhoAmI");
    expect(Object.fromEntries(seen[0]?.header ?? [])).toEqual({
      "content-type": "application/json",
      "x-two": "1, 2",
    });
  });
});

test.each(["OPTIONS", "PUT", "DELETE"])("hands %s to the handler as it came", async (method) => {
  const api = createTestApi();
  server = await serve(
    "1.1",
    api.gate((req, res) => res.end(`${req.method} reached`)),
  );
  const head = [`${method} ${path} HTTP/1.1`, "host: api.test", "connection: close"];
  expect(await exchange(...head, "content-length: 0")).toContain(`${method} reached`);
  expect(api.denials).toEqual([]);
});

test("does not judge a call twice that passes two gates", async () => {
  let authentications = 0;
  const api = createTestApi({
    authenticate: {
      identityHeaders: [],
      async authenticate() {
        authentications += 1;
        return { subject: "alice", roles: [], scopes: [], claims: {}, type: "test" };
      },
    },
  });
  server = await serve("1.1", api.gate(api.gate(createTestHandler(api))));
  const head = [`POST ${path} HTTP/1.1`, "host: api.test", "connection: close"];
  const answer = await exchange(...head, "content-length: 0", "content-type: application/proto");
  expect(answer).toMatch(/^HTTP.1.1 200 /);
  expect(api.calls).toEqual(["WhoAmI by alice: 0"]);
  expect(authentications).toBe(1);
});

test("leaves no listener on the response of a call that passes", async () => {
  const api = createTestApi();
  const counts: number[] = [];
  const gate = api.gate((_req, res) => {
    counts.push(res.listenerCount("close"));
    res.end();
  });
  server = await listen(
    http.createServer((req, res) => {
      counts.push(res.listenerCount("close"));
      gate(req, res);
    }),
  );
  await post("host: x", `authorization: ${authorization}`);
  expect(counts).toHaveLength(2);
  expect(counts[1]).toBe(counts[0]);
});

describe("a handler that fails", () => {
  const api = createTestApi();
  const failing: NodeHandler = () => {
    throw new Error("the handler is broken");
  };

  test("throws as it does without the gate, where it is called at once", async () => {
    const caught: unknown[] = [];
    const gate = api.gate(failing);
    server = await serve("1.1", (req, res) => {
      try {
        gate(req, res);
      } catch (error) {
        caught.push(error);
      }
      res.end("caught");
    });
    expect(await exchange("GET / HTTP/1.1", "host: x", "connection: close")).toContain("caught");
    expect(caught).toEqual([new Error("the handler is broken")]);
  });

  test.each([
    { name: "throws", handler: failing },
    { name: "rejects", handler: (async (req, res) => failing(req, res)) satisfies NodeHandler },
  ])("rejects, where it is called later and $name", async ({ handler }) => {
    const gate = api.gate(handler);
    server = await serve("1.1", async (req, res) => {
      await Promise.resolve(gate(req, res)).catch((error) => res.end(`caught: ${error.message}`));
    });
    expect(await post("host: x", `authorization: ${authorization}`)).toContain(
      "caught: the handler is broken",
    );
  });
});
