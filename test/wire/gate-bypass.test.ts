import http from "node:http";
import net from "node:net";
import { text } from "node:stream/consumers";
import { expressConnectMiddleware } from "@connectrpc/connect-express";
import { fastifyConnectPlugin } from "@connectrpc/connect-fastify";
import express from "express";
import fastify from "fastify";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  type CountingServer,
  createTestApi,
  createTestHandler,
  listen,
  serve,
  type TestApi,
} from "../support/gated-server.js";
import { createTestToken } from "../support/test-token.js";

const service = "/acme.user.v1.UserService";
const path = `${service}/WhoAmI`;
const alice = `authorization: Bearer ${await createTestToken({ sub: "alice" })}`;
const bob = `authorization: Bearer ${await createTestToken({ sub: "bob" })}`;
const secret = "x-gateway-secret: mesh";
const forged = `${alice.slice(0, -4)}AAAA`;

let api: TestApi;
let server: CountingServer;
beforeEach(() => {
  api = createTestApi();
});
afterEach(() => server.close());

/** Sends these lines, and returns all that comes until the server ends the connection. */
async function exchange(...lines: string[]): Promise<string> {
  const socket = net.connect(server.port);
  socket.write(lines.join("\r\n"));
  return text(socket);
}

function post(target: string, ...lines: string[]): Promise<string> {
  const head = [`POST ${target} HTTP/1.1`, "host: api.test", "connection: close"];
  const type = "content-type: application/json";
  return exchange(...head, type, "content-length: 2", ...lines, "", "{}");
}

/** Ways to write the path of a method, for one router or another. */
const targets = [
  path,
  `${path}?encoding=json`,
  `${path}?${service}/GetProfile`,
  `${path}#${service}/GetProfile`,
  `${path};${service}/GetProfile`,
  `${path}%3f${service}/GetProfile`,
  `${path}/`,
  `${path}//`,
  `/${path}`,
  `//${path}`,
  `${service}//WhoAmI`,
  `${service}%2fWhoAmI`,
  `${service}%2FWhoAmI`,
  `${service}%252fWhoAmI`,
  `${service}\\WhoAmI`,
  `${service}/./WhoAmI`,
  `${service}/GetProfile/../WhoAmI`,
  `${service}/GetProfile/%2e%2e/WhoAmI`,
  `${service}/GetProfile/..%2fWhoAmI`,
  `${service}/Who%41mI`,
  `${service}/Who%61mI`,
  `/%61cme.user.v1.UserService/WhoAmI`,
  `/%C0%AF${path}`,
  `${path}%00`,
  `${path}%20`,
  path.toUpperCase(),
  path.toLowerCase(),
  `/api${path}`,
  `/${service.slice(1)}${path}`,
  `${path}${service}/GetProfile`,
  `${service}/GetProfile${path}`,
  `http://api.test${path}`,
  `http://evil.test${path}`,
  `http:${path}`,
  `*`,
];

interface Router {
  readonly name: string;
  readonly start: (
    api: TestApi,
    gate: (handler: http.RequestListener) => http.RequestListener,
  ) => Promise<CountingServer>;
}

const lenientRouter = {
  ignoreTrailingSlash: true,
  ignoreDuplicateSlashes: true,
  caseSensitive: false,
  useSemicolonDelimiter: true,
};

const routers: readonly Router[] = [
  {
    name: "Connect for Node",
    start: (testApi, gate) => listen(http.createServer(gate(createTestHandler(testApi)))),
  },
  {
    name: "Express",
    async start(testApi, gate) {
      const app = express();
      app.use(expressConnectMiddleware(testApi));
      app.use("/api", expressConnectMiddleware(testApi));
      return listen(http.createServer(gate((req, res) => app(req, res))));
    },
  },
  {
    name: "Fastify, as lenient as it can be",
    async start(testApi, gate) {
      let made: http.Server | undefined;
      const app = fastify({
        routerOptions: lenientRouter,
        serverFactory(handler) {
          made = http.createServer(gate(handler));
          return made;
        },
      });
      await app.register(fastifyConnectPlugin, testApi);
      await app.register(fastifyConnectPlugin, { ...testApi, prefix: "/api" });
      await app.ready();
      expect.assert(made !== undefined);
      return listen(made);
    },
  },
];

