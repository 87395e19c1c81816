import http2 from "node:http2";
import { Code, ConnectError } from "@connectrpc/connect";
import { endStreamFromJson, errorFromJsonBytes } from "@connectrpc/connect/protocol-connect";
import { findTrailerError } from "@connectrpc/connect/protocol-grpc";
import { trailerParse } from "@connectrpc/connect/protocol-grpc-web";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { lingerMs, maxDrainedBytes } from "../../src/server/gate-drain.js";
import { giveUpAfterMs, resetAfterMs } from "../../src/server/gate-reset.js";
import { type Answer, postEndlessly, streamEndlessly } from "../support/endless-body.js";
import {
  type CountingServer,
  createTestApi,
  createTestHandler,
  listen,
  serve,
  type TestApi,
  until,
} from "../support/gated-server.js";
import { certificates } from "../support/mutual-tls.js";
import { createTestToken } from "../support/test-token.js";
import { matrixPath } from "./protocols.js";

/** What is read at most: beside the bound, the rest of one read, and what Node buffers of a request. */
const maxBytesRead = maxDrainedBytes + 2 * 65_536;

/** How callers of a protocol are answered. */
interface Dialect {
  readonly contentType: string;
  readonly answerType: string;
  readonly path: string;
  readonly status: number;
  readonly readError: (answer: Answer) => ConnectError | undefined;
}

const withoutEnvelope = ({ body }: Answer) => body.subarray(5);
const noError = new ConnectError("no error in the answer", Code.Unknown);
const unary: Pick<Dialect, "path" | "status" | "readError"> = {
  path: matrixPath("requires", "Unary"),
  status: 401,
  readError: ({ body }) => errorFromJsonBytes(body, undefined, noError),
};
const streaming: typeof unary = {
  path: matrixPath("requires", "Client"),
  status: 200,
  readError: (answer) => endStreamFromJson(withoutEnvelope(answer)).error,
};
const grpc: typeof unary = {
  path: matrixPath("requires", "Client"),
  status: 200,
  readError: ({ headers }) => findTrailerError(new Headers(headers)),
};
const grpcWeb: typeof unary = {
  path: matrixPath("requires", "Client"),
  status: 200,
  readError: (answer) => findTrailerError(trailerParse(withoutEnvelope(answer))),
};
const json = "application/json";
const dialects: readonly Dialect[] = [
  { contentType: json, answerType: json, ...unary },
  { contentType: "application/proto", answerType: json, ...unary },
  { contentType: "application/connect+json", answerType: "application/connect+json", ...streaming },
  {
    contentType: "application/connect+proto",
    answerType: "application/connect+proto",
    ...streaming,
  },
  { contentType: "application/grpc", answerType: "application/grpc+proto", ...grpc },
  { contentType: "application/grpc+proto", answerType: "application/grpc+proto", ...grpc },
  { contentType: "application/grpc+json", answerType: "application/grpc+json", ...grpc },
  { contentType: "application/grpc-web", answerType: "application/grpc-web+proto", ...grpcWeb },
  {
    contentType: "application/grpc-web+proto",
    answerType: "application/grpc-web+proto",
    ...grpcWeb,
  },
  { contentType: "application/grpc-web+json", answerType: "application/grpc-web+json", ...grpcWeb },
  { contentType: "application/grpc-web-text", answerType: json, ...unary },
  { contentType: "text/plain", answerType: json, ...unary },
];

let api: TestApi;
let server: CountingServer;
beforeEach(() => {
  api = createTestApi();
});
afterEach(async () => {
  vi.useRealTimers();
  await server.close();
});

function expectRefusal(answer: Answer, { status, answerType, readError }: Dialect): void {
  expect(answer.status).toBe(status);
  expect(answer.headers["content-type"]).toBe(answerType);
  expect(readError(answer)).toMatchObject({
    code: Code.Unauthenticated,
    rawMessage: "missing credentials",
  });
  expect(api.denials).toHaveLength(1);
  expect(api.calls).toEqual([]);
  expect(server.bytesRead()).toBeLessThan(maxBytesRead);
}

describe("a body without an end over HTTP/1.1", () => {
  describe.each(["content-length", "chunked"] as const)("with %s", (framing) => {
    test.each(dialects)("is refused unread, as $contentType", async (dialect) => {
      server = await serve("1.1", api.gate(createTestHandler(api)));
      const { contentType, path } = dialect;
      const headers = { "content-type": contentType };
      expectRefusal(await postEndlessly({ ...server, path, headers }, framing), dialect);
    });

    test.each(["close", "keep-alive"])(
      "ends the connection, with connection: %s, and lets it go after a while",
      async (connection) => {
        vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
        server = await serve("1.1", api.gate(createTestHandler(api)));
        const headers = { "content-type": "application/json", connection };
        const path = matrixPath("requires", "Unary");
        await postEndlessly({ ...server, path, headers }, framing);
        expect(server.sockets.size).toBe(1);
        const [socket] = server.sockets;
        const gone = new Promise((resolve) => socket?.once("close", resolve));
        vi.advanceTimersByTime(lingerMs - 1);
        expect(socket?.destroyed).toBe(false);
        vi.advanceTimersByTime(1);
        expect(socket?.destroyed).toBe(true);
        await gone;
        expect(server.bytesRead()).toBeLessThan(maxBytesRead);
        expect(vi.getTimerCount()).toBe(0);
      },
    );
  });
});

