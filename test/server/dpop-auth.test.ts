import http from "node:http";
import http2 from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import { inspect } from "node:util";
import {
  Code,
  ConnectError,
  type ConnectRouter,
  createClient,
  type Interceptor,
  type Transport,
} from "@connectrpc/connect";
import { connectNodeAdapter, createConnectTransport } from "@connectrpc/connect-node";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import {
  createJwtAuthInterceptor,
  createServerAuth,
  type Denial,
  type DpopOptions,
  getAuthContext,
} from "../../src/server/index.js";
import { MatrixServicePolicies } from "../gen/acme/matrix/v1/matrix_auth.js";
import { MatrixService } from "../gen/acme/matrix/v1/matrix_pb.js";
import { UserServicePolicies } from "../gen/acme/user/v1/user_auth.js";
import { UserService } from "../gen/acme/user/v1/user_pb.js";
import { createDpopKeys, type DpopProofInit, signDpopProof } from "../support/dpop-proof.js";
import { incomingCall } from "../support/incoming-call.js";
import { createTestToken, testSecret } from "../support/test-token.js";
import { callMatrix, protocols } from "../wire/protocols.js";

const keys = await createDpopKeys();
const algs = 'algs="ES256 Ed25519 EdDSA"';
const lifetimeSeconds = 10;
const nonceOptions = { secret: "a secret of at least thirty-two bytes!", lifetimeSeconds };

const boundToken = (claims = {}) =>
  createTestToken({ sub: "alice", cnf: { jkt: keys.jkt }, ...claims });

beforeEach(() => {
  // at the beginning of a step of the nonces
  vi.useFakeTimers({ now: 1_800_000_000_000, toFake: ["Date"] });
});
afterEach(() => {
  vi.useRealTimers();
});

interface TestServer {
  readonly baseUrl: string;
  /** Who called, as the handlers knew them, and with which HTTP method. */
  readonly calls: string[];
  close(): Promise<void>;
}

/** Who secures a server: the interceptor alone, or as a part of `createServerAuth`. */
type Setup = "createJwtAuthInterceptor" | "createServerAuth";

async function startServer(
  httpVersion: "1.1" | "2",
  setup: Setup,
  dpop: Omit<DpopOptions, "publicOrigins"> = {},
): Promise<TestServer> {
  const server = httpVersion === "2" ? http2.createServer() : http.createServer();
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => sockets.add(socket));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const baseUrl = `http://127.0.0.1:${port}`;
  const calls: string[] = [];

  const called = (method: string) => {
    calls.push(`${method} by ${getAuthContext()?.subject}`);
    return {};
  };
  const routes = (router: ConnectRouter) => {
    router.service(UserService, { whoAmI: (_, { requestMethod }) => called(requestMethod) });
    router.service(MatrixService, {
      authenticatedUnary: (_, { requestMethod }) => called(requestMethod),
      async *authenticatedServer(_, { requestMethod }) {
        yield called(requestMethod);
      },
      async authenticatedClient(messages, { requestMethod }) {
        for await (const _message of messages) {
          // it is answered when it has ended
        }
        return called(requestMethod);
      },
      async *authenticatedBidi(_messages, { requestMethod }) {
        yield called(requestMethod);
      },
    });
  };
  const jwt = createJwtAuthInterceptor({
    secret: testSecret,
    dpop: { publicOrigins: [baseUrl], ...dpop },
  });
  const auth = createServerAuth({
    policies: [UserServicePolicies, MatrixServicePolicies],
    authenticate: jwt,
  });
  server.on(
    "request",
    setup === "createServerAuth"
      ? connectNodeAdapter({ routes: auth.guard(routes), interceptors: auth.interceptors })
      : connectNodeAdapter({ routes, interceptors: [jwt] }),
  );
  return {
    baseUrl,
    calls,
    close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of sockets) {
        socket.destroy();
      }
      return closed;
    },
  };
}

