import { create } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { Code, createClient } from "@connectrpc/connect";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
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
  serve,
  type TestApi,
} from "../support/gated-server.js";
import { protocols } from "../wire/protocols.js";

let api: TestApi;
let server: CountingServer;
beforeEach(() => {
  api = createTestApi();
});
afterEach(() => server.close());

const missing = {
  name: "ConnectError",
  code: Code.Unauthenticated,
  rawMessage: "missing credentials",
};

describe.each(protocols)("a client that speaks $name", (protocol) => {
  beforeEach(async () => {
    server = await serve(protocol.httpVersion, api.gate(createTestHandler(api)));
  });
  const transport = () => protocol.createTransport({ baseUrl: server.baseUrl });

  test("reads the refusal of a call with a large message", async () => {
    // What a reset leaves unsent counts for the memory of a session in Node's client, which
    // takes no answer any more beyond 10 MB: see docs/gate.md.
    const id = "x".repeat(1_000_000);
    const users = createClient(UserService, transport());
    for (let n = 0; n < 5; n++) {
      await expect(users.deleteUser({ id })).rejects.toMatchObject(missing);
    }
    expect(api.denials).toHaveLength(5);
    expect(api.calls).toEqual([]);
  });

  test.each(protocol.streams.filter((stream) => stream === "Client" || stream === "Bidi"))(
    "reads the refusal of a %s stream that does not end",
    async (stream) => {
      const matrix = createClient(MatrixService, transport());
      const call = () =>
        stream === "Client"
          ? matrix.requiresClient(endlessMessages())
          : readAll(matrix.requiresBidi(endlessMessages()));
      for (let n = 0; n < 5; n++) {
        await expect(call()).rejects.toMatchObject(missing);
      }
      expect(api.denials).toHaveLength(5);
      expect(api.calls).toEqual([]);
    },
  );

  test.each(protocol.streams.filter((stream) => stream === "Client" || stream === "Bidi"))(
    "reads the refusal of a %s stream that waits for it",
    async (stream) => {
      const matrix = createClient(MatrixService, transport());
      let answered = () => {};
      const answer = new Promise<void>((resolve) => {
        answered = resolve;
      });
      async function* messages() {
        yield {};
        await answer;
      }
      const call =
        stream === "Client"
          ? matrix.requiresClient(messages())
          : readAll(matrix.requiresBidi(messages()));
      await expect(call.finally(answered)).rejects.toMatchObject(missing);
      expect(api.denials).toHaveLength(1);
    },
  );
});

const field = new BinaryWriter().bytes(new Uint8Array(10_000)).finish();

async function* endlessMessages(): AsyncGenerator<MatrixRequest> {
  for (;;) {
    const message = create(MatrixRequestSchema);
    message.$unknown = [{ no: 15, wireType: WireType.LengthDelimited, data: field }];
    yield message;
  }
}

async function readAll(messages: AsyncIterable<unknown>): Promise<void> {
  for await (const _message of messages) {
    // an error of a stream comes with a message
  }
}
