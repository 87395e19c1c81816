import { Code, ConnectError, type Interceptor, type StreamResponse } from "@connectrpc/connect";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import {
  Auth,
  type AuthOptions,
  type CredentialSource,
  cachedAuth,
  type TransportOptions,
} from "../../src/index.js";
import { callMatrix, createMatrixClient, protocols } from "./protocols.js";
import { type RecordingServer, startRecordingServer } from "./recording-server.js";

const refusal = {
  name: "ConnectError",
  code: Code.Unauthenticated,
  rawMessage: "token refused",
  cause: {
    name: "AuthError",
    code: "credentials_refused",
    message: "the server refused the credential",
    sent: true,
  },
};
const refuse = () => new ConnectError("token refused", Code.Unauthenticated);

/** Gives token-1 until that is refused, then token-2 and so on. */
function createSource() {
  const told: string[] = [];
  const source: CredentialSource = {
    getAuth: ({ reason }) => {
      told.push(reason);
      return Auth.jwt(`token-${1 + told.filter((event) => event === "refused").length}`);
    },
    rejected: () => {
      told.push("refused");
    },
  };
  return { source, told };
}

describe.each(protocols)("a stream over $name", (protocol) => {
  let server: RecordingServer;
  /** What the server does with a call that has the first token. */
  let treatFirst: Interceptor;
  /** How many messages came with each call. */
  const received: number[] = [];
  /** Whether the client has left the calls. */
  let left: Promise<void>;

  beforeAll(async () => {
    const count: Interceptor = (next) => (req) => {
      const call = received.push(0) - 1;
      return next(
        req.stream
          ? {
              ...req,
              message: mapped(req.message, (message) => {
                received[call] = (received[call] ?? 0) + 1;
                return message;
              }),
            }
          : req,
      );
    };
    const treat: Interceptor = (next) => (req) => {
      left = new Promise((resolve) => req.signal.addEventListener("abort", () => resolve()));
      return req.header.get("authorization") === "Bearer token-1"
        ? treatFirst(next)(req)
        : next(req);
    };
    server = await startRecordingServer({
      httpVersion: protocol.httpVersion,
      interceptors: [count, treat],
    });
  });
  beforeEach(() => {
    server.requests.length = 0;
    received.length = 0;
  });
  afterAll(() => server.close());

  function clientWith(auth: AuthOptions, options: Partial<TransportOptions> = {}) {
    return createMatrixClient(protocol, { baseUrl: server.baseUrl, ...options }, auth);
  }
  function arrived() {
    return server.requests.map(({ credentials }) => credentials);
  }
  const sentWith = (n: number) => [["authorization", `Bearer token-${n}`]];

  const beforeFirstMessage: { name: string; treat: Interceptor }[] = [
    {
      name: "before it is read",
      treat: () => () => {
        throw refuse();
      },
    },
    {
      name: "after it is read",
      treat: () => async (req) => {
        for await (const _message of req.stream ? req.message : []) {
          // to the end
        }
        throw refuse();
      },
    },
    {
      name: "in place of the first message",
      treat: (next) => async (req) =>
        replaced(await next(req), (messages) =>
          mapped(messages, () => {
            throw refuse();
          }),
        ),
    },
  ];

  test.each(beforeFirstMessage)(
    "from the server is sent again where it is refused $name",
    async ({ treat }) => {
      treatFirst = treat;
      const { source, told } = createSource();
      const messages: unknown[] = [];
      for await (const message of clientWith({ credentials: source }).requiresServer({})) {
        messages.push(message);
      }
      expect(messages).toHaveLength(2);
      expect(arrived()).toEqual([sentWith(1), sentWith(2)]);
      expect(told).toEqual(["request", "refused", "rejected"]);
      expect(received[1]).toBe(1);
    },
  );

  test("from the server brings its one message each time it is sent", async () => {
    treatFirst = beforeFirstMessage[1]?.treat ?? expect.unreachable();
    await callMatrix(clientWith({ credentials: createSource().source }), "requires", "Server");
    expect(received).toEqual([1, 1]);
  });

  test("from the server is sent twice at most", async () => {
    treatFirst = () => () => {
      throw refuse();
    };
    const client = clientWith({
      credentials: ({ reason }) =>
        Auth.all(Auth.jwt("token-1"), Auth.header("x-api-key", `key-${reason}`)),
    });
    await expect(callMatrix(client, "requires", "Server")).rejects.toMatchObject(refusal);
    expect(arrived()).toEqual([
      [...sentWith(1), ["x-api-key", "key-request"]],
      [...sentWith(1), ["x-api-key", "key-rejected"]],
    ]);
  });

  test("from the server is not sent again after its first message", async () => {
    treatFirst = (next) => async (req) =>
      replaced(await next(req), async function* (messages) {
        for await (const message of messages) {
          yield message;
          throw refuse();
        }
      });
    const { source, told } = createSource();
    const client = clientWith({ credentials: source });
    const messages: unknown[] = [];
    const reading = (async () => {
      for await (const message of client.requiresServer({})) {
        messages.push(message);
      }
    })();
    await expect(reading).rejects.toMatchObject(refusal);
    expect(messages).toHaveLength(1);
    expect(arrived()).toEqual([sentWith(1)]);
    expect(told).toEqual(["request", "refused"]);

    await callMatrix(client, "requires", "Server");
    expect(arrived().slice(1)).toEqual([sentWith(2)]);
    expect(told).toEqual(["request", "refused", "request"]);
  });

  test.each(["before", "after"])(
    "from the server ends there when the consumer stops %s the first message",
    async (when) => {
      treatFirst = (next) => async (req) =>
        replaced(await next(req), async function* (messages) {
          if (when === "after") {
            yield* messages;
          }
          await left;
        });
      const controller = new AbortController();
      const { source, told } = createSource();
      const client = clientWith({ credentials: source });
      const reading = client
        .requiresServer({}, { signal: controller.signal })
        [Symbol.asyncIterator]();
      if (when === "after") {
        expect(await reading.next()).toMatchObject({ done: false });
        controller.abort();
      } else {
        const first = expect(reading.next()).rejects.toMatchObject({ code: Code.Canceled });
        await vi.waitUntil(() => received[0] === 1);
        controller.abort();
        await first;
      }
      await left;
      expect(told).toEqual(["request"]);
      expect(arrived()).toEqual([sentWith(1)]);
    },
  );

  test.each([0, 1])(
    "from the server is closed by an interceptor that reads %d messages of it",
    async (reads) => {
      treatFirst = (next) => next;
      let returned = 0;
      const innermost: Interceptor = (next) => async (req) => {
        const res = await next(req);
        return replaced(res, async function* (messages) {
          try {
            yield* messages;
          } finally {
            returned++;
          }
        });
      };
      const stopEarly: Interceptor = (next) => async (req) => {
        const res = await next(req);
        const iterator = res.stream ? res.message[Symbol.asyncIterator]() : undefined;
        for (let i = 0; i < reads; i++) {
          await iterator?.next();
        }
        expect(returned).toBe(0);
        await iterator?.return?.();
        return replaced(res, async function* () {});
      };
      const createTransport = (options: TransportOptions) =>
        protocol.createTransport({
          ...options,
          interceptors: [...(options.interceptors ?? []), innermost],
        });
      const client = createMatrixClient(
        { ...protocol, createTransport },
        { baseUrl: server.baseUrl, interceptors: [stopEarly] },
        { credentials: () => Auth.jwt("token-1") },
      );
      await callMatrix(client, "requires", "Server");
      expect(returned).toBe(1);
      await left;
    },
  );

  test("from the server is one call to the interceptors of the user", async () => {
    treatFirst = () => () => {
      throw refuse();
    };
    let calls = 0;
    let messages = 0;
    const count: Interceptor = (next) => async (req) => {
      calls++;
      const res = await next(req);
      return replaced(res, async function* (stream) {
        for await (const message of stream) {
          messages++;
          yield message;
        }
      });
    };
    const client = clientWith({ credentials: createSource().source }, { interceptors: [count] });
    await callMatrix(client, "requires", "Server");
    expect({ calls, messages }).toEqual({ calls: 1, messages: 2 });
    expect(arrived()).toEqual([sentWith(1), sentWith(2)]);
  });

  test.each(protocol.streams.filter((stream) => stream === "Client" || stream === "Bidi"))(
    "of kind %s is sent once, and the next one has a fresh token",
    async (stream) => {
      treatFirst = () => () => {
        throw refuse();
      };
      let n = 0;
      const provide = vi.fn(() => Auth.jwt(`token-${++n}`));
      const client = clientWith({ credentials: cachedAuth(provide) });
      await expect(callMatrix(client, "requires", stream)).rejects.toMatchObject(refusal);
      expect(arrived()).toEqual([sentWith(1)]);
      await callMatrix(client, "requires", stream);
      await callMatrix(client, "requires", stream);
      expect(arrived().slice(1)).toEqual([sentWith(2), sentWith(2)]);
      expect(provide).toHaveBeenCalledTimes(2);
    },
  );
});

/** A response with other messages. */
function replaced<R extends { readonly stream: boolean }>(
  res: R,
  change: (messages: StreamResponse["message"]) => StreamResponse["message"],
): R {
  return isStream(res) ? { ...res, message: change(res.message) } : res;
}

function isStream<R extends { readonly stream: boolean }>(res: R): res is R & StreamResponse {
  return res.stream;
}

async function* mapped<T>(items: AsyncIterable<T>, change: (item: T) => T): AsyncIterable<T> {
  for await (const item of items) {
    yield change(item);
  }
}
