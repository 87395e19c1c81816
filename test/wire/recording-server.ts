import http from "node:http";
import http2 from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { MatrixService } from "../gen/acme/matrix/v1/matrix_pb.js";
import { UserService } from "../gen/acme/user/v1/user_pb.js";

/** A request as it came over the wire. */
export interface RecordedRequest {
  readonly httpMethod: string;
  /** Without the query. */
  readonly path: string;
  /** Headers that carry a credential, in the order of their names. A repeated one is there twice. */
  readonly credentials: readonly (readonly [name: string, value: string])[];
}

/** A server without any authentication. */
export interface RecordingServer {
  readonly baseUrl: string;
  /** What arrived, call by call. */
  readonly requests: RecordedRequest[];
  close(): Promise<void>;
}

/** What the server does beside recording. */
export interface RecordingServerOptions {
  readonly httpVersion: "1.1" | "2";
  /** Values of `Authorization` that are answered with `Unauthenticated`. Default: none. */
  readonly refuses?: (authorization: string | null) => boolean;
  /** Run after that, before the handlers. Default: none. */
  readonly interceptors?: readonly Interceptor[];
}

/** Starts a server of all services in test/proto on a port of the loopback interface. */
export async function startRecordingServer(
  options: RecordingServerOptions,
): Promise<RecordingServer> {
  const { httpVersion, refuses = () => false, interceptors = [] } = options;
  const requests: RecordedRequest[] = [];
  const handle = connectNodeAdapter({
    interceptors: [
      (next) => (req) => {
        if (refuses(req.header.get("authorization"))) {
          throw new ConnectError("token refused", Code.Unauthenticated, {
            "www-authenticate": 'Bearer error="invalid_token"',
          });
        }
        return next(req);
      },
      ...interceptors,
    ],
    routes({ service }) {
      service(UserService, {
        getProfile: () => ({}),
        deleteUser: () => ({}),
        whoAmI: () => ({}),
        reindex: () => ({}),
      });
      service(MatrixService, {
        publicUnary: answer,
        publicServer: answerStream,
        publicClient: answerAfter,
        publicBidi: answerEach,
        internalUnary: answer,
        internalServer: answerStream,
        internalClient: answerAfter,
        internalBidi: answerEach,
        requiresUnary: answer,
        requiresServer: answerStream,
        requiresClient: answerAfter,
        requiresBidi: answerEach,
        authenticatedUnary: answer,
        authenticatedServer: answerStream,
        authenticatedClient: answerAfter,
        authenticatedBidi: answerEach,
        deniedUnary: answer,
        deniedServer: answerStream,
        deniedClient: answerAfter,
        deniedBidi: answerEach,
        unspecifiedUnary: answer,
        unspecifiedServer: answerStream,
        unspecifiedClient: answerAfter,
        unspecifiedBidi: answerEach,
      });
    },
  });
  const server =
    httpVersion === "2"
      ? http2.createServer((req, res) => {
          requests.push(record(req));
          handle(req, res);
        })
      : http.createServer((req, res) => {
          requests.push(record(req));
          handle(req, res);
        });
  // Connections of HTTP/2 stay open, and keep a server from closing.
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    baseUrl: `http://127.0.0.1:${portOf(server.address())}`,
    requests,
    close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of sockets) {
        socket.destroy();
      }
      return closed;
    },
  };
}

function record(req: http.IncomingMessage | http2.Http2ServerRequest): RecordedRequest {
  const credentials: [string, string][] = [];
  // not req.headers: that drops or joins the values of a header that came twice
  for (let i = 0; i + 1 < req.rawHeaders.length; i += 2) {
    const [name = "", value = ""] = req.rawHeaders.slice(i, i + 2);
    if (/^(?:authorization|cookie|dpop|x-api-key|x-gateway-.*|x-auth-.*)$/i.test(name)) {
      credentials.push([name.toLowerCase(), value]);
    }
  }
  return {
    httpMethod: req.method ?? "",
    path: (req.url ?? "").replace(/\?.*$/, ""),
    credentials: credentials.sort(([a], [b]) => (a < b ? -1 : 1)),
  };
}

function portOf(address: AddressInfo | string | null): number {
  if (address === null || typeof address === "string") {
    throw new Error("the server has no port");
  }
  return address.port;
}

function answer(): object {
  return {};
}

async function* answerStream(): AsyncGenerator<object> {
  yield {};
  yield {};
}

async function answerAfter(messages: AsyncIterable<unknown>): Promise<object> {
  for await (const _message of messages) {
    // a client stream is answered when it has ended
  }
  return {};
}

async function* answerEach(messages: AsyncIterable<unknown>): AsyncGenerator<object> {
  for await (const _message of messages) {
    yield {};
  }
}