describe("a body without an end over HTTP/2", () => {
  let session: http2.ClientHttp2Session;
  beforeEach(async () => {
    server = await serve("2", api.gate(createTestHandler(api)));
    session = http2.connect(server.baseUrl);
  });
  afterEach(() => session.destroy());

  test.each(dialects)("is refused unread, as $contentType", async (dialect) => {
    const { contentType, path } = dialect;
    const headers = { "content-type": contentType };
    const answer = await streamEndlessly(session, { path, headers });
    expectRefusal(answer, dialect);
    expect(answer.resetCode).toBe(http2.constants.NGHTTP2_NO_ERROR);
    // gRPC calls that "Trailers-Only"
    expect(answer.isHeaderOnly).toBe(dialect.answerType.startsWith("application/grpc+"));
  });

  test("does no harm to another stream of the connection", async () => {
    const authorization = `Bearer ${await createTestToken({ sub: "alice" })}`;
    const other = session.request({
      ":method": "POST",
      ":path": matrixPath("authenticated", "Client"),
      "content-type": "application/connect+json",
      authorization,
    });
    const message = Buffer.from([0, 0, 0, 0, 2, 0x7b, 0x7d]);
    other.write(message);
    const path = matrixPath("requires", "Client");
    const headers = { "content-type": "application/grpc" };
    await Promise.all(
      Array.from({ length: 20 }, () => streamEndlessly(session, { path, headers })),
    );
    expect(api.denials).toHaveLength(20);
    expect(api.calls).toEqual([]);
    other.end(message);
    const body = Buffer.concat(await other.toArray());
    // a message, and the end of the stream without an error
    expect(body.toString()).toBe("\0\0\0\0\x02{}\x02\0\0\0\x02{}");
    expect(api.calls).toEqual(["AuthenticatedClient by alice: 0"]);
  });
});

describe("a stream of HTTP/2 that was refused", () => {
  test.each([
    {
      name: "takes its answer",
      initialWindowSize: 65_535,
      afterMs: resetAfterMs,
      code: "NO_ERROR" as const,
    },
    { name: "does not", initialWindowSize: 0, afterMs: giveUpAfterMs, code: "CANCEL" as const },
  ])("is reset after $afterMs ms where the client $name", async (row) => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const { initialWindowSize, afterMs, code } = row;
    const { client, stream, received, answered } = await open({ settings: { initialWindowSize } });
    stream.write("{");
    await answered;
    await untilIdle();
    vi.advanceTimersByTime(afterMs - 1);
    await untilIdle();
    expect([stream.closed, received.closed]).toEqual([false, false]);
    vi.advanceTimersByTime(1);
    await until(() => stream.destroyed && received.destroyed);
    expect(stream.rstCode).toBe(http2.constants[`NGHTTP2_${code}`]);
    expect(vi.getTimerCount()).toBe(0);
    client.destroy();
  });

  test("is forgotten at once where it did end", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    let release = () => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    api = createTestApi({
      authenticate: {
        identityHeaders: [],
        async authenticate() {
          await released;
          return undefined;
        },
      },
    });
    const { client, stream, received } = await open({});
    stream.end("{}");
    await untilIdle();
    release();
    await until(() => stream.destroyed && received.destroyed);
    expect(stream.rstCode).toBe(http2.constants.NGHTTP2_NO_ERROR);
    expect(vi.getTimerCount()).toBe(0);
    client.destroy();
  });

  /** Opens a stream, and returns both of its ends. */
  async function open(options: http2.ClientSessionOptions) {
    const gate = api.gate(createTestHandler(api));
    let received: http2.ServerHttp2Stream | undefined;
    server = await serve("2", (req, res) => {
      received = "stream" in req ? req.stream : undefined;
      gate(req, res);
    });
    const client = http2.connect(server.baseUrl, options);
    const path = matrixPath("requires", "Unary");
    const stream = client.request({ ":method": "POST", ":path": path });
    stream.on("error", () => {}).resume();
    const answered = new Promise((resolve) => stream.once("response", resolve));
    await until(() => received !== undefined);
    expect.assert(received !== undefined);
    return { client, stream, received, answered };
  }

  /** Lets everything happen that needs no time. */
  async function untilIdle(): Promise<void> {
    for (let n = 0; n < 20; n++) {
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
});

describe("a body without an end over TLS", () => {
  const { cert, key } = certificates.server;
  const [dialect] = dialects;
  expect.assert(dialect !== undefined);
  const { path, contentType } = dialect;
  const headers = { "content-type": contentType };
  let baseUrl: string;
  beforeEach(async () => {
    const handler = api.gate(createTestHandler(api));
    const secure = http2.createSecureServer({ cert, key, allowHTTP1: true }, handler);
    server = await listen(secure);
    baseUrl = server.baseUrl.replace("http:", "https:");
  });

  test.each(["content-length", "chunked"] as const)(
    "is refused unread, with %s",
    async (framing) => {
      const answer = await postEndlessly({ ...server, path, headers, ca: cert }, framing);
      expectRefusal(answer, dialect);
    },
  );

  test("is refused unread, in a stream of HTTP/2", async () => {
    const session = http2.connect(baseUrl, { ca: cert });
    expectRefusal(await streamEndlessly(session, { path, headers }), dialect);
    session.destroy();
  });
});
