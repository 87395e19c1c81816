import http from "node:http";
import http2 from "node:http2";
import { Code, ConnectError, type ConnectRouter } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import {
  decodeJwt,
  decodeProtectedHeader,
  type JWTPayload,
  type ProtectedHeaderParameters,
} from "jose";
import { listenOnLoopback } from "../../example/loopback.js";
import {
  type Authenticator,
  createJwtAuthInterceptor,
  createServerAuth,
  type DpopOptions,
  getAuthContext,
} from "../../src/server/index.js";
import { MatrixServicePolicies } from "../gen/acme/matrix/v1/matrix_auth.js";
import { MatrixService } from "../gen/acme/matrix/v1/matrix_pb.js";
import { UserServicePolicies } from "../gen/acme/user/v1/user_auth.js";
import { UserService } from "../gen/acme/user/v1/user_pb.js";
import type { TestAuthorizationServer } from "./authorization-server.js";

/** A request as it came over the wire. */
export interface ApiRequest {
  readonly httpMethod: string;
  /** Path and query. */
  readonly path: string;
  /** `Bearer` or `DPoP`, and the token. */
  readonly scheme: string;
  readonly token: string;
  /** The DPoP proof, where there is one. */
  readonly proof:
    | { readonly header: ProtectedHeaderParameters; readonly claims: JWTPayload }
    | undefined;
}

/** What an API accepts. */
export interface ProtectedApiOptions {
  readonly httpVersion: "1.1" | "2";
  readonly authorizationServer: TestAuthorizationServer;
  /** Default: bound tokens are refused. `publicOrigins`: beside its own one. */
  readonly dpop?: Partial<DpopOptions>;
  /** Makes what authenticates callers of this origin. Default: JWTs for `resources.orders`, by `dpop`. */
  readonly authenticateAt?: (origin: string) => Authenticator;
  /** Headers of each answer, and the whole answer to `OPTIONS`: for CORS. Default: none. */
  readonly headers?: () => Readonly<Record<string, string>>;
  /** Whether calls pass a gate. Default: false. */
  readonly gated?: boolean;
}

/** A server of MatrixService and UserService that takes the tokens of an authorization server. */
export interface ProtectedApi {
  readonly baseUrl: string;
  /** What came, in order, refused or not; without what browsers ask before. */
  readonly requests: ApiRequest[];
  /** Who called, as the handlers knew them, and with which HTTP method. */
  readonly calls: string[];
  /** Forgets keys and nonces, as another process would that takes its place. */
  restart(): void;
  /** Refuses the tokens that came so far. */
  revokeTokens(): void;
  /** Is told of each request, counted from 1, before it is judged; a promise makes it wait. */
  onRequest(listener: (n: number) => Promise<unknown> | undefined): void;
  close(): Promise<void>;
}

export async function startProtectedApi(options: ProtectedApiOptions): Promise<ProtectedApi> {
  const { httpVersion, authorizationServer, dpop } = options;
  const server = httpVersion === "2" ? http2.createServer() : http.createServer();
  const { baseUrl, close } = await listenOnLoopback(server);
  const requests: ApiRequest[] = [];
  const calls: string[] = [];
  const revoked = new Set<string>();
  let onRequest: (n: number) => Promise<unknown> | undefined = () => undefined;

  const createHandler = () => {
    const byToken =
      options.authenticateAt?.(baseUrl) ??
      createJwtAuthInterceptor({
        jwksUri: authorizationServer.jwksUri,
        issuer: authorizationServer.issuer,
        audience: authorizationServer.resources.orders,
        algorithms: ["ES256"],
        ...(dpop && { dpop: { ...dpop, publicOrigins: [baseUrl, ...(dpop.publicOrigins ?? [])] } }),
      });
    const authenticate: Authenticator["authenticate"] = async (call) => {
      const [scheme, token = ""] = call.header.get("authorization")?.split(" ") ?? [];
      if (revoked.has(token)) {
        const challenge = `${scheme} error="invalid_token"`;
        throw new ConnectError("token revoked", Code.Unauthenticated, {
          "www-authenticate": challenge,
        });
      }
      return byToken.authenticate(call);
    };
    const auth = createServerAuth({
      policies: [UserServicePolicies, MatrixServicePolicies],
      authenticate: { ...byToken, authenticate },
    });
    const handler = connectNodeAdapter({
      routes: auth.guard((router) => addRoutes(router, calls)),
      interceptors: auth.interceptors,
    });
    return options.gated ? auth.gate(handler) : handler;
  };
  let handle = createHandler();

  const answer = async (
    req: http.IncomingMessage | http2.Http2ServerRequest,
    res: http.ServerResponse | http2.Http2ServerResponse,
  ) => {
    const headers: Readonly<Record<string, string>> = options.headers?.() ?? {};
    for (const [name, value] of Object.entries(headers)) {
      res.setHeader(name, value);
    }
    if (req.method === "OPTIONS") {
      res.writeHead(204).end();
      return;
    }
    await onRequest(requests.push(readRequest(req)));
    handle(req, res);
  };
  server.on("request", (req, res) => void answer(req, res));

  return {
    baseUrl,
    requests,
    calls,
    restart() {
      handle = createHandler();
    },
    revokeTokens() {
      for (const { token } of requests) {
        revoked.add(token);
      }
    },
    onRequest(listener) {
      onRequest = listener;
    },
    close,
  };
}

function addRoutes({ service }: ConnectRouter, calls: string[]): void {
  const called = (httpMethod: string) => {
    calls.push(`${httpMethod} by ${getAuthContext()?.subject}`);
    return {};
  };
  service(UserService, { whoAmI: (_, { requestMethod }) => called(requestMethod) });
  service(MatrixService, {
    authenticatedUnary: (_, { requestMethod }) => called(requestMethod),
    async *authenticatedServer(_, { requestMethod }) {
      yield called(requestMethod);
      yield {};
    },
    async authenticatedClient(messages, { requestMethod }) {
      for await (const _message of messages) {
        // it is answered when it has ended
      }
      return called(requestMethod);
    },
    async *authenticatedBidi(messages, { requestMethod }) {
      for await (const _message of messages) {
        yield {};
      }
      called(requestMethod);
    },
  });
}

function readRequest({
  method = "",
  url = "",
  headers,
}: http.IncomingMessage | http2.Http2ServerRequest): ApiRequest {
  const [scheme = "", token = ""] = headers.authorization?.split(" ") ?? [];
  const { dpop } = headers;
  return {
    httpMethod: method,
    path: url,
    scheme,
    token,
    proof:
      typeof dpop === "string"
        ? { header: decodeProtectedHeader(dpop), claims: decodeJwt(dpop) }
        : undefined,
  };
}
