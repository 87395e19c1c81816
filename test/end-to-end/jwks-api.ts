import http from "node:http";
import http2 from "node:http2";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { type Listening, listenOnLoopback } from "../../example/loopback.js";
import { Auth } from "../../src/index.js";
import {
  createJwtAuthInterceptor,
  createServerAuth,
  type JwtAuthInterceptorOptions,
} from "../../src/server/index.js";
import { MatrixServicePolicies } from "../gen/acme/matrix/v1/matrix_auth.js";
import { MatrixService } from "../gen/acme/matrix/v1/matrix_pb.js";
import {
  callMatrix,
  createMatrixClient,
  type Protocol,
  type StreamKind,
} from "../wire/protocols.js";

/** Starts a server of MatrixService that verifies every token anew, with the keys at a URL. */
export function startJwksApi(
  { httpVersion }: Protocol,
  options: JwtAuthInterceptorOptions,
): Promise<Listening> {
  const auth = createServerAuth({
    policies: [MatrixServicePolicies],
    authenticate: createJwtAuthInterceptor({ cache: false, ...options }),
  });
  const handle = connectNodeAdapter({
    routes: auth.guard(({ service }) => {
      service(MatrixService, {
        authenticatedUnary: () => ({}),
        async *authenticatedServer() {
          yield {};
        },
      });
    }),
    interceptors: auth.interceptors,
  });
  return listenOnLoopback(
    httpVersion === "2" ? http2.createServer(handle) : http.createServer(handle),
  );
}

/** Calls it once, with a token. */
export function callWith(
  token: string,
  { baseUrl }: Listening,
  protocol: Protocol,
  stream: StreamKind = "Unary",
): Promise<void> {
  const client = createMatrixClient(protocol, { baseUrl }, { credentials: () => Auth.jwt(token) });
  return callMatrix(client, "authenticated", stream);
}
