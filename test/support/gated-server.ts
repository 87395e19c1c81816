import http from "node:http";
import http2 from "node:http2";
import type { Socket } from "node:net";
import { type ConnectRouter, createConnectRouter } from "@connectrpc/connect";
import { createFetchHandler } from "@connectrpc/connect/protocol";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { type Listening, listenOnLoopback } from "../../example/loopback.js";
import {
  createGatewayAuthInterceptor,
  createJwtAuthInterceptor,
  createServerAuth,
  type Denial,
  getAuthContext,
  type ServerAuth,
  type ServerAuthOptions,
} from "../../src/server/index.js";
import { MatrixServicePolicies } from "../gen/acme/matrix/v1/matrix_auth.js";
import { type MatrixRequest, MatrixService } from "../gen/acme/matrix/v1/matrix_pb.js";
import { UserServicePolicies } from "../gen/acme/user/v1/user_auth.js";
import { UserService } from "../gen/acme/user/v1/user_pb.js";
import { testSecret } from "./test-token.js";

/** An API with users, who have the tokens of tests, and services, who know the secret `mesh`. */
export interface TestApi extends ServerAuth {
  readonly routes: (router: ConnectRouter) => void;
  /** Which handlers ran, for whom, and how many bytes they got: `RequiresUnary by alice: 0`. */
  readonly calls: string[];
  readonly denials: Denial[];
}

/** Makes the auth and the routes of MatrixService and UserService. */
export function createTestApi(options: Partial<ServerAuthOptions> = {}): TestApi {
  const calls: string[] = [];
  const denials: Denial[] = [];
  const auth = createServerAuth({
    policies: [MatrixServicePolicies, UserServicePolicies],
    authenticate: createJwtAuthInterceptor({ secret: testSecret }),
    internal: createGatewayAuthInterceptor({ trustSource: { expectedValues: ["mesh"] } }),
    onDenied: (denial) => denials.push(denial),
    ...options,
  });
  return { ...auth, calls, denials, routes: auth.guard((router) => addRoutes(router, calls)) };
}

/** A handler for node:http and node:http2. */
export type NodeHandler = ReturnType<typeof connectNodeAdapter>;

/** Makes the handler of an API for node:http and node:http2. */
export function createTestHandler({ routes, interceptors }: TestApi): NodeHandler {
  return connectNodeAdapter({ routes, interceptors });
}

/** Makes the handler of an API for fetch: what servers in other runtimes take. */
export function createTestFetch({
  routes,
  interceptors,
}: TestApi): (request: Request) => Promise<Response> {
  const router = createConnectRouter({ interceptors });
  routes(router);
  const handlers = new Map(
    router.handlers.map((handler) => [handler.requestPath, createFetchHandler(handler)]),
  );
  return async (request) => {
    const handler = handlers.get(new URL(request.url).pathname);
    return (await handler?.(request)) ?? new Response(null, { status: 404 });
  };
}

/** A server, and how much it read. */
export interface CountingServer extends Listening {
  readonly port: number;
  /** The bytes that were read from its connections so far, those of HTTP itself included. */
  bytesRead(): number;
  /** How many connections came so far. */
  connections(): number;
  /** Those that are open. */
  readonly sockets: ReadonlySet<Socket>;
}

/** Serves a handler on a free port. */
export function serve(httpVersion: "1.1" | "2", handler: NodeHandler): Promise<CountingServer> {
  return listen(httpVersion === "2" ? http2.createServer(handler) : http.createServer(handler));
}

/** Lets a server listen on a free port. `baseUrl` is that without TLS. */
export async function listen(server: http.Server | http2.Http2Server): Promise<CountingServer> {
  const all: Socket[] = [];
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    all.push(socket);
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  const listening = await listenOnLoopback(server);
  return {
    ...listening,
    port: Number(new URL(listening.baseUrl).port),
    sockets,
    connections: () => all.length,
    bytesRead: () => all.reduce((sum, { bytesRead }) => sum + bytesRead, 0),
  };
}

/** Waits for something that needs no time: `vi.waitFor` would let faked time pass. */
export async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) {
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function addRoutes({ service }: ConnectRouter, calls: string[]): void {
  const called = (name: string, bytes: number) => {
    calls.push(`${name} by ${getAuthContext()?.subject}: ${bytes}`);
  };
  const unary = (name: string) => (request: MatrixRequest) => {
    called(`${name}Unary`, sizeOf(request));
    return {};
  };
  const server = (name: string) =>
    async function* (request: MatrixRequest) {
      called(`${name}Server`, sizeOf(request));
      yield {};
      yield {};
    };
  const client = (name: string) => async (requests: AsyncIterable<MatrixRequest>) => {
    let bytes = 0;
    for await (const request of requests) {
      bytes += sizeOf(request);
    }
    called(`${name}Client`, bytes);
    return {};
  };
  const bidi = (name: string) =>
    async function* (requests: AsyncIterable<MatrixRequest>) {
      let bytes = 0;
      for await (const request of requests) {
        bytes += sizeOf(request);
        yield {};
      }
      called(`${name}Bidi`, bytes);
    };
  service(MatrixService, {
    publicUnary: unary("Public"),
    publicServer: server("Public"),
    publicClient: client("Public"),
    publicBidi: bidi("Public"),
    internalUnary: unary("Internal"),
    internalServer: server("Internal"),
    internalClient: client("Internal"),
    internalBidi: bidi("Internal"),
    requiresUnary: unary("Requires"),
    requiresServer: server("Requires"),
    requiresClient: client("Requires"),
    requiresBidi: bidi("Requires"),
    authenticatedUnary: unary("Authenticated"),
    authenticatedServer: server("Authenticated"),
    authenticatedClient: client("Authenticated"),
    authenticatedBidi: bidi("Authenticated"),
  });
  service(UserService, {
    getProfile({ id }) {
      called("GetProfile", id.length);
      return {};
    },
    deleteUser({ id }) {
      called("DeleteUser", id.length);
      return {};
    },
    whoAmI() {
      called("WhoAmI", 0);
      return { subject: getAuthContext()?.subject ?? "nobody" };
    },
    reindex() {
      called("Reindex", 0);
      return {};
    },
  });
}

/** MatrixRequest has no fields: a test that wants a large one adds an unknown one. */
function sizeOf({ $unknown = [] }: MatrixRequest): number {
  return $unknown.reduce((sum, { data }) => sum + data.length, 0);
}
