import { once } from "node:events";
import http2 from "node:http2";
import {
  type ConnectRouter,
  createClient,
  createRouterTransport,
  type Interceptor,
  type Transport,
} from "@connectrpc/connect";
import {
  connectNodeAdapter,
  createConnectTransport,
  Http2SessionManager,
} from "@connectrpc/connect-node";
import { Auth, type Credentials, type TransportOptions } from "connectrpc-auth";
import { type CompareOptions, compare } from "./compare.js";
import { createGreeterServiceClient } from "./gen/acme/bench/v1/greeter_auth.js";
import { GreeterService } from "./gen/acme/bench/v1/greeter_pb.js";
import type { Row } from "./row.js";

// as long as a signed token of a real issuer
const token = "a".repeat(800);

/** A unary call with a bearer token: a generated client against an interceptor by hand. */
export async function benchClientCall(): Promise<Row[]> {
  const constant = Auth.jwt(token);
  const inMemory = await measure(
    (options) => createRouterTransport(routes, { transport: options }),
    constant,
    {
      baseUrl: "https://in-memory",
      rounds: 600,
      callsPerRound: 100,
    },
  );
  const http2Call = await compareOverHttp2(constant);
  const row = { against: "hand-written header interceptor", unit: "ratio", bound: 1.05, aim: 1.02 };
  return [
    { ...row, name: "unary call with bearer, in memory", value: inMemory, unit: "ratio" },
    { ...row, name: "unary call with bearer, HTTP/2", value: http2Call, unit: "ratio" },
  ];
}

/** How many times longer a call with these credentials takes than one with a header by hand. */
export async function compareOverHttp2(credentials: Credentials): Promise<number> {
  const server = http2.createServer(connectNodeAdapter({ routes })).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") {
    throw new Error("the server has no port");
  }
  const baseUrl = `http://127.0.0.1:${address.port}`;
  const sessionManager = new Http2SessionManager(baseUrl);
  try {
    return await measure(
      (options) => createConnectTransport({ ...options, httpVersion: "2", sessionManager }),
      credentials,
      { baseUrl, rounds: 800, callsPerRound: 20 },
    );
  } finally {
    sessionManager.abort();
    server.close();
  }
}

async function measure(
  createTransport: (options: TransportOptions) => Transport,
  credentials: Credentials,
  options: CompareOptions & { baseUrl: string },
): Promise<number> {
  const { baseUrl } = options;
  const generated = createGreeterServiceClient(createTransport, { baseUrl }, { credentials });
  const byHand = createClient(
    GreeterService,
    createTransport({ baseUrl, interceptors: [setBearer] }),
  );
  return await compare(
    () => generated.greet({ name: "bench" }),
    () => byHand.greet({ name: "bench" }),
    options,
  );
}

const setBearer: Interceptor = (next) => (req) => {
  req.header.set("authorization", `Bearer ${token}`);
  return next(req);
};

function routes(router: ConnectRouter): void {
  router.service(GreeterService, {
    greet: ({ name }, { requestHeader }) => {
      if (!/^Bearer \S{300}/.test(requestHeader.get("authorization") ?? "")) {
        throw new Error("the call came without its credential");
      }
      return { greeting: `Hello, ${name}` };
    },
  });
}
