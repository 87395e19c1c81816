import http2 from "node:http2";
import net from "node:net";
import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import {
  type CountingServer,
  createTestApi,
  createTestHandler,
  serve,
  type TestApi,
} from "../support/gated-server.js";
import { createTestToken } from "../support/test-token.js";
import { authorization, type Presented } from "./authorization.js";
import { changed, headerChar, headerText } from "./change-text.js";
import { hold, inputsOf } from "./inputs.js";
import { createTally } from "./tally.js";

const alice = await createTestToken({ sub: "alice", exp: 4_000_000_000 });
const whoAmI = "/acme.user.v1.UserService/WhoAmI";
const paths = [
  whoAmI,
  "/acme.user.v1.UserService/GetProfile",
  "/acme.user.v1.UserService/DeleteUser",
  "/acme.user.v1.UserService/Reindex",
  "/acme.matrix.v1.MatrixService/AuthenticatedServer",
];

const path = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...paths) },
  {
    weight: 3,
    arbitrary: fc.oneof(
      fc.constantFrom(...paths).chain(changed),
      fc.constantFrom(...paths).map((text) => `${text}?access_token=${alice}`),
      headerText,
      fc.constantFrom(
        "*",
        "//",
        "/\\",
        "/%",
        "http://[",
        "https://evil.test/a.B/C",
        "/__proto__/x",
      ),
    ),
  },
);
const credential = authorization(
  fc
    .oneof(fc.constant(alice), changed(alice), headerText)
    .map((text) => ({ text, good: new Map([[alice, "alice"]]) })),
);
const contentType = fc.constantFrom(
  "application/json",
  "application/proto",
  "application/connect+json",
  "application/grpc",
  "application/grpc-web+proto",
  "text/html",
);
const otherName = fc.constantFrom(
  "x-gateway-secret",
  "x-auth-subject",
  "x-auth-roles",
  "x_auth_subject",
  "dpop",
  "cookie",
  "origin",
  "x-http-method-override",
  "connect-protocol-version",
  "connect-timeout-ms",
  "x-forwarded-host",
  "accept-encoding",
  "grpc-encoding",
  "__proto__",
);
interface Sent {
  readonly method: string;
  readonly path: string;
  readonly host: string;
  readonly credential: Presented | undefined;
  readonly contentType: string;
  readonly others: readonly (readonly [string, string])[];
  readonly body: string;
}

/** What a client sends, but for the credential. */
const usual: fc.Arbitrary<Sent> = fc
  .record({ path: fc.constantFrom(...paths), credential })
  .map((own) => ({
    method: "POST",
    host: "api.test",
    contentType: "application/json",
    others: [],
    body: "{}",
    ...own,
  }));
const wild: fc.Arbitrary<Sent> = fc.record({
  method: fc.constantFrom("POST", "POST", "POST", "GET", "PUT", "OPTIONS", "HEAD", "DELETE"),
  path,
  host: fc.oneof(
    { weight: 3, arbitrary: fc.constant("api.test") },
    { weight: 1, arbitrary: fc.oneof(headerText, fc.constantFrom("[", "a b", "a/b@c", "")) },
  ),
  credential: fc.option(credential, { nil: undefined }),
  contentType,
  others: fc.array(fc.tuple(otherName, headerText), { maxLength: 4 }),
  body: fc.oneof(fc.constant("{}"), fc.string({ unit: headerChar, maxLength: 20 })),
});

const request = fc.oneof({ weight: 2, arbitrary: usual }, { weight: 3, arbitrary: wild });

let api: TestApi;
let server: CountingServer;
afterEach(() => server.close());

async function start(httpVersion: "1.1" | "2"): Promise<void> {
  api = createTestApi();
  server = await serve(httpVersion, api.gate(createTestHandler(api)));
}

/** What the calls were that reached a handler since the last time. */
function takeCalls(): string[] {
  return api.calls.splice(0);
}

