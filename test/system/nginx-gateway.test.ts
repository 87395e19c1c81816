import { once } from "node:events";
import http from "node:http";
import http2 from "node:http2";
import net from "node:net";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Listening, listenOnLoopback } from "../../example/loopback.js";
import { Auth } from "../../src/index.js";
import { createGatewayAuthInterceptor, createServerAuth } from "../../src/server/index.js";
import { MatrixServicePolicies } from "../gen/acme/matrix/v1/matrix_auth.js";
import { matrixRoutes, type SeenCall } from "../support/matrix-routes.js";
import { type Nginx, startNginx } from "../support/nginx.js";
import { readCodeBlocks } from "../support/readme.js";
import { refusalOf } from "../support/refusal-of.js";
import { callMatrix, createMatrixClient, matrixPath, protocols } from "../wire/protocols.js";

// The gateways of docs/gateway.md in front of a server of ours. Whatever a
// client sends, it stays the one that its key belongs to.

const [mapConfig = "", requestConfig = ""] = readCodeBlocks("docs/gateway.md")
  .filter(({ language }) => language === "nginx")
  .map(({ text }) => text);

/** In the documentation. */
const secret = "the secret of gateway and server";
const keys = new Map([
  ["key-of-alice", { subject: "alice", roles: '["admin"]' }],
  ["key-of-bob", { subject: "bob", roles: undefined }],
]);

const seen: SeenCall[] = [];
/** Names of the headers of each request, as the gateway sent them. */
const arrived: string[] = [];
let http1: Listening;
let cleartext2: Listening;
let whoIs: Listening;

beforeAll(async () => {
  const auth = createServerAuth({
    policies: [MatrixServicePolicies],
    authenticate: createGatewayAuthInterceptor({ trustSource: { expectedValues: [secret] } }),
  });
  // gated, as a bare handler may close the connection while nginx sends it a body, which then answers 502
  const handle = auth.gate(
    connectNodeAdapter({
      routes: auth.guard(
        matrixRoutes((call) => {
          seen.push(call);
        }),
      ),
      interceptors: auth.interceptors,
    }),
  );
  const record = ({ headers }: http.IncomingMessage | http2.Http2ServerRequest) => {
    arrived.push(...Object.keys(headers));
  };
  http1 = await listenOnLoopback(
    http.createServer((req, res) => {
      record(req);
      handle(req, res);
    }),
  );
  cleartext2 = await listenOnLoopback(
    http2.createServer((req, res) => {
      record(req);
      handle(req, res);
    }),
  );
  whoIs = await listenOnLoopback(
    http.createServer((req, res) => {
      const key = req.headers["x-api-key"];
      const { subject, roles } = keys.get(`${key}`) ?? {};
      if (subject !== undefined) {
        res.setHeader("x-auth-subject", subject);
      }
      if (roles !== undefined) {
        res.setHeader("x-auth-roles", roles);
      }
      res.writeHead(key === undefined || subject !== undefined ? 204 : 401).end();
    }),
  );
});
afterAll(() => Promise.all([http1, cleartext2, whoIs].map((server) => server?.close())));

beforeEach(() => {
  seen.length = 0;
  arrived.length = 0;
});

const portOf = ({ baseUrl }: Listening) => new URL(baseUrl).port;

/** Puts free ports in the place of those in the documentation. */
async function startGateway(documented: string, setting: string): Promise<Nginx> {
  const listening = ["8080", "8081"].filter((port) => documented.includes(`listen ${port}`));
  return startNginx(listening.length, (ports) => {
    const others = { 5001: portOf(http1), 5002: portOf(cleartext2), 5003: portOf(whoIs) };
    let config = documented;
    for (const [i, port] of listening.entries()) {
      config = config.replaceAll(`listen ${port}`, `listen 127.0.0.1:${ports[i]}`);
    }
    for (const [port, replacement] of Object.entries(others)) {
      config = config.replaceAll(`127.0.0.1:${port}`, `127.0.0.1:${replacement}`);
    }
    return `${setting}\n${config}`;
  });
}

/** Of headers that carry an identity, in any spelling. */
function identityHeaders(names: Iterable<string>): string[] {
  return [...names].filter((name) => /^x[^a-z](?:auth|gateway)[^a-z]/.test(name));
}

/** Who the handlers saw, and which headers of an identity. */
function seenBy(calls: readonly SeenCall[]): string[] {
  return calls.map(({ subject, roles, header }) =>
    [subject, ...roles, ...identityHeaders(header.keys())].join(),
  );
}

const gateways = [
  { gateway: "a map of keys", config: mapConfig },
  { gateway: "a service that is asked", config: requestConfig },
];
const settings = [
  { setting: "", described: "as it comes" },
  { setting: "underscores_in_headers on;", described: "with underscores_in_headers" },
  { setting: "ignore_invalid_headers off;", described: "without ignore_invalid_headers" },
];
const setups = gateways.flatMap((gateway) =>
  settings.map((setting) => ({ ...gateway, ...setting })),
);

