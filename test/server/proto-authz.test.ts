import { Code, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import {
  createJwtAuthInterceptor,
  createProtoAuthzInterceptor,
  getInternalMethods,
  getPublicMethods,
  type ProtoAuthzInterceptorOptions,
} from "../../src/server/index.js";
import { MatrixService } from "../gen/acme/matrix/v1/matrix_pb.js";
import { createTestToken, testSecret } from "../support/test-token.js";

const admin = await createTestToken({ roles: ["admin"], scope: "matrix:use" });
const user = await createTestToken();

function matrixClient(options?: ProtoAuthzInterceptorOptions) {
  const transport = createRouterTransport(
    (router) => {
      router.service(MatrixService, {
        publicUnary: () => ({}),
        internalUnary: () => ({}),
        requiresUnary: () => ({}),
        authenticatedUnary: () => ({}),
        deniedUnary: () => ({}),
        unspecifiedUnary: () => ({}),
      });
    },
    {
      router: {
        interceptors: [
          createJwtAuthInterceptor({
            secret: testSecret,
            skipMethods: getPublicMethods([MatrixService]),
          }),
          createProtoAuthzInterceptor(options),
        ],
      },
    },
  );
  return createClient(MatrixService, transport);
}

async function outcomes(
  client: ReturnType<typeof matrixClient>,
  token: string | undefined,
): Promise<Record<string, string>> {
  const headers: HeadersInit = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const calls = {
    public: client.publicUnary({}, { headers }),
    internal: client.internalUnary({}, { headers }),
    requires: client.requiresUnary({}, { headers }),
    authenticated: client.authenticatedUnary({}, { headers }),
    denied: client.deniedUnary({}, { headers }),
    unspecified: client.unspecifiedUnary({}, { headers }),
  };
  const settled = Object.entries(calls).map(async ([name, call]): Promise<[string, string]> => {
    try {
      await call;
      return [name, "ok"];
    } catch (error) {
      return [name, Code[ConnectError.from(error).code]];
    }
  });
  return Object.fromEntries(await Promise.all(settled));
}

describe("createProtoAuthzInterceptor behind createJwtAuthInterceptor", () => {
  test("lets nobody call but public methods", async () => {
    expect(await outcomes(matrixClient(), undefined)).toEqual({
      public: "ok",
      internal: "Unauthenticated",
      requires: "Unauthenticated",
      authenticated: "Unauthenticated",
      denied: "Unauthenticated",
      unspecified: "Unauthenticated",
    });
  });

  test("holds users to the requirements", async () => {
    const want = { public: "ok", internal: "ok", authenticated: "ok", denied: "PermissionDenied" };
    expect(await outcomes(matrixClient(), user)).toEqual({
      ...want,
      requires: "PermissionDenied",
      unspecified: "PermissionDenied",
    });
    expect(await outcomes(matrixClient(), admin)).toEqual({
      ...want,
      requires: "ok",
      unspecified: "PermissionDenied",
    });
  });

  test("asks code about what the proto file leaves open", async () => {
    const open = { ...(await outcomes(matrixClient(), user)), unspecified: "ok" };
    expect(
      await outcomes(matrixClient({ authorize: ({ subject }) => subject === "user" }), user),
    ).toEqual(open);
    expect(await outcomes(matrixClient({ defaultPolicy: "allow" }), user)).toEqual(open);
  });

  test("denies everything that needs an identity where no authentication runs", async () => {
    const transport = createRouterTransport(
      (router) => {
        router.service(MatrixService, { requiresUnary: () => ({}), internalUnary: () => ({}) });
      },
      { router: { interceptors: [createProtoAuthzInterceptor()] } },
    );
    const client = createClient(MatrixService, transport);
    const headers = { authorization: `Bearer ${admin}` };
    await expect(client.requiresUnary({}, { headers })).rejects.toMatchObject({
      code: Code.Unauthenticated,
    });
    await expect(client.internalUnary({}, { headers })).rejects.toMatchObject({
      code: Code.Unauthenticated,
    });
  });

  test("fails closed where it stands before the authentication", async () => {
    const transport = createRouterTransport(
      (router) => {
        router.service(MatrixService, { requiresUnary: () => ({}) });
      },
      {
        router: {
          interceptors: [
            createProtoAuthzInterceptor(),
            createJwtAuthInterceptor({ secret: testSecret }),
          ],
        },
      },
    );
    await expect(
      createClient(MatrixService, transport).requiresUnary(
        {},
        { headers: { authorization: `Bearer ${admin}` } },
      ),
    ).rejects.toMatchObject({ code: Code.Unauthenticated });
  });

  test("getInternalMethods lists what only services may call", () => {
    expect(getInternalMethods([MatrixService])).toEqual(
      ["Unary", "Server", "Client", "Bidi"].map(
        (kind) => `acme.matrix.v1.MatrixService/Internal${kind}`,
      ),
    );
  });
});
