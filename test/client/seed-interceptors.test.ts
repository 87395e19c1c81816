import { Code, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { createClientBearerInterceptor, createClientGatewayInterceptor } from "../../src/index.js";
import { MatrixService } from "../gen/acme/matrix/v1/matrix_pb.js";

/** A client with this interceptor, and the headers of the calls that arrived. */
function record(interceptor: ReturnType<typeof createClientBearerInterceptor>) {
  const arrived: Headers[] = [];
  const transport = createRouterTransport(
    (router) => {
      router.service(MatrixService, {
        publicUnary: (_, context) => {
          arrived.push(context.requestHeader);
          return {};
        },
        async *requiresServer(_, context) {
          arrived.push(context.requestHeader);
          yield {};
        },
      });
    },
    { transport: { interceptors: [interceptor], baseUrl: "http://plain.test" } },
  );
  return { client: createClient(MatrixService, transport), arrived };
}

describe("createClientBearerInterceptor", () => {
  test("sends a constant token with every call, whatever its policy and URL", async () => {
    const { client, arrived } = record(createClientBearerInterceptor({ token: "t-1" }));
    await client.publicUnary({});
    for await (const _ of client.requiresServer({})) {
      // read to the end
    }
    expect(arrived.map((header) => header.get("authorization"))).toEqual([
      "Bearer t-1",
      "Bearer t-1",
    ]);
  });

  test("asks a function before every call", async () => {
    let count = 0;
    const { client, arrived } = record(
      createClientBearerInterceptor({ token: async () => `t-${++count}` }),
    );
    await client.publicUnary({});
    await client.publicUnary({}, { headers: { authorization: "Bearer other" } });
    expect(arrived.map((header) => header.get("authorization"))).toEqual([
      "Bearer t-1",
      "Bearer t-2",
    ]);
  });

  test.each([
    { token: "", message: "token: the token is empty" },
    { token: "a b", message: "token: the token is over 8192 bytes or has a wrong character" },
  ])("rejects the constant token $token", ({ token, message }) => {
    expect(() => createClientBearerInterceptor({ token })).toThrow(new TypeError(message));
  });

  test.each(["", "a\nb"])("fails the call for the token %j of a function", async (token) => {
    const { client, arrived } = record(createClientBearerInterceptor({ token: () => token }));
    const error = await client.publicUnary({}).catch(ConnectError.from);
    expect(error).toMatchObject({
      code: Code.Unauthenticated,
      cause: { name: "AuthError", code: "credentials_invalid", sent: false },
    });
    expect(arrived).toEqual([]);
  });
});

describe("a token function of createClientBearerInterceptor", () => {
  test("cannot make its own error the answer to the call", async () => {
    const token = () => Promise.reject(new ConnectError("no user", Code.NotFound));
    const { client, arrived } = record(createClientBearerInterceptor({ token }));
    await expect(client.publicUnary({})).rejects.toMatchObject({
      code: Code.Unauthenticated,
      cause: { name: "AuthError", code: "credentials_failed", sent: false },
    });
    expect(arrived).toEqual([]);
  });

  test("does not hold a call beyond its deadline", async () => {
    const token = () => new Promise<string>(() => {});
    const { client } = record(createClientBearerInterceptor({ token }));
    await expect(client.publicUnary({}, { timeoutMs: 20 })).rejects.toMatchObject({
      code: Code.DeadlineExceeded,
    });
  });
});

describe("createClientGatewayInterceptor", () => {
  test("sends secret, subject and roles with every call", async () => {
    const { client, arrived } = record(
      createClientGatewayInterceptor({ secret: "g", subject: "svc", roles: ["a", "b"] }),
    );
    await client.publicUnary({});
    expect(arrived.map((header) => [...header].filter(([name]) => name.startsWith("x-")))).toEqual([
      [
        ["x-auth-roles", '["a","b"]'],
        ["x-auth-subject", "svc"],
        ["x-gateway-secret", "g"],
      ],
    ]);
  });

  test("removes identity headers of the call that it does not set", async () => {
    const { client, arrived } = record(
      createClientGatewayInterceptor({ secret: "g", subject: "svc" }),
    );
    const headers = { "x-auth-roles": '["admin"]', "x-auth-scopes": "all", "x-request-id": "1" };
    await client.publicUnary({}, { headers });
    expect(
      arrived.map((header) => [...header.keys()].filter((name) => name.startsWith("x-"))),
    ).toEqual([["x-auth-subject", "x-gateway-secret", "x-request-id"]]);
  });

  test("hides what it sends from interceptors around it", async () => {
    const seen: (string | null)[] = [];
    const transport = createRouterTransport(
      (router) => router.service(MatrixService, { publicUnary: () => ({}) }),
      {
        transport: {
          interceptors: [
            (next) => async (req) => {
              const res = await next(req);
              seen.push(req.header.get("x-gateway-secret"), req.header.get("authorization"));
              return res;
            },
            createClientGatewayInterceptor({ secret: "g", subject: "svc" }),
            createClientBearerInterceptor({ token: "t" }),
          ],
        },
      },
    );
    await createClient(MatrixService, transport).publicUnary({});
    expect(seen).toEqual([null, null]);
  });

  test.each([{}, { roles: [] }])("sends no roles header for %j", async (roles) => {
    const { client, arrived } = record(
      createClientGatewayInterceptor({ secret: "g", subject: "svc", ...roles }),
    );
    await client.publicUnary({});
    expect(arrived.map((header) => header.has("x-auth-roles"))).toEqual([false]);
  });

  test.each([
    {
      secret: "",
      subject: "s",
      message: "the credential for x-gateway-secret is empty",
    },
    {
      secret: "g",
      subject: "",
      message: "the credential for x-auth-subject is empty",
    },
  ])("rejects $secret/$subject", ({ message, ...options }) => {
    expect(() => createClientGatewayInterceptor(options)).toThrow(
      new TypeError(`gateway: ${message}`),
    );
  });
});