/** Sends a token and a proof with each call. */
function presenting(token: string, claims: DpopProofInit["claims"] = {}): Interceptor {
  return (next) => async (req) => {
    const about = { htm: "POST", htu: req.url, ...claims };
    req.header.set("authorization", `DPoP ${token}`);
    req.header.set("dpop", await signDpopProof(keys, { claims: about }, token));
    return next(req);
  };
}

async function refusal(call: Promise<unknown>): Promise<ConnectError> {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect.assert(error instanceof ConnectError);
  return error;
}

describe.each<Setup>(["createJwtAuthInterceptor", "createServerAuth"])("%s", (setup) => {
  describe.each(protocols)("over $name", ({ httpVersion, streams, createTransport }) => {
    let server: TestServer;
    beforeAll(async () => {
      server = await startServer(httpVersion, setup, { nonces: nonceOptions });
    });
    beforeEach(() => {
      server.calls.length = 0;
    });
    afterAll(() => server.close());

    /** Calls with a proof, and returns the nonce of the response. */
    async function call(stream: (typeof streams)[number], nonce?: string): Promise<string | null> {
      let fresh: string | null = null;
      const transport: Transport = createTransport({
        baseUrl: server.baseUrl,
        interceptors: [presenting(await boundToken(), { nonce })],
      });
      await callMatrix(createClient(MatrixService, transport), "authenticated", stream, {
        onHeader(header) {
          fresh = header.get("dpop-nonce");
        },
      });
      return fresh;
    }

    /** The nonce that comes with a refusal. */
    async function nonceOfRefusal(attempt: Promise<unknown>): Promise<string> {
      const error = await refusal(attempt);
      expect(error).toMatchObject({
        code: Code.Unauthenticated,
        rawMessage: "invalid DPoP proof",
      });
      expect(error.metadata.get("www-authenticate")).toBe(`DPoP error="use_dpop_nonce", ${algs}`);
      const nonce = error.metadata.get("dpop-nonce");
      expect.assert(nonce !== null);
      return nonce;
    }

    test.each(streams)("takes a %s call with a proof and a nonce", async (stream) => {
      const nonce = await nonceOfRefusal(call(stream));
      expect(server.calls).toEqual([]);
      expect(await call(stream, nonce)).toBeNull();
      expect(server.calls).toEqual(["POST by alice"]);
    });

    test.each(streams)("hands out the next nonce with a %s response", async (stream) => {
      const first = await nonceOfRefusal(call(stream));
      vi.advanceTimersByTime(lifetimeSeconds * 1000);
      const second = await call(stream, first);
      expect.assert(second !== null);
      expect(second).not.toBe(first);
      expect(await call(stream, second)).toBeNull();
      vi.advanceTimersByTime(lifetimeSeconds * 1000);
      expect(await nonceOfRefusal(call(stream, first))).toBe(await call(stream, second));
      expect(server.calls).toHaveLength(3);
    });

    test("answers a foreign nonce with one of its own", async () => {
      const fresh = await nonceOfRefusal(call("Unary", "of-another-server"));
      expect(await call("Unary", fresh)).toBeNull();
    });
  });

  describe("with Connect GET", () => {
    let server: TestServer;
    beforeAll(async () => {
      server = await startServer("1.1", setup, { nonces: nonceOptions });
    });
    beforeEach(() => {
      server.calls.length = 0;
    });
    afterAll(() => server.close());

    async function get(claims: DpopProofInit["claims"]): Promise<Headers> {
      let header = new Headers();
      const transport = createConnectTransport({
        baseUrl: server.baseUrl,
        httpVersion: "1.1",
        useHttpGet: true,
        interceptors: [presenting(await boundToken(), claims)],
      });
      const onHeader = (received: Headers) => {
        header = received;
      };
      await createClient(UserService, transport).whoAmI({}, { onHeader });
      return header;
    }

    test("takes a proof for GET, and lets nobody cache a response with a nonce", async () => {
      const refused = await refusal(get({ htm: "GET" }));
      const nonce = refused.metadata.get("dpop-nonce") ?? "";
      const same = await get({ htm: "GET", nonce });
      expect([same.get("dpop-nonce"), same.get("cache-control")]).toEqual([null, null]);
      vi.advanceTimersByTime(lifetimeSeconds * 1000);
      const next = await get({ htm: "GET", nonce });
      expect([next.get("dpop-nonce"), next.get("cache-control")]).toEqual([
        expect.stringMatching(/^[\w-]{43}$/),
        "no-store",
      ]);
      expect(server.calls).toEqual(["GET by alice", "GET by alice"]);
    });

    test("refuses a proof for POST", async () => {
      const error = await refusal(get({ htm: "POST" }));
      expect(error).toMatchObject({
        code: Code.Unauthenticated,
        rawMessage: "invalid DPoP proof",
      });
      expect(error.metadata.get("www-authenticate")).toBe(
        `DPoP error="invalid_dpop_proof", ${algs}`,
      );
      expect(server.calls).toEqual([]);
    });
  });
});

