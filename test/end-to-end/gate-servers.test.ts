import http, { createServer } from "node:http";
import http2 from "node:http2";
import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { expressConnectMiddleware } from "@connectrpc/connect-express";
import { fastifyConnectPlugin } from "@connectrpc/connect-fastify";
import * as node from "@connectrpc/connect-node";
import * as web from "@connectrpc/connect-web";
import express from "express";
import fastify from "fastify";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Listening, listenOnLoopback } from "../../example/loopback.js";
import { createJwtAuthInterceptor } from "../../src/server/index.js";
import { MatrixService } from "../gen/acme/matrix/v1/matrix_pb.js";
import { PlainService } from "../gen/acme/plain/v1/plain_pb.js";
import { UserService } from "../gen/acme/user/v1/user_pb.js";
import {
  createTestApi,
  createTestFetch,
  createTestHandler,
  type TestApi,
} from "../support/gated-server.js";
import { createTestToken, testSecret } from "../support/test-token.js";
import { callMatrix, type StreamKind } from "../wire/protocols.js";

/** Where an API is served. */
interface Served {
  readonly transport: Transport;
  close(): Promise<unknown>;
}

interface ServerKind {
  readonly name: string;
  readonly streams: readonly StreamKind[];
  readonly start: (api: TestApi, gated: boolean) => Promise<Served>;
}

const overHttp1 = async ({ baseUrl, close }: Listening, path = ""): Promise<Served> => ({
  transport: node.createConnectTransport({ baseUrl: baseUrl + path, httpVersion: "1.1" }),
  close,
});

const servers: readonly ServerKind[] = [
  {
    name: "node:http",
    streams: ["Unary", "Server", "Client"],
    async start(api, gated) {
      const handler = createTestHandler(api);
      const server = http.createServer(gated ? api.gate(handler) : handler);
      return overHttp1(await listenOnLoopback(server));
    },
  },
  {
    name: "node:http2",
    streams: ["Unary", "Server", "Client", "Bidi"],
    async start(api, gated) {
      const handler = createTestHandler(api);
      const server = http2.createServer(gated ? api.gate(handler) : handler);
      const { baseUrl, close } = await listenOnLoopback(server);
      return { transport: node.createGrpcTransport({ baseUrl }), close };
    },
  },
  {
    name: "Express, before its middleware for Connect",
    streams: ["Unary", "Server", "Client"],
    async start(api, gated) {
      const app = express();
      const middleware = expressConnectMiddleware(api);
      app.use(gated ? api.gate(middleware) : middleware);
      return overHttp1(await listenOnLoopback(http.createServer(app)));
    },
  },
  {
    name: "Express, before that on a path, with a parser of JSON in between",
    streams: ["Unary", "Server", "Client"],
    async start(api, gated) {
      const app = express();
      const middleware = expressConnectMiddleware(api);
      app.use("/api/v1", express.json(), gated ? api.gate(middleware) : middleware);
      return overHttp1(await listenOnLoopback(http.createServer(app)), "/api/v1");
    },
  },
  {
    name: "Express, before all of it",
    streams: ["Unary", "Server", "Client"],
    async start(api, gated) {
      const app = express();
      app.use(express.json(), expressConnectMiddleware(api));
      const gate = api.gate((req, res) => app(req, res));
      return overHttp1(await listenOnLoopback(gated ? http.createServer(gate) : createServer(app)));
    },
  },
  {
    name: "Fastify, as its server is made",
    streams: ["Unary", "Server", "Client"],
    async start(api, gated) {
      const app = fastify({
        serverFactory: (handler) => http.createServer(gated ? api.gate(handler) : handler),
      });
      await app.register(fastifyConnectPlugin, api);
      const baseUrl = await app.listen({ host: "127.0.0.1", port: 0 });
      return overHttp1({ baseUrl, close: () => app.close() });
    },
  },
  {
    name: "Fastify over HTTP/2, as its server is made",
    streams: ["Unary", "Server", "Client", "Bidi"],
    async start(api, gated) {
      const app = fastify({
        http2: true,
        serverFactory: (handler) => http2.createServer(gated ? api.gate(handler) : handler),
      });
      await app.register(fastifyConnectPlugin, api);
      const baseUrl = await app.listen({ host: "127.0.0.1", port: 0 });
      const sessionManager = new node.Http2SessionManager(baseUrl);
      return {
        transport: node.createGrpcWebTransport({ baseUrl, httpVersion: "2", sessionManager }),
        close() {
          sessionManager.abort();
          return app.close();
        },
      };
    },
  },
  {
    name: "Fastify, as a hook",
    streams: ["Unary", "Server", "Client"],
    async start(api, gated) {
      const app = fastify();
      if (gated) {
        app.addHook("onRequest", (request, reply, done) => {
          api.gate((_req, _res) => done())(request.raw, reply.raw);
        });
      }
      await app.register(fastifyConnectPlugin, api);
      const baseUrl = await app.listen({ host: "127.0.0.1", port: 0 });
      return overHttp1({ baseUrl, close: () => app.close() });
    },
  },
  {
    name: "handlers of fetch, Connect",
    streams: ["Unary", "Server"],
    async start(api, gated) {
      const transport = web.createConnectTransport({
        baseUrl: "https://api.test",
        fetch: fetchFrom(gated ? api.gate(createTestFetch(api)) : createTestFetch(api)),
      });
      return { transport, close: async () => {} };
    },
  },
  {
    name: "handlers of fetch, gRPC-Web",
    streams: ["Unary", "Server"],
    async start(api, gated) {
      const transport = web.createGrpcWebTransport({
        baseUrl: "https://api.test",
        fetch: fetchFrom(gated ? api.gate(createTestFetch(api)) : createTestFetch(api)),
      });
      return { transport, close: async () => {} };
    },
  },
];

