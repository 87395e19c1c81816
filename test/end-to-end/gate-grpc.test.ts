import { execFile } from "node:child_process";
import { Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { Code } from "@connectrpc/connect";
import * as grpc from "@grpc/grpc-js";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  type CountingServer,
  createTestApi,
  createTestHandler,
  serve,
  type TestApi,
} from "../support/gated-server.js";
import { createTestToken } from "../support/test-token.js";
import { matrixPath, type StreamKind } from "../wire/protocols.js";

let api: TestApi;
let server: CountingServer;
beforeAll(async () => {
  api = createTestApi();
  server = await serve("2", api.gate(createTestHandler(api)));
});
beforeEach(() => {
  api.calls.length = 0;
  api.denials.length = 0;
});
afterAll(() => server.close());

const alice = await createTestToken({ sub: "alice" });
const admin = await createTestToken({ sub: "admin", roles: ["admin"], scope: "matrix:use" });
const streams: readonly StreamKind[] = ["Unary", "Server", "Client", "Bidi"];
const missing = { code: Code.Unauthenticated, message: "missing credentials", challenge: "Bearer" };

describe("a client of grpc-js", () => {
  let client: grpc.Client;
  beforeAll(() => {
    client = new grpc.Client(`127.0.0.1:${server.port}`, grpc.credentials.createInsecure());
  });
  afterAll(() => client.close());

  const asIs = (bytes: Buffer) => bytes;

  /** What became of a call: its status, and how much came. `messages` left out: they do not end. */
  function call(stream: StreamKind, token?: string, messages?: number) {
    const metadata = new grpc.Metadata();
    if (token !== undefined) {
      metadata.set("authorization", `Bearer ${token}`);
    }
    const path = matrixPath("requires", stream);
    const empty = Buffer.alloc(0);
    return new Promise((resolve) => {
      let received = 0;
      const count = () => {
        received += 1;
      };
      const end = (status: grpc.StatusObject) => {
        const challenge = status.metadata.get("www-authenticate").join();
        const { code, details: message } = status;
        resolve(code === grpc.status.OK ? received : { code, message, challenge });
      };
      const start = () => {
        switch (stream) {
          case "Unary":
            return client.makeUnaryRequest(path, asIs, asIs, empty, metadata, count);
          case "Server":
            return client.makeServerStreamRequest(path, asIs, asIs, empty, metadata);
          case "Client":
            return client.makeClientStreamRequest(path, asIs, asIs, metadata, count);
          case "Bidi":
            return client.makeBidiStreamRequest(path, asIs, asIs, metadata);
        }
      };
      const started = start();
      started.on("status", end);
      started.on("data", count);
      started.on("error", () => {});
      if (started instanceof Writable) {
        send(started, messages);
      }
    });
  }

  /** Sends large messages, as many as there shall be. */
  function send(started: Writable, messages = Number.POSITIVE_INFINITY): void {
    // field 15, 10,000 bytes
    const message = Buffer.concat([Buffer.from([0x7a, 0x90, 0x4e]), Buffer.alloc(10_000)]);
    let left = messages;
    const write = () => {
      while (started.writable && left > 0) {
        left -= 1;
        if (!started.write(message)) {
          started.once("drain", write);
          return;
        }
      }
      started.end();
    };
    write();
  }

  test.each(streams)(
    "is refused without a credential in a %s call, which need not end",
    async (stream) => {
      for (let n = 0; n < 5; n++) {
        expect(await call(stream)).toEqual(missing);
      }
      expect(api.denials).toHaveLength(5);
      expect(api.calls).toEqual([]);
    },
  );

  test.each(streams)(
    "is refused without the role in a %s call, which need not end",
    async (stream) => {
      expect(await call(stream, alice)).toEqual({
        code: Code.PermissionDenied,
        message: "access denied",
        challenge: 'Bearer error="insufficient_scope", scope="matrix:use"',
      });
    },
  );

  test.each(streams)("is served in a %s call", async (stream) => {
    const received = { Unary: 1, Server: 2, Client: 1, Bidi: 50 }[stream];
    expect(await call(stream, admin, 50)).toBe(received);
    const bytes = stream === "Client" || stream === "Bidi" ? 50 * 10_002 : 0;
    expect(api.calls).toEqual([`Requires${stream} by admin: ${bytes}`]);
  });
});

describe.each(["connect", "grpc", "grpcweb"])("buf curl that speaks %s", (protocol) => {
  interface Finished {
    readonly exitCode: number | null;
    readonly stdout: string;
    readonly stderr: string;
  }

  function curl(method: string, ...more: string[]): Promise<Finished> {
    const root = fileURLToPath(new URL("../..", import.meta.url));
    const args = [
      ...["curl", "--schema", ".", "--http2-prior-knowledge", "--protocol", protocol],
      ...["--data", "{}{}", ...more, server.baseUrl + method],
    ];
    return new Promise((resolve) => {
      const child = execFile(`${root}/node_modules/.bin/buf`, args, { cwd: root }, (_, out, err) =>
        resolve({ exitCode: child.exitCode, stdout: out, stderr: err }),
      );
    });
  }

  test.each(streams)("is refused and served in a %s call", async (stream) => {
    const data = stream === "Unary" || stream === "Server" ? ["--data", "{}"] : [];
    const path = matrixPath("requires", stream);
    const refused = await curl(path, ...data);
    // buf curl exits with the gRPC code in the upper five bits
    expect(refused).toMatchObject({ exitCode: Code.Unauthenticated << 3, stdout: "" });
    expect(JSON.parse(refused.stderr)).toEqual({
      code: "unauthenticated",
      message: "missing credentials",
    });
    const served = await curl(path, ...data, "--header", `authorization: Bearer ${admin}`);
    expect(served).toMatchObject({ exitCode: 0, stderr: "" });
    expect(api.calls).toEqual([`Requires${stream} by admin: 0`]);
    expect(api.denials).toHaveLength(1);
  });
});
