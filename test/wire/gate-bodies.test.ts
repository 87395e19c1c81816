import http2 from "node:http2";
import net from "node:net";
import { text } from "node:stream/consumers";
import { create } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { createClient } from "@connectrpc/connect";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { maxDrainedBytes } from "../../src/server/gate-drain.js";
import type { AuthContext, IncomingCall } from "../../src/server/index.js";
import {
  type MatrixRequest,
  MatrixRequestSchema,
  MatrixService,
} from "../gen/acme/matrix/v1/matrix_pb.js";
import { UserService } from "../gen/acme/user/v1/user_pb.js";
import {
  type CountingServer,
  createTestApi,
  createTestHandler,
  type NodeHandler,
  serve,
  type TestApi,
} from "../support/gated-server.js";
import { matrixPath, protocols } from "./protocols.js";

const admin: AuthContext = {
  subject: "admin",
  roles: ["admin"],
  scopes: ["matrix:use", "users:write"],
  claims: {},
  type: "slow",
};
/** What is read at most before the handler asks for it: the buffers of Node, and one window of HTTP/2. */
const maxBytesRead = 3 * maxDrainedBytes;

let api: TestApi;
let server: CountingServer;
let asked: IncomingCall[];
/** Ends the authentication of the call. */
let authenticated: (identity: AuthContext) => void;
let refused: (error: Error) => void;

beforeEach(() => {
  asked = [];
  api = createTestApi({
    authenticate: {
      identityHeaders: [],
      authenticate: (call) =>
        new Promise((resolve, reject) => {
          asked.push(call);
          authenticated = resolve;
          refused = reject;
        }),
    },
  });
});
afterEach(() => server.close());

/** Waits until the server has read all that it does without a handler. */
async function untilNothingIsRead(): Promise<void> {
  let before = -1;
  while (before !== server.bytesRead() || asked.length === 0) {
    before = server.bytesRead();
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
}

describe.each(protocols)("while a call is authenticated over $name", (protocol) => {
  beforeEach(async () => {
    server = await serve(protocol.httpVersion, api.gate(createTestHandler(api)));
  });
  const transport = () => protocol.createTransport({ baseUrl: server.baseUrl });

  test("its message waits, and arrives whole", async () => {
    const call = createClient(UserService, transport()).deleteUser({ id: "x".repeat(3_000_000) });
    await untilNothingIsRead();
    expect(server.bytesRead()).toBeLessThan(maxBytesRead);
    expect(api.calls).toEqual([]);
    authenticated(admin);
    await call;
    expect(api.calls).toEqual(["DeleteUser by admin: 3000000"]);
    expect(asked).toHaveLength(1);
  });

  test.each(protocol.streams.filter((stream) => stream === "Client" || stream === "Bidi"))(
    "the messages of a %s stream wait, and arrive whole",
    async (stream) => {
      const client = createClient(MatrixService, transport());
      const call =
        stream === "Client"
          ? client.requiresClient(largeMessages())
          : readAll(client.requiresBidi(largeMessages()));
      await untilNothingIsRead();
      expect(server.bytesRead()).toBeLessThan(maxBytesRead);
      expect(api.calls).toEqual([]);
      authenticated(admin);
      await call;
      expect(api.calls).toEqual([`Requires${stream} by admin: ${30 * largeField.length}`]);
      expect(asked).toHaveLength(1);
    },
  );
});

const largeField = new BinaryWriter().bytes(new Uint8Array(100_000)).finish();

async function* largeMessages(): AsyncGenerator<MatrixRequest> {
  for (let n = 0; n < 30; n++) {
    const message = create(MatrixRequestSchema);
    message.$unknown = [{ no: 15, wireType: WireType.LengthDelimited, data: largeField }];
    yield message;
  }
}

async function readAll(messages: AsyncIterable<unknown>): Promise<void> {
  for await (const _message of messages) {
    // the handler counts
  }
}

describe("trailers of a request arrive after a slow authentication", () => {
  /** A handler that echoes body and trailers. */
  const echo: NodeHandler = async (req, res) => {
    const body = await text(req);
    res.end(`${body}, ${req.trailers["x-checksum"]}`);
  };
  const path = matrixPath("requires", "Client");

  test("over HTTP/1.1", async () => {
    server = await serve("1.1", api.gate(echo));
    const socket = net.connect(server.port);
    const head = `POST ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n`;
    socket.write(`${head}\r\n4\r\nbody\r\n0\r\nx-checksum: 42\r\n\r\n`);
    await untilNothingIsRead();
    authenticated(admin);
    expect(await text(socket)).toContain("body, 42");
  });

  test("over HTTP/2", async () => {
    server = await serve("2", api.gate(echo));
    const session = http2.connect(server.baseUrl);
    const header = { ":method": "POST", ":path": path };
    const stream = session.request(header, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "x-checksum": "42" }));
    stream.end("body");
    await untilNothingIsRead();
    authenticated(admin);
    expect(await text(stream)).toBe("body, 42");
    session.close();
  });
});

describe("a caller that goes away", () => {
  const callers = {
    "1.1": () => {
      const socket = net.connect(server.port);
      const head = `POST ${matrixPath("requires", "Unary")} HTTP/1.1\r\nhost: x\r\n`;
      socket.write(`${head}content-type: application/json\r\ncontent-length: 2\r\n\r\n{}`);
      return () => socket.destroy();
    },
    "2": () => {
      const session = http2.connect(server.baseUrl);
      const path = matrixPath("requires", "Unary");
      const header = { ":method": "POST", ":path": path, "content-type": "application/json" };
      session.request(header).on("error", () => {});
      return () => session.destroy();
    },
  };

  test.each(["1.1", "2"] as const)("ends its authentication, over HTTP/%s", async (version) => {
    const handler = vi.fn();
    server = await serve(version, api.gate(handler));
    const leave = callers[version]();
    await vi.waitFor(() => expect(asked).toHaveLength(1));
    expect(asked[0]?.signal.aborted).toBe(false);
    leave();
    await vi.waitFor(() => expect(asked[0]?.signal.aborted).toBe(true));
    authenticated(admin);
    await new Promise((resolve) => setImmediate(resolve));
    expect(handler).not.toHaveBeenCalled();
  });

  test.each(["1.1", "2"] as const)("is not answered, over HTTP/%s", async (version) => {
    const written: unknown[] = [];
    const gate = api.gate(vi.fn());
    server = await serve(version, (req, res) => {
      const setHeader = res.setHeader.bind(res);
      res.setHeader = (name: string, value: string) => {
        written.push(name);
        return setHeader(name, value);
      };
      gate(req, res);
    });
    const leave = callers[version]();
    await vi.waitFor(() => expect(asked).toHaveLength(1));
    leave();
    await vi.waitFor(() => expect(asked[0]?.signal.aborted).toBe(true));
    refused(new Error("no longer needed"));
    await vi.waitFor(() => expect(api.denials).toHaveLength(1));
    await new Promise((resolve) => setImmediate(resolve));
    expect(written).toEqual([]);
  });
});