/** A `fetch` that asks a handler in this process. */
function fetchFrom(handler: (request: Request) => Response | Promise<Response>): typeof fetch {
  return async (input, init) => handler(new Request(input, init));
}

const alice = `Bearer ${await createTestToken({ sub: "alice" })}`;
const admin = `Bearer ${await createTestToken({
  sub: "admin",
  roles: ["admin"],
  scope: "users:write matrix:use",
})}`;

/** `ok`, or the code of the error and what it says. */
async function outcome(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return "ok";
  } catch (reason) {
    const error = ConnectError.from(reason);
    return `${Code[error.code]}: ${error.rawMessage}`;
  }
}

const missing = "Unauthenticated: missing credentials";
const invalid = "Unauthenticated: invalid token";
const denied = "PermissionDenied: access denied";

describe.each(servers)("$name", ({ streams, start }) => {
  describe.each([
    { name: "with a gate", gated: true },
    { name: "without one", gated: false },
  ])("$name", ({ gated }) => {
    let api: TestApi;
    let served: Served;
    let authentications = 0;
    beforeEach(async () => {
      authentications = 0;
      const users = createJwtAuthInterceptor({ secret: testSecret });
      api = createTestApi({
        authenticate: {
          ...users,
          authenticate(call) {
            authentications += 1;
            return users.authenticate(call);
          },
        },
      });
      served = await start(api, gated);
    });
    afterEach(() => served.close());

    test("serves each method to those who may call it", async () => {
      const users = createClient(UserService, served.transport);
      const callers: Record<string, Record<string, string>> = {
        nobody: {},
        alice: { authorization: alice },
        admin: { authorization: admin },
        forger: { authorization: `${admin.slice(0, -4)}AAAA` },
        service: { "x-gateway-secret": "mesh", "x-auth-subject": "indexer" },
      };
      const results: Record<string, string[]> = {};
      for (const [caller, headers] of Object.entries(callers)) {
        results[caller] = [
          await outcome(users.getProfile({ id: "1234" }, { headers })),
          await outcome(users.whoAmI({}, { headers })),
          await outcome(users.deleteUser({ id: "1234" }, { headers })),
          await outcome(users.reindex({}, { headers })),
        ];
      }
      expect(results).toEqual({
        nobody: ["ok", missing, missing, missing],
        alice: ["ok", "ok", denied, missing],
        admin: ["ok", "ok", "ok", missing],
        forger: ["ok", invalid, invalid, missing],
        service: ["ok", missing, missing, "ok"],
      });
      const anyone = "GetProfile by undefined: 4";
      expect(api.calls).toEqual([
        anyone,
        anyone,
        "WhoAmI by alice: 0",
        anyone,
        "WhoAmI by admin: 0",
        "DeleteUser by admin: 4",
        anyone,
        anyone,
        "Reindex by indexer: 0",
      ]);
      expect(api.denials).toHaveLength(11);
      // once for each call of whoAmI and deleteUser
      expect(authentications).toBe(10);
    });

    test.each(streams)("refuses and serves %s calls", async (stream) => {
      const matrix = createClient(MatrixService, served.transport);
      const call = (headers: Record<string, string>) =>
        outcome(callMatrix(matrix, "requires", stream, { headers }));
      expect(await outcome(callMatrix(matrix, "public", stream))).toBe("ok");
      expect(await call({})).toBe(missing);
      expect(await call({ authorization: alice })).toBe(denied);
      expect(await call({ authorization: admin })).toBe("ok");
      expect(api.calls).toEqual([
        `Public${stream} by undefined: 0`,
        `Requires${stream} by admin: 0`,
      ]);
      expect(api.denials).toHaveLength(2);
    });

    test("does not know what it does not serve", async () => {
      const plain = createClient(PlainService, served.transport);
      expect(await outcome(plain.open({}))).toMatch(/^Unimplemented: /);
      expect(api.denials).toEqual([]);
    });
  });
});

describe("app.inject() of Fastify, behind a gate that is a hook", () => {
  test.each([
    { name: "refused", headers: {}, statusCode: 401, calls: [] },
    {
      name: "served",
      headers: { authorization: alice },
      statusCode: 200,
      calls: ["WhoAmI by alice: 0"],
    },
  ])("is $name without a connection", async ({ headers, statusCode, calls }) => {
    const api = createTestApi();
    const app = fastify();
    app.addHook("onRequest", (request, reply, done) => {
      api.gate(() => done())(request.raw, reply.raw);
    });
    await app.register(fastifyConnectPlugin, api);
    const response = await app.inject({
      method: "POST",
      url: "/acme.user.v1.UserService/WhoAmI",
      headers: { "content-type": "application/json", ...headers },
      payload: "{}",
    });
    expect(response.statusCode).toBe(statusCode);
    expect(api.calls).toEqual(calls);
    await app.close();
  });
});
