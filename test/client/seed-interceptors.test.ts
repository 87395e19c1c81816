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
    { token: "a b", message: "token: the token has a character that a token cannot have" },
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
      message: 'the credential for the header "x-gateway-secret" is empty',
    },
    {
      secret: "g",
      subject: "",
      message: 'the credential for the header "x-auth-subject" is empty',
    },
  ])("rejects $secret/$subject", ({ message, ...options }) => {
    expect(() => createClientGatewayInterceptor(options)).toThrow(
      new TypeError(`gateway: ${message}`),
    );
  });
});