describe("a request on the wire", () => {
  const path = "/acme.user.v1.UserService/WhoAmI";
  let server: TestServer;
  beforeAll(async () => {
    server = await startServer("1.1", "createServerAuth");
  });
  afterAll(() => server.close());

  /** Sends headers as they are: `fetch` would not let us choose the host. */
  async function post(headers: http.OutgoingHttpHeaders): Promise<[number | undefined, string]> {
    return new Promise((resolve, reject) => {
      const req = http.request(`${server.baseUrl}${path}`, {
        method: "POST",
        agent: false,
        headers: { "content-type": "application/json", ...headers },
      });
      req.on("error", reject).on("response", (res) => {
        res.resume();
        res.on("end", () => resolve([res.statusCode, res.headers["www-authenticate"] ?? ""]));
      });
      req.end("{}");
    });
  }
  const proofFor = (origin: string, token: string) =>
    signDpopProof(keys, { claims: { htm: "POST", htu: `${origin}${path}` } }, token);

  test("passes with a proof for a public origin, whatever its host is", async () => {
    const token = await boundToken();
    const authorization = `DPoP ${token}`;
    const dpop = () => proofFor(server.baseUrl, token);
    expect(await post({ authorization, dpop: await dpop() })).toEqual([200, ""]);
    expect(await post({ authorization, dpop: await dpop(), host: "evil.test" })).toEqual([200, ""]);
  });

  test("is refused with a proof for another origin, also where its host says so", async () => {
    const token = await boundToken();
    const dpop = await proofFor("http://evil.test", token);
    expect(await post({ authorization: `DPoP ${token}`, dpop, host: "evil.test" })).toEqual([
      401,
      `DPoP error="invalid_dpop_proof", ${algs}`,
    ]);
  });

  test("is refused with two proofs", async () => {
    const token = await boundToken();
    const dpop = [await proofFor(server.baseUrl, token), await proofFor(server.baseUrl, token)];
    expect(await post({ authorization: `DPoP ${token}`, dpop })).toEqual([
      401,
      `DPoP error="invalid_dpop_proof", ${algs}`,
    ]);
  });

  test("passes once of a hundred times that come together", async () => {
    const token = await boundToken();
    const headers = { authorization: `DPoP ${token}`, dpop: await proofFor(server.baseUrl, token) };
    const statuses = await Promise.all(
      Array.from({ length: 100 }, async () => (await post(headers))[0]),
    );
    expect(statuses.filter((status) => status === 200)).toHaveLength(1);
    expect(statuses.filter((status) => status === 401)).toHaveLength(99);
  });
});