/** What a client could hope to be another with. The secret is the right one: the gateway alone may send it. */
const smuggled: Readonly<Record<string, string>>[] = [
  { "x-auth-subject": "alice" },
  { "X-Auth-Subject": "alice", "X-Auth-Roles": '["admin"]' },
  { x_auth_subject: "alice" },
  { "x_auth-subject": "alice" },
  { "x-auth_subject": "alice" },
  { x_auth_roles: '["admin"]', "x-auth-roles": '["admin"]' },
  { "x-gateway-secret": "guess", "x-auth-subject": "alice" },
  { "x-gateway-secret": secret, "x-auth-subject": "alice", "x-auth-roles": '["admin"]' },
  { x_gateway_secret: secret, x_auth_subject: "alice", x_auth_roles: '["admin"]' },
  { "x.auth.subject": "alice", "x~auth~roles": '["admin"]' },
  { "x-auth-name": "Alice", "x-auth-scopes": "matrix:use", "x-auth-claims": "{}" },
];

describe.each(setups)("behind nginx with $gateway, $described", ({ config, setting }) => {
  let nginx: Nginx;
  beforeAll(async () => {
    nginx = await startGateway(config, setting);
  });
  afterAll(() => nginx?.close());

  /** The protocols that this gateway speaks. */
  const spoken = protocols.filter(
    ({ httpVersion }) => httpVersion === "1.1" || config.includes("http2"),
  );
  const clientOf = (protocol: (typeof protocols)[number], apiKey?: string) =>
    createMatrixClient(
      protocol,
      { baseUrl: `http://127.0.0.1:${nginx.ports[protocol.httpVersion === "2" ? 1 : 0]}` },
      {
        credentials: apiKey === undefined ? Auth.none() : Auth.header("x-api-key", apiKey),
        internalCredentials: Auth.none(),
        sendOnPublic: "if-available",
      },
    );

  test.each(spoken)("everybody is who their key says, over $name", async (protocol) => {
    const alice = clientOf(protocol, "key-of-alice");
    const bob = clientOf(protocol, "key-of-bob");
    const nobody = clientOf(protocol);
    for (const stream of protocol.streams) {
      await callMatrix(alice, "authenticated", stream);
      await callMatrix(bob, "authenticated", stream);
      await callMatrix(nobody, "public", stream);
      expect(seenBy(seen.splice(0))).toEqual(["alice,admin", "bob", "nobody"]);
      for (const policy of ["authenticated", "internal"] as const) {
        expect(await refusalOf(callMatrix(nobody, policy, stream))).toMatchObject({
          code: "Unauthenticated",
          message: "missing credentials",
        });
      }
      const guest = clientOf(protocol, "key-of-nobody");
      expect((await refusalOf(callMatrix(guest, "authenticated", stream))).code).toBe(
        "Unauthenticated",
      );
      expect(seen).toEqual([]);
    }
  });

  test.each(spoken)("nobody becomes another by headers, over $name", async (protocol) => {
    const bob = clientOf(protocol, "key-of-bob");
    const nobody = clientOf(protocol);
    for (const stream of protocol.streams) {
      for (const headers of smuggled) {
        await callMatrix(bob, "authenticated", stream, { headers });
        await callMatrix(bob, "public", stream, { headers });
        await callMatrix(nobody, "public", stream, { headers });
        expect(seenBy(seen.splice(0))).toEqual(["bob", "nobody", "nobody"]);
        const refusal = await refusalOf(callMatrix(nobody, "authenticated", stream, { headers }));
        expect(refusal).toMatchObject({
          code: "Unauthenticated",
          message: "missing credentials",
        });
        expect(seen).toEqual([]);
      }
    }
    // so it was our server that told them apart
    const twins = identityHeaders(arrived).filter((name) => !/^[a-z-]+$/.test(name));
    expect(twins.length > 0).toBe(setting !== "");
  });

  test.each(spoken.filter(({ name }) => name === "gRPC over HTTP/2"))(
    "nobody becomes another by frames, over $name",
    async () => {
      const session = http2.connect(`http://127.0.0.1:${nginx.ports[1]}`);
      for (const headers of smuggled) {
        const twice = Object.entries(headers).map(([name, value]) => [name, [value, value]]);
        const request = session.request({
          ":method": "POST",
          ":path": matrixPath("authenticated", "Unary"),
          "content-type": "application/grpc",
          te: "trailers",
          "x-api-key": "key-of-bob",
          ...Object.fromEntries(twice),
        });
        let status: unknown;
        request.on("trailers", (trailers) => {
          status = trailers["grpc-status"];
        });
        request.resume().end(Buffer.alloc(5)); // an empty message
        await once(request, "close");
        expect(status).toBe("0");
        expect(seenBy(seen.splice(0))).toEqual(["bob"]);
      }
      session.close();
    },
  );

  /** Sends bytes, and returns the status of the answer; 0: none. */
  async function send(policy: "authenticated" | "public", lines: readonly string[]) {
    const socket = net.connect(nginx.ports[0] ?? 0, "127.0.0.1");
    const head = [
      `POST ${matrixPath(policy, "Unary")} HTTP/1.1`,
      "Host: api.test",
      "Connection: close",
      "Content-Type: application/json",
      ...lines,
    ];
    socket.write(`${head.join("\r\n")}\r\n\r\n{}`);
    let answer = "";
    for await (const chunk of socket) {
      answer += chunk;
    }
    return Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1] ?? 0);
  }

  test.each<{ name: string; lines: readonly string[] }>([
    { name: "a header", lines: ["X-Auth-Subject: alice"] },
    { name: "capitals", lines: ["X-AUTH-SUBJECT: alice"] },
    { name: "no space", lines: ["x-auth-subject:alice"] },
    { name: "a header twice", lines: ["x-auth-subject: alice", "X-Auth-Subject: alice"] },
    { name: "spaces after the value", lines: ["x-auth-subject: alice   "] },
    { name: "a space after the name", lines: ["x-auth-subject : alice"] },
    { name: "a tab after the name", lines: ["x-auth-subject\t: alice"] },
    { name: "a space before the name", lines: [" x-auth-subject: alice"] },
    { name: "a folded line", lines: ["X-Other: 1", " X-Auth-Subject: alice"] },
    { name: "a folded value", lines: ["X-Auth-Subject:", " alice"] },
    { name: "a line feed alone", lines: ["X-Other: 1\nX-Auth-Subject: alice"] },
    { name: "a carriage return alone", lines: ["X-Other: 1\rX-Auth-Subject: alice"] },
    { name: "a zero byte", lines: ["X-Auth-Subject\0: alice"] },
    { name: "a zero byte in a value", lines: ["X-Other: 1\0X-Auth-Subject: alice"] },
    { name: "underscores", lines: ["x_auth_subject: alice", "x_gateway_secret: guess"] },
    { name: "an underscore", lines: ["x_auth-subject: alice"] },
    { name: "another character", lines: ["x.auth.subject: alice", "x~auth~subject: alice"] },
    { name: "a guessed secret", lines: ["x-gateway-secret: guess", "x-auth-subject: alice"] },
    {
      name: "the secret, which only the gateway may send",
      lines: [`x-gateway-secret: ${secret}`, "x-auth-subject: alice"],
    },
    {
      name: "headers for one hop, to get rid of those of the gateway",
      lines: ["Connection: x-auth-subject, x-gateway-secret, x-auth-roles"],
    },
    {
      name: "a length, and chunks that have a request of their own",
      lines: [
        "Transfer-Encoding: chunked",
        "",
        "0",
        "",
        `POST ${matrixPath("authenticated", "Unary")} HTTP/1.1`,
        "Host: api.test",
        `x-gateway-secret: ${secret}`,
        "x-auth-subject: alice",
        "Content-Type: application/json",
        "Content-Length: 2",
      ],
    },
  ])("nobody becomes another by bytes: $name", async ({ lines }) => {
    const isChunked = lines[0] === "Transfer-Encoding: chunked";
    const framed = isChunked ? ["Content-Length: 2", ...lines] : [...lines, "Content-Length: 2"];
    const bob = "X-Api-Key: key-of-bob";
    // 400 is what nginx says of bytes that it does not take for a request
    const ofBob = await send("authenticated", [bob, ...framed]);
    expect([200, 400]).toContain(ofBob);
    expect(seenBy(seen.splice(0))).toEqual(ofBob === 200 ? ["bob"] : []);
    const ofNobody = await send("public", framed);
    expect([200, 400]).toContain(ofNobody);
    expect(seenBy(seen.splice(0))).toEqual(ofNobody === 200 ? ["nobody"] : []);
    expect([400, 401]).toContain(await send("authenticated", framed));
    expect(seen).toEqual([]);
  });
});

test("past the gateway, its headers are worth nothing without the secret", async () => {
  for (const protocol of protocols) {
    const { baseUrl } = protocol.httpVersion === "2" ? cleartext2 : http1;
    const client = createMatrixClient(protocol, { baseUrl }, { credentials: Auth.none() });
    for (const headers of smuggled.filter((header) => header["x-gateway-secret"] !== secret)) {
      const call = callMatrix(client, "authenticated", "Unary", { headers });
      expect((await refusalOf(call)).code).toBe("Unauthenticated");
    }
  }
  expect(seen).toEqual([]);
});
