import { createServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import { Code, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import {
  connectNodeAdapter,
  createConnectTransport,
  createGrpcTransport,
} from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  authContextKey,
  createJwtAuthInterceptor,
  createProtoAuthzInterceptor,
  getAuthContext,
  requireAuthContext,
} from "../../src/server/index.js";
import { MatrixService } from "../gen/acme/matrix/v1/matrix_pb.js";
import { UserService } from "../gen/acme/user/v1/user_pb.js";
import { createTestToken, testSecret } from "../support/test-token.js";

/** Who code finds that a handler calls, some time later. */
async function deepInside(): Promise<{ credentials: Record<string, string> }> {
  await wait(Math.random() * 5);
  return { credentials: { subject: requireAuthContext().subject } };
}

const finished: string[] = [];

const server = createServer(
  connectNodeAdapter({
    interceptors: [createJwtAuthInterceptor({ secret: testSecret }), createProtoAuthzInterceptor()],
    routes(router) {
      router.service(MatrixService, {
        authenticatedUnary: deepInside,
        async *authenticatedServer() {
          try {
            yield await deepInside();
            yield await deepInside();
            yield await deepInside();
          } finally {
            finished.push(getAuthContext()?.subject ?? "nobody");
          }
        },
        async authenticatedClient(requests) {
          for await (const _ of requests) {
            await deepInside();
          }
          return deepInside();
        },
        async *authenticatedBidi(requests, { values }) {
          for await (const _ of requests) {
            const { credentials } = await deepInside();
            const inValues = values.get(authContextKey)?.subject ?? "nobody";
            yield { credentials: { ...credentials, inValues } };
          }
        },
      });
    },
  }),
);

beforeAll(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve)));
afterAll(() => {
  server.close();
});

async function* requests(count: number) {
  for (let i = 0; i < count; i++) {
    await wait(Math.random() * 5);
    yield {};
  }
}

async function subjects(
  responses: AsyncIterable<{ credentials: Record<string, string> }>,
): Promise<(string | undefined)[]> {
  const found: (string | undefined)[] = [];
  for await (const { credentials } of responses) {
    found.push(credentials.subject);
  }
  return found;
}

describe.each([
  { protocol: "Connect", createTransport: createConnectTransport },
  { protocol: "gRPC", createTransport: createGrpcTransport },
])("over $protocol, the identity", ({ createTransport }) => {
  function client() {
    const { port } = server.address() as AddressInfo;
    return createClient(
      MatrixService,
      createTransport({ baseUrl: `http://127.0.0.1:${port}`, httpVersion: "2" }),
    );
  }

  test("is there to the last message, and never another caller's", async () => {
    const matrix = client();
    await Promise.all(
      Array.from({ length: 20 }, async (_, i) => {
        const sub = `user-${i}`;
        const headers = { authorization: `Bearer ${await createTestToken({ sub })}` };
        const unary = await matrix.authenticatedUnary({}, { headers });
        expect(unary.credentials.subject).toBe(sub);
        expect(await subjects(matrix.authenticatedServer({}, { headers }))).toEqual([
          sub,
          sub,
          sub,
        ]);
        const sent = await matrix.authenticatedClient(requests(3), { headers });
        expect(sent.credentials.subject).toBe(sub);
        for await (const { credentials } of matrix.authenticatedBidi(requests(3), { headers })) {
          expect(credentials).toEqual({ subject: sub, inValues: sub });
        }
      }),
    );
  });

  test("is there in the finally of a stream that the caller leaves", async () => {
    const headers = { authorization: `Bearer ${await createTestToken({ sub: "leaver" })}` };
    finished.length = 0;
    const controller = new AbortController();
    const stream = client().authenticatedServer({}, { headers, signal: controller.signal });
    const left = (async () => {
      for await (const _ of stream) {
        controller.abort();
      }
    })();
    await expect(left).rejects.toMatchObject({ code: Code.Canceled });
    await expect.poll(() => finished).toEqual(["leaver"]);
  });
});

describe("the identity of a call within a call", () => {
  test("is not that of the outer one", async () => {
    const seen: (string | undefined)[] = [];
    const interceptors = [
      createJwtAuthInterceptor({
        secret: testSecret,
        skipMethods: ["acme.user.v1.UserService/GetProfile"],
      }),
    ];
    const transport = createRouterTransport(
      (router) => {
        router.service(UserService, {
          async whoAmI() {
            seen.push(getAuthContext()?.subject);
            await createClient(UserService, transport).getProfile({});
            seen.push(getAuthContext()?.subject);
            return {};
          },
          getProfile() {
            seen.push(getAuthContext()?.subject);
            return {};
          },
        });
      },
      { router: { interceptors } },
    );
    const headers = { authorization: `Bearer ${await createTestToken({ sub: "outer" })}` };
    await createClient(UserService, transport).whoAmI({}, { headers });
    expect(seen).toEqual(["outer", undefined, "outer"]);
  });
});

describe("requireAuthContext", () => {
  test("throws where no interceptor ran", () => {
    expect(getAuthContext()).toBeUndefined();
    expect(() => requireAuthContext()).toThrow(
      new ConnectError("missing credentials", Code.Unauthenticated),
    );
  });
});