describe("the dpop option", () => {
  const call = incomingCall({});
  const publicOrigins = ["https://api.test"];

  async function authenticate(
    scheme: "Bearer" | "DPoP",
    token: string,
    dpop: Partial<DpopOptions> = {},
  ) {
    const proof = await signDpopProof(keys, { claims: { htm: "POST", htu: call.url } }, token);
    const interceptor = createJwtAuthInterceptor({
      secret: testSecret,
      dpop: { publicOrigins, ...dpop },
    });
    const header = new Headers({ authorization: `${scheme} ${token}`, dpop: proof });
    return interceptor.authenticate({ ...call, header });
  }

  test("takes bound tokens as DPoP, and others as Bearer", async () => {
    const bound = await authenticate("DPoP", await boundToken());
    expect(bound).toMatchObject({
      subject: "alice",
      type: "jwt",
      claims: { cnf: { jkt: keys.jkt } },
    });
    const bearer = await authenticate("Bearer", await createTestToken({ sub: "bob" }));
    expect(bearer).toMatchObject({ subject: "bob", type: "jwt" });
  });

  test.each(["dpop", "DPOP"])("takes the scheme %s", async (scheme) => {
    const token = await boundToken();
    const proof = await signDpopProof(keys, { claims: { htm: "POST", htu: call.url } }, token);
    const header = new Headers({ authorization: `${scheme}  ${token}`, dpop: proof });
    const interceptor = createJwtAuthInterceptor({ secret: testSecret, dpop: { publicOrigins } });
    expect(await interceptor.authenticate({ ...call, header })).toMatchObject({ subject: "alice" });
  });

  const dpopError = `DPoP error="invalid_token", ${algs}`;
  const bearerError = `Bearer error="invalid_token", DPoP ${algs}`;
  test.each<{
    name: string;
    scheme?: "Bearer" | "DPoP";
    token: () => Promise<string>;
    required?: boolean;
    reason: string;
    challenge?: string;
  }>([
    {
      name: "a bound token as Bearer",
      scheme: "Bearer",
      token: boundToken,
      reason: 'token: bound to a key ("cnf"), so not a bearer token',
      challenge: bearerError,
    },
    {
      name: "a bad token as Bearer",
      scheme: "Bearer",
      token: async () => "a.b",
      reason: "token: 2 segments, a signed token has three",
      challenge: bearerError,
    },
    {
      name: "an unbound token as Bearer where DPoP is required",
      scheme: "Bearer",
      token: createTestToken,
      required: true,
      reason: "token: Bearer, where only DPoP is accepted",
    },
    {
      name: "an unbound token as DPoP",
      token: createTestToken,
      reason: "token: bound to no key, so not for DPoP",
    },
    {
      name: "a token bound to a certificate",
      token: () => boundToken({ cnf: { "x5t#S256": "x" } }),
      reason: 'token: bound in another way than by "jkt"',
    },
    {
      name: "a token bound to a certificate too",
      token: () => boundToken({ cnf: { jkt: keys.jkt, "x5t#S256": "x" } }),
      reason: 'token: bound in another way than by "jkt"',
    },
    {
      name: "a thumbprint that is a number",
      token: () => boundToken({ cnf: { jkt: 7 } }),
      reason: 'token: bound in another way than by "jkt"',
    },
    {
      name: "a cnf that is text",
      token: () => boundToken({ cnf: keys.jkt }),
      reason: 'token: bound in another way than by "jkt"',
    },
    {
      name: "a cnf that is null",
      token: () => boundToken({ cnf: null }),
      reason: 'token: bound in another way than by "jkt"',
    },
    {
      name: "a token bound to another key",
      token: () => boundToken({ cnf: { jkt: "another" } }),
      reason: "token: bound to another key than that of the proof",
    },
    {
      name: "a bad token as DPoP",
      token: async () => "a.b",
      reason: "token: 2 segments, a signed token has three",
    },
    {
      name: "no token",
      token: async () => "",
      reason: "Authorization: DPoP without exactly one token",
    },
    {
      name: "two tokens",
      token: async () => "a.b.c, DPoP a.b.c",
      reason: "Authorization: DPoP without exactly one token",
    },
    {
      name: "two schemes",
      token: async () => "a.b.c, Bearer a.b.c",
      reason: "Authorization: DPoP without exactly one token",
    },
    {
      name: "a token above 8 KiB",
      token: async () => "x".repeat(8193),
      reason: "the token has more than 8192 bytes",
    },
  ])("refuses $name", async ({ scheme = "DPoP", token, required, reason, challenge }) => {
    const dpop = required === undefined ? {} : { required };
    const error = await refusal(authenticate(scheme, await token(), dpop));
    expect(error).toMatchObject({
      code: Code.Unauthenticated,
      rawMessage: "invalid token",
      cause: new Error(reason),
    });
    expect(error.metadata.get("www-authenticate")).toBe(challenge ?? dpopError);
  });

  test("refuses a bad token without using up its proof", async () => {
    const add = vi.fn(async () => true);
    const early = await boundToken({ nbf: 4_000_000_000 });
    const error = await refusal(authenticate("DPoP", early, { replayStore: { add } }));
    expect(error).toMatchObject({ code: Code.Unauthenticated, rawMessage: "invalid token" });
    const nobody = await boundToken({ sub: "" });
    await refusal(authenticate("DPoP", nobody, { replayStore: { add } }));
    expect(add).not.toHaveBeenCalled();
    await authenticate("DPoP", await boundToken(), { replayStore: { add } });
    expect(add).toHaveBeenCalledOnce();
  });

  test("answers Unavailable where the replay store does not", async () => {
    const replayStore = { add: () => Promise.reject(new Error("connection lost")) };
    expect(await refusal(authenticate("DPoP", await boundToken(), { replayStore }))).toMatchObject({
      code: Code.Unavailable,
      rawMessage: "credentials cannot be verified at the moment",
      cause: new Error("replay store: connection lost"),
    });
  });

  test.each([
    { name: "both schemes", dpop: { publicOrigins }, challenge: `Bearer, DPoP ${algs}` },
    {
      name: "only DPoP where it is required",
      dpop: { publicOrigins, required: true },
      challenge: `DPoP ${algs}`,
    },
    {
      name: "the algorithms that were asked for",
      dpop: { publicOrigins, required: true, algorithms: ["PS256", "ES256"] },
      challenge: 'DPoP algs="PS256 ES256"',
    },
  ])("challenges a call without a credential with $name", ({ dpop, challenge }) => {
    expect(createJwtAuthInterceptor({ secret: testSecret, dpop }).challenge).toBe(challenge);
  });

  test("that is undefined is rejected: it would switch the checks off", () => {
    const options = { secret: testSecret, ...Object.fromEntries([["dpop", undefined]]) };
    expect(() => createJwtAuthInterceptor(options)).toThrow(
      new TypeError("dpop takes an object of options"),
    );
  });

  test("tells onDenied why, and shows neither token nor proof", async () => {
    const denials: Denial[] = [];
    const auth = createServerAuth({
      policies: [UserServicePolicies],
      authenticate: createJwtAuthInterceptor({ secret: testSecret, dpop: { publicOrigins } }),
      onDenied: (denial) => denials.push(denial),
    });
    const [interceptor] = auth.interceptors;
    const token = await boundToken();
    const proof = await signDpopProof(keys, { claims: { htm: "GET", htu: call.url } }, token);
    const server = http.createServer(
      connectNodeAdapter({
        interceptors: interceptor ? [interceptor] : [],
        routes: (router) => router.service(UserService, {}),
      }),
    );
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const transport = createConnectTransport({
      baseUrl: `http://127.0.0.1:${port}`,
      httpVersion: "1.1",
    });
    const headers = { authorization: `DPoP ${token}`, dpop: proof };
    const error = await refusal(createClient(UserService, transport).whoAmI({}, { headers }));
    server.closeAllConnections();
    server.close();
    expect(error).toMatchObject({ code: Code.Unauthenticated, rawMessage: "invalid DPoP proof" });
    expect(denials).toMatchObject([{ error: { cause: new Error('proof: "htm" is not POST') } }]);
    const shown = inspect(denials[0]?.error, { depth: 9 }) + JSON.stringify(denials[0]?.error);
    for (const secret of [token, proof, testSecret]) {
      expect(shown).not.toContain(secret);
    }
  });
});
