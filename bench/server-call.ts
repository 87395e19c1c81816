import { once } from "node:events";
import http2 from "node:http2";
import type { ConnectRouter, Interceptor } from "@connectrpc/connect";
import { connectNodeAdapter, createConnectTransport } from "@connectrpc/connect-node";
import { Auth } from "connectrpc-auth";
import {
  createJwtAuthInterceptor,
  createMemoryReplayStore,
  createServerAuth,
} from "connectrpc-auth/server";
import { EmbeddedJWK, generateKeyPair, jwtVerify, SignJWT } from "jose";
import { createDpopKeys, signDpopProof } from "../test/support/dpop-proof.js";
import { type CompareOptions, compare } from "./compare.js";
import {
  createGreeterServiceClient,
  GreeterServicePolicies,
} from "./gen/acme/bench/v1/greeter_auth.js";
import { GreeterService } from "./gen/acme/bench/v1/greeter_pb.js";
import type { Row } from "./row.js";

const issuer = "https://auth.acme.dev";
const audience = "https://api.acme.dev";

/** What authentication and authorization cost a server. */
export async function benchServerCall(): Promise<Row[]> {
  return [
    await repeatedToken("ES256"),
    await repeatedToken("RS256"),
    await wholeChain(),
    await replayCheck(),
  ];
}

/** A token that comes again, as those of a client do until they expire. */
async function repeatedToken(algorithm: string): Promise<Row> {
  const { token, publicKey } = await createToken(algorithm);
  const expected = { issuer, audience, algorithms: [algorithm] };
  const { authenticate } = createJwtAuthInterceptor({ publicKey, ...expected });
  const call = {
    header: new Headers({ authorization: `Bearer ${token}` }),
    url: `${audience}/acme.bench.v1.GreeterService/Greet`,
    requestMethod: "POST",
    method: GreeterService.method.greet,
    signal: new AbortController().signal,
  };
  return {
    name: `authenticate a repeated JWT, ${algorithm}`,
    against: "jwtVerify of jose",
    value: await compare(
      () => authenticate(call),
      () => jwtVerify(token, publicKey, expected),
      { rounds: 100, callsPerRound: 200 },
    ),
    unit: "ratio",
    bound: 1 / 20,
    aim: 1 / 50,
  };
}

/** A server that authenticates and authorizes, and one that does not, under many calls at once. */
async function wholeChain(): Promise<Row> {
  const { token, publicKey } = await createToken("ES256");
  const auth = createServerAuth({
    policies: [GreeterServicePolicies],
    authenticate: createJwtAuthInterceptor({ publicKey, issuer, audience }),
  });
  const secured = await startServer(auth.guard(routes), auth.interceptors);
  const bare = await startServer(routes, []);
  const callsOf = (baseUrl: string) => {
    const options = { baseUrl, httpVersion: "2" } as const;
    const credentials = Auth.jwt(token);
    const client = createGreeterServiceClient(createConnectTransport, options, { credentials });
    return () => Promise.all(Array.from({ length: 20 }, () => client.greet({ name: "bench" })));
  };
  const options: CompareOptions = { rounds: 400, callsPerRound: 2 };
  try {
    return {
      name: "calls over HTTP/2 through createServerAuth",
      against: "the same server without",
      value: await compare(callsOf(secured.baseUrl), callsOf(bare.baseUrl), options),
      unit: "ratio",
      bound: 1 / 0.95,
      aim: 1.02,
    };
  } finally {
    secured.close();
    bare.close();
  }
}

/** Whether a DPoP proof is new: what comes after it was verified. */
async function replayCheck(): Promise<Row> {
  const proof = await signDpopProof(await createDpopKeys(), {
    claims: { htm: "POST", htu: `${audience}/acme.bench.v1.GreeterService/Greet` },
  });
  const store = createMemoryReplayStore();
  const options = { typ: "dpop+jwt", algorithms: ["ES256"] };
  let seen = 0;
  return {
    name: "replay check in memory",
    against: "verifying the DPoP proof",
    value: await compare(
      () =>
        store.add(
          `a key of some length, as hashes have it ${seen++}`,
          new Date(Date.now() + 65_000),
        ),
      () => jwtVerify(proof, EmbeddedJWK, options),
      { rounds: 100, callsPerRound: 200 },
    ),
    unit: "ratio",
    bound: 1 / 20,
    aim: 1 / 50,
  };
}

async function createToken(algorithm: string) {
  const { privateKey, publicKey } = await generateKeyPair(algorithm);
  const token = await new SignJWT({
    sub: "alice",
    roles: ["admin"],
    scope: "users:read users:write",
  })
    .setProtectedHeader({ alg: algorithm })
    .setIssuer(issuer)
    .setAudience(audience)
    .setExpirationTime("1h")
    .sign(privateKey);
  return { token, publicKey };
}

async function startServer(routes: (router: ConnectRouter) => void, interceptors: Interceptor[]) {
  const server = http2.createServer(connectNodeAdapter({ routes, interceptors }));
  const sessions = new Set<http2.ServerHttp2Session>();
  server.on("session", (session) => sessions.add(session)).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") {
    throw new Error("the server has no port");
  }
  return {
    baseUrl: `http://127.0.0.1:${address.port}`,
    close() {
      server.close();
      for (const session of sessions) {
        session.destroy();
      }
    },
  };
}

function routes(router: ConnectRouter): void {
  router.service(GreeterService, { greet: ({ name }) => ({ greeting: `Hello, ${name}` }) });
}
