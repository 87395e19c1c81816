import { create, createFileRegistry, type DescService } from "@bufbuild/protobuf";
import {
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
  file_google_protobuf_empty,
} from "@bufbuild/protobuf/wkt";
import {
  Code,
  ConnectError,
  type ConnectRouter,
  createClient,
  createRouterTransport,
} from "@connectrpc/connect";
import { connectNodeAdapter, createConnectTransport } from "@connectrpc/connect-node";
import { afterEach, describe, expect, test } from "vitest";
import {
  createInternalAuthInterceptor,
  createJwtAuthInterceptor,
  createProtoAuthzInterceptor,
  createServerAuth,
  getInternalMethods,
  getPublicMethods,
  requireAuthContext,
  sharedSecretTrust,
} from "../../src/server/index.js";
import { MatrixService } from "../gen/acme/matrix/v1/matrix_pb.js";
import { PlainService } from "../gen/acme/plain/v1/plain_pb.js";
import { UserServicePolicies } from "../gen/acme/user/v1/user_auth.js";
import { UserService } from "../gen/acme/user/v1/user_pb.js";
import { serveEmpty } from "../parity/calls.js";
import { type CountingServer, serve } from "../support/gated-server.js";
import { createTestToken, testSecret } from "../support/test-token.js";
import { callMatrix, createMatrixClient, policyKinds, protocols } from "../wire/protocols.js";

const alice = await createTestToken({ sub: "alice" });
const admin = await createTestToken({
  sub: "admin",
  roles: ["admin"],
  scope: "users:write matrix:use",
});
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

let server: CountingServer | undefined;
afterEach(async () => {
  await server?.close();
  server = undefined;
});

async function statusOf(target: string, headers: Readonly<Record<string, string>>) {
  const response = await fetch(`${server?.baseUrl}/${target}`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: "{}",
  });
  await response.body?.cancel();
  return response.status;
}

/** A service with methods that take and return nothing. */
function emptyService(packageName: string, name: string, methods: readonly string[]): DescService {
  const file = create(FileDescriptorProtoSchema, {
    name: `${packageName}.${name}.proto`,
    package: packageName,
    syntax: "proto3",
    dependency: ["google/protobuf/empty.proto"],
    service: [
      {
        name,
        method: methods.map((method) => ({
          name: method,
          inputType: ".google.protobuf.Empty",
          outputType: ".google.protobuf.Empty",
        })),
      },
    ],
  });
  const set = create(FileDescriptorSetSchema, { file: [file_google_protobuf_empty.proto, file] });
  const service = createFileRegistry(set).getService(`${packageName}.${name}`);
  if (service === undefined) {
    throw new Error(`${name} was not built`);
  }
  return service;
}

describe("exempt methods", () => {
  const health = emptyService("grpc.health.v1", "Health", ["Check", "List"]);
  const reflection = emptyService("grpc.reflection.v1", "ServerReflection", ["Info"]);
  /** Names that begin, end, or read like those that are exempt. */
  const others = [
    emptyService("grpc.health.v1", "HealthAdmin", ["Check"]),
    emptyService("grpc.health.v1", "health", ["Check"]),
    emptyService("acme.grpc.health.v1", "Health", ["Check"]),
    emptyService("grpc.health", "Health", ["Check"]),
    emptyService("acme.v1", "Admin", ["Check", "Info"]),
  ];
  const auth = createServerAuth({
    policies: [UserServicePolicies],
    authenticate: createJwtAuthInterceptor({ secret: testSecret }),
    exempt: ["grpc.health.v1.Health/Check", "grpc.reflection.v1.ServerReflection/*"],
    defaultPolicy: "allow",
  });
  const routes = (router: ConnectRouter) => {
    for (const served of [health, reflection, ...others]) {
      serveEmpty(router, served);
    }
  };

  test.each([
    { front: "a gate and interceptors", isGated: true },
    { front: "interceptors alone", isGated: false },
  ])("are those that are named, and no others, behind $front", async ({ isGated }) => {
    // without guard(), which would not let a server start with the others
    const handler = connectNodeAdapter({ routes, interceptors: auth.interceptors });
    server = await serve("1.1", isGated ? auth.gate(handler) : handler);
    const statuses = new Map<string, number>();
    for (const { typeName, methods } of [health, reflection, ...others]) {
      for (const { name } of methods) {
        const target = `${typeName}/${name}`;
        statuses.set(target, await statusOf(target, {}));
        expect(await statusOf(target, bearer(admin)), target).toBe(statuses.get(target));
      }
    }
    expect(Object.fromEntries(statuses)).toEqual({
      "grpc.health.v1.Health/Check": 200,
      "grpc.health.v1.Health/List": 403,
      "grpc.reflection.v1.ServerReflection/Info": 200,
      "grpc.health.v1.HealthAdmin/Check": 403,
      "grpc.health.v1.health/Check": 403,
      "acme.grpc.health.v1.Health/Check": 403,
      "grpc.health.Health/Check": 403,
      "acme.v1.Admin/Check": 403,
      "acme.v1.Admin/Info": 403,
    });
  });

  test("have to be named: a server with others does not start", () => {
    expect(() =>
      connectNodeAdapter({ routes: auth.guard(routes), interceptors: auth.interceptors }),
    ).toThrow(/grpc\.health\.v1\.HealthAdmin is served without a policy table/);
  });
});