describe.each(routers)("$name", ({ start }) => {
  /** How many requests got past the gate. */
  let reached = 0;
  beforeEach(async () => {
    reached = 0;
    server = await start(api, (handler) =>
      api.gate((req, res) => {
        reached += 1;
        handler(req, res);
      }),
    );
  });

  test("serves the method under its path", async () => {
    expect(await post(path, alice)).toMatch(/^HTTP.1.1 200 [\s\S]*"alice"/);
    expect(api.calls).toEqual(["WhoAmI by alice: 0"]);
  });

  test.each(targets)("serves nobody, and reads nothing of them, under %s", async (target) => {
    await post(target, alice);
    const isServed = api.calls.some((call) => call.startsWith("WhoAmI"));
    api.calls.length = 0;
    reached = 0;
    const answer = await post(target);
    expect(answer).toMatch(/^HTTP.1.1 [45]\d\d /);
    expect(api.calls.filter((call) => call.startsWith("WhoAmI"))).toEqual([]);
    // where a router knows it as the method, the gate knows it too
    expect(isServed && reached > 0).toBe(false);
  });
});

describe("credentials that came twice", () => {
  const ofUsers = [
    { name: "a good token, then a bad one", lines: [alice, forged] },
    { name: "a bad token, then a good one", lines: [forged, alice] },
    { name: "two good tokens", lines: [alice, bob] },
    { name: "an empty header, then a token", lines: ["authorization:", alice] },
    { name: "two tokens in one header", lines: [`${alice}, ${bob.slice(15)}`] },
  ].map((row) => ({ ...row, target: path }));
  const ofServices = [
    { name: "one service", lines: [secret, "x-auth-subject: a"] },
    { name: "a secret twice", lines: [secret, secret, "x-auth-subject: a"] },
    { name: "two services", lines: [secret, "x-auth-subject: a", "x-auth-subject: b"] },
  ].map((row) => ({ ...row, target: `${service}/Reindex` }));

  test.each([...ofUsers, ...ofServices])(
    "are judged as without a gate: $name",
    async ({ lines, target }) => {
      const handler = createTestHandler(api);
      const answers: string[] = [];
      for (const served of [handler, api.gate(handler)]) {
        server = await serve("1.1", served);
        const answer = await post(target, ...lines);
        answers.push(
          `${answer.slice(9, 12)} ${answer.split("\r\n\r\n")[1]} ${api.calls.splice(0)}`,
        );
        await server.close();
      }
      expect(answers[0]).toMatch(/^200 .* by \w+: 0$|^401 /);
      expect(answers[1]).toBe(answers[0]);
      server = await serve("1.1", handler);
    },
  );
});

test("a credential in the trailers of a request does not count", async () => {
  server = await serve("1.1", api.gate(createTestHandler(api)));
  const head = [`POST ${path} HTTP/1.1`, "host: api.test", "content-type: application/json"];
  const body = ["2", "{}", "0", alice, "", ""];
  const answer = await exchange(
    ...head,
    "connection: close",
    "trailer: authorization",
    "transfer-encoding: chunked",
    "",
    ...body,
  );
  expect(answer).toMatch(/^HTTP.1.1 401 [\s\S]*missing credentials/);
  expect(api.calls).toEqual([]);
});

describe("requests in which a second one is hidden", () => {
  beforeEach(async () => {
    server = await serve("1.1", api.gate(createTestHandler(api)));
  });
  const hidden = `POST ${service}/DeleteUser HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n{}`;
  const head = [`POST ${path} HTTP/1.1`, "host: api.test", "content-type: application/json"];

  test.each([
    {
      name: "both lengths",
      lines: ["content-length: 4", "transfer-encoding: chunked", "", "0", "", hidden],
    },
    { name: "two lengths", lines: ["content-length: 0", "content-length: 9", "", hidden] },
    { name: "a length with a sign", lines: ["content-length: +4", "", hidden] },
    { name: "a chunked body twice", lines: ["transfer-encoding: chunked, chunked", "", hidden] },
    { name: "another encoding", lines: ["transfer-encoding: xchunked", "", hidden] },
    { name: "a space in a name", lines: ["content-length : 4", "", hidden] },
    { name: "a folded header", lines: ["x: y", " content-length: 4", "", hidden] },
  ])("are not read as two: $name", async ({ lines }) => {
    const answer = await exchange(...head, alice, "connection: close", ...lines);
    expect(answer.match(/HTTP.1.1 \d\d\d/g)).toHaveLength(1);
    expect(answer).not.toMatch(/^HTTP.1.1 200 /);
    expect(api.calls).toEqual([]);
  });

  test("are two where they are: each is judged by itself", async () => {
    const own = [...head, "content-length: 2"];
    const answer = await exchange(
      ...own,
      alice,
      "",
      `{}${head[0]}`,
      "host: api.test",
      "content-type: application/json",
      "content-length: 2",
      "connection: close",
      "",
      "{}",
    );
    expect(answer.match(/HTTP.1.1 \d\d\d/g)).toEqual(["HTTP/1.1 200", "HTTP/1.1 401"]);
    expect(api.calls).toEqual(["WhoAmI by alice: 0"]);
  });
});