/** Whether handlers ran for nobody but who may: for all where the method is public, for alice where she is. */
function isAllowed(call: string, isAlice: boolean): boolean {
  return (
    call.startsWith("GetProfile by undefined") ||
    (isAlice && /^(WhoAmI|AuthenticatedServer) by alice/.test(call))
  );
}

describe("a server gets requests of any kind", () => {
  test("over HTTP/1.1, and answers each", async () => {
    await start("1.1");
    const tally = createTally();
    await hold(inputsOf("requests on the wire", 2), request, async (input) => {
      const { method, path, host, credential, contentType, others, body } = input;
      const target = [...path].filter((char) => char > " ").join("") || "/";
      const fields: (readonly [string, string])[] = [
        ["host", host],
        ["content-type", contentType],
        ...(credential ? [["authorization", credential.value] as const] : []),
        ...others,
        ["content-length", `${body.length}`],
        ["connection", "close"],
      ];
      const head = fields.map(([name, value]) => `${name}: ${value}\r\n`).join("");
      const answer = await exchange(`${method} ${target} HTTP/1.1\r\n${head}\r\n${body}`);
      expect(answer).toMatch(/^HTTP\/1\.1 [2-5]\d\d /);
      const isAlice = credential?.subject === "alice";
      const calls = takeCalls();
      expect(calls.filter((call) => !isAllowed(call, isAlice))).toEqual([]);
      tally.count(calls[0]);
    });
    tally.check();
    const control = `POST ${whoAmI} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer ${alice}\r\ncontent-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}`;
    expect(await exchange(control)).toMatch(/^HTTP\/1\.1 200 /);
  });

  test("over HTTP/2, and answers each", async () => {
    await start("2");
    const tally = createTally();
    await hold(inputsOf("requests on the wire", 2), request, async (input) => {
      const { method, path, host, credential, contentType, others, body } = input;
      const headers: http2.OutgoingHttpHeaders = {
        ...Object.fromEntries(others),
        ":method": method,
        ":path": path || "/",
        ":authority": host,
        "content-type": contentType,
        ...(credential && { authorization: credential.value }),
      };
      const status = await request2(headers, body);
      expect(status).toMatch(/^([2-5]\d\d|refused)$/);
      const isAlice = credential?.subject === "alice";
      const calls = takeCalls();
      expect(calls.filter((call) => !isAllowed(call, isAlice))).toEqual([]);
      tally.count(calls[0]);
    });
    tally.check();
    const good = { ":method": "POST", ":path": whoAmI, authorization: `Bearer ${alice}` };
    expect(await request2({ ...good, "content-type": "application/json" }, "{}")).toBe("200");
  });
});

/** Sends bytes over a connection of its own, and reads what comes until it is closed. */
function exchange(bytes: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = net.connect(server.port, "127.0.0.1");
    let answer = "";
    socket.setEncoding("latin1");
    socket.setTimeout(10_000, () => socket.destroy());
    socket.on("data", (text) => {
      answer += text;
    });
    // a server may close before it has read all
    socket.on("error", () => {});
    socket.on("close", () => resolve(answer));
    socket.write(bytes, "latin1");
  });
}

/** The status of a response; `refused`: the request broke the protocol, and its stream or connection was reset. */
function request2(headers: http2.OutgoingHttpHeaders, body: string): Promise<string> {
  return new Promise((resolve) => {
    const session = http2.connect(server.baseUrl);
    const end = (status: string) => {
      resolve(status);
      session.close();
    };
    session.on("error", () => end("refused"));
    session.setTimeout(10_000, () => {
      end("no answer");
      session.destroy();
    });
    try {
      const stream = session.request(headers);
      stream.on("response", (answer) => end(`${answer[":status"]}`));
      stream.on("error", () => end("refused"));
      stream.on("close", () => end("no answer"));
      stream.resume();
      stream.end(Buffer.from(body, "latin1"));
    } catch {
      end("refused"); // the client does not even send it
      session.destroy();
    }
  });
}