describe("interceptors in any order", () => {
  const secret = "a secret of at least thirty-two bytes!";
  const internalMethods = getInternalMethods([MatrixService]);
  const skipMethods = [...getPublicMethods([MatrixService]), ...internalMethods];
  const parts = {
    users: createJwtAuthInterceptor({ secret: testSecret, skipMethods }),
    services: createInternalAuthInterceptor({
      trustSource: sharedSecretTrust({ secret }),
      internalMethods,
    }),
    policy: createProtoAuthzInterceptor(),
  };
  const callers: Readonly<Record<string, Record<string, string>>> = {
    nobody: {},
    alice: bearer(alice),
    admin: bearer(admin),
    service: { "x-internal-secret": secret },
    both: { ...bearer(admin), "x-internal-secret": secret },
    forged: { ...bearer(`${admin.slice(0, -4)}AAAA`), "x-internal-secret": `${secret}!` },
  };

  /** Which calls pass, by the policy of the method and the caller. */
  async function passing(order: readonly (keyof typeof parts)[]): Promise<string[]> {
    const unary = () => ({});
    const transport = createRouterTransport(
      (router) => {
        router.service(MatrixService, {
          publicUnary: unary,
          internalUnary: unary,
          requiresUnary: unary,
          authenticatedUnary: unary,
          deniedUnary: unary,
          unspecifiedUnary: unary,
        });
      },
      { router: { interceptors: order.map((name) => parts[name]) } },
    );
    const client = createClient(MatrixService, transport);
    const passed: string[] = [];
    for (const policy of policyKinds) {
      for (const [caller, headers] of Object.entries(callers)) {
        try {
          await client[`${policy}Unary`]({}, { headers });
          passed.push(`${policy} by ${caller}`);
        } catch (error) {
          const { code } = ConnectError.from(error);
          expect([Code.Unauthenticated, Code.PermissionDenied]).toContain(code);
        }
      }
    }
    return passed;
  }

  const right = [
    ...Object.keys(callers).map((caller) => `public by ${caller}`),
    "internal by service",
    "internal by both",
    "requires by admin",
    "requires by both",
    "authenticated by alice",
    "authenticated by admin",
    "authenticated by both",
  ];

  test.each([
    { order: ["users", "services", "policy"] as const, missing: [] },
    { order: ["services", "users", "policy"] as const, missing: [] },
    { order: ["policy", "users", "services"] as const, missing: ["internal", "requires"] },
    { order: ["policy", "services", "users"] as const, missing: ["internal", "requires"] },
    { order: ["users", "policy", "services"] as const, missing: ["internal"] },
    { order: ["services", "policy", "users"] as const, missing: ["requires"] },
  ])("let nobody pass who may not: $order", async ({ order, missing }) => {
    const isMissing = (call: string) => missing.some((policy) => call.startsWith(`${policy} `));
    expect(await passing(order)).toEqual(right.filter((call) => !isMissing(call)));
  });
});

describe("a method without a policy", () => {
  test.each(protocols)("is denied over $name, whoever calls", async (protocol) => {
    const auth = createServerAuth({
      policies: [UserServicePolicies],
      authenticate: createJwtAuthInterceptor({ secret: testSecret }),
      defaultPolicy: "allow",
    });
    const { interceptors } = auth;
    const ran: string[] = [];
    server = await serve(
      protocol.httpVersion,
      connectNodeAdapter({
        interceptors,
        routes(router) {
          router.service(PlainService, { open: () => ({}), closed: () => ({}) });
          router.service(MatrixService, {
            publicUnary: () => ran.push("publicUnary") && {},
            async *publicServer() {
              yield ran.push("publicServer") && {};
            },
          });
        },
      }),
    );
    for (const headers of [{}, bearer(admin)]) {
      const client = createMatrixClient(protocol, { baseUrl: server.baseUrl }, {});
      for (const stream of ["Unary", "Server"] as const) {
        const call = callMatrix(client, "public", stream, { headers });
        await expect(call).rejects.toMatchObject({
          code: Code.PermissionDenied,
          rawMessage: "access denied",
        });
      }
    }
    expect(ran).toEqual([]);
  });
});

test("requireAuthContext() refuses a call where no interceptor ran", async () => {
  server = await serve(
    "1.1",
    connectNodeAdapter({
      routes: (router) =>
        router.service(UserService, { whoAmI: () => ({ subject: requireAuthContext().subject }) }),
    }),
  );
  const { baseUrl } = server;
  const transport = createConnectTransport({ baseUrl, httpVersion: "1.1" });
  const call = createClient(UserService, transport).whoAmI({}, { headers: bearer(alice) });
  await expect(call).rejects.toMatchObject({
    code: Code.Unauthenticated,
    rawMessage: "missing credentials",
  });
});
