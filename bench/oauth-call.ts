import { type ConnectRouter, createRouterTransport, type Interceptor } from "@connectrpc/connect";
import { clientCredentials } from "connectrpc-auth/oauth";
import {
  startAuthorizationServer,
  type TestAuthorizationServer,
} from "../test/support/authorization-server.js";
import { compareOverHttp2 } from "./client-call.js";
import { timesPerCall } from "./compare.js";
import { createGreeterServiceClient } from "./gen/acme/bench/v1/greeter_auth.js";
import { GreeterService } from "./gen/acme/bench/v1/greeter_pb.js";
import type { Row } from "./row.js";

const baseUrl = "https://in-memory";

/** Calls with tokens of a real authorization server, over an in-memory transport. */
export async function benchOAuthCall(): Promise<Row[]> {
  const server = await startAuthorizationServer();
  try {
    return [await cachedCall(server), await dpopCall(server), await firstCalls(server)];
  } finally {
    await server.close();
  }
}

/** A call for which there is a token at hand. */
async function cachedCall(server: TestAuthorizationServer): Promise<Row> {
  return {
    name: "unary call with a cached OAuth token, HTTP/2",
    against: "hand-written header interceptor",
    value: await compareOverHttp2(credentialsOf(server, false)),
    unit: "ratio",
    bound: 1.05,
    aim: 1.02,
  };
}

/** What a call with a DPoP proof takes longer than one with a bearer token. */
async function dpopCall(server: TestAuthorizationServer): Promise<Row> {
  const bearer = createOAuthClient(server, false);
  const dpop = createOAuthClient(server, true);
  const { privateKey } = await crypto.subtle.generateKey(
    { name: "ECDSA", namedCurve: "P-256" },
    false,
    ["sign", "verify"],
  );
  // as much as a proof has
  const data = new Uint8Array(500);
  const [withProof, withSignature, without] = await timesPerCall(
    [
      () => dpop.greet({ name: "bench" }),
      // a signature between calls takes longer than one of many in a row
      async () => {
        await bearer.greet({ name: "bench" });
        await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, privateKey, data);
      },
      () => bearer.greet({ name: "bench" }),
    ],
    { rounds: 100, callsPerRound: 200 },
  );
  return {
    name: "what a DPoP proof adds to a call",
    against: "what one ES256 signature adds",
    value: (withProof - without) / (withSignature - without),
    unit: "ratio",
    bound: 1.3,
    aim: 1.1,
  };
}

/** Calls that all find no token. */
async function firstCalls(server: TestAuthorizationServer): Promise<Row> {
  const before = server.requests.length;
  const client = createOAuthClient(server, false);
  await Promise.all(Array.from({ length: 10_000 }, () => client.greet({ name: "bench" })));
  return {
    name: "token requests of 10,000 concurrent first calls",
    against: "1",
    value: server.requests.length - before,
    unit: "requests",
    bound: 1,
    aim: 1,
  };
}

function createOAuthClient(server: TestAuthorizationServer, dpop: boolean) {
  const credentials = credentialsOf(server, dpop);
  return createGreeterServiceClient(createTransport, { baseUrl }, { credentials });
}

function credentialsOf({ issuer, clients, resources }: TestAuthorizationServer, dpop: boolean) {
  return clientCredentials({
    issuer,
    clientId: clients.basic.clientId,
    clientSecret: clients.basic.clientSecret,
    resource: resources.orders,
    dpop,
  });
}

function createTransport(options: { baseUrl: string; interceptors?: Interceptor[] }) {
  return createRouterTransport(routes, { transport: options });
}

function routes(router: ConnectRouter): void {
  router.service(GreeterService, {
    greet: ({ name }, { requestHeader }) => {
      if (!/^(Bearer|DPoP) \S{300}/.test(requestHeader.get("authorization") ?? "")) {
        throw new Error("the call came without its credential");
      }
      return { greeting: `Hello, ${name}` };
    },
  });
}
