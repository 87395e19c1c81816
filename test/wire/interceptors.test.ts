import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Auth, type AuthOptions } from "../../src/index.js";
import { callMatrix, createMatrixClient, matrixPath, protocols } from "./protocols.js";
import { type RecordingServer, startRecordingServer } from "./recording-server.js";

const gateway = Auth.gateway({ secret: "s3cret", subject: "billing", roles: ["ops"] });

describe.each(protocols)("interceptors of the user over $name", (protocol) => {
  let server: RecordingServer;
  /** The values of `Authorization` that the server still refuses. */
  const refused = new Set<string | null>();
  beforeAll(async () => {
    const { httpVersion } = protocol;
    server = await startRecordingServer({ httpVersion, refuses: (value) => refused.has(value) });
  });
  beforeEach(() => {
    server.requests.length = 0;
    refused.clear();
  });
  afterAll(() => server.close());

  function clientWith(interceptors: Interceptor[], auth: AuthOptions) {
    return createMatrixClient(protocol, { baseUrl: server.baseUrl, interceptors }, auth);
  }
  function bearerTokens() {
    return server.requests.flatMap(({ credentials }) => credentials.map(([, value]) => value));
  }

  test.each(protocol.streams)("see no credential of a %s call", async (stream) => {
    const seen: string[] = [];
    const look: Interceptor = (next) => async (req) => {
      seen.push(...req.header.keys());
      const res = await next(req);
      seen.push(...req.header.keys());
      return res;
    };
    const client = clientWith([look], {
      credentials: Auth.all(Auth.jwt("user-token"), Auth.header("x-api-key", "key")),
      internalCredentials: gateway,
    });
    await callMatrix(client, "requires", stream);
    await callMatrix(client, "internal", stream);
    expect(
      seen.filter((name) => /^(?:authorization|x-api-key|x-gateway-|x-auth-)/.test(name)),
    ).toEqual([]);
    expect(server.requests.map(({ path, credentials }) => [path, credentials.length])).toEqual([
      [matrixPath("requires", stream), 2],
      [matrixPath("internal", stream), 3],
    ]);
  });

  test("see one call where it was sent twice", async () => {
    refused.add("Bearer old");
    let calls = 0;
    const count: Interceptor = (next) => (req) => {
      calls++;
      return next(req);
    };
    const client = clientWith([count], {
      credentials: ({ reason }) => Auth.jwt(reason === "request" ? "old" : "new"),
    });
    await callMatrix(client, "requires", "Unary");
    expect(calls).toBe(1);
    expect(bearerTokens()).toEqual(["Bearer old", "Bearer new"]);
  });

  test("get a fresh credential for each attempt of their own", async () => {
    refused.add("Bearer token-1").add("Bearer token-2");
    let asked = 0;
    const again: Interceptor = (next) => async (req) => {
      try {
        return await next(req);
      } catch (error) {
        expect(ConnectError.from(error).code).toBe(Code.Unauthenticated);
        return next(req);
      }
    };
    const client = clientWith([again], { credentials: () => Auth.jwt(`token-${++asked}`) });
    await callMatrix(client, "requires", "Unary");
    // the first two are one attempt of the interceptor, with our retry in it
    expect(bearerTokens()).toEqual(["Bearer token-1", "Bearer token-2", "Bearer token-3"]);
  });

  test("may set a header for the call, which wins", async () => {
    const own: Interceptor = (next) => (req) => {
      req.header.set("authorization", "Bearer own");
      return next(req);
    };
    await callMatrix(clientWith([own], { credentials: Auth.jwt("a") }), "requires", "Unary");
    expect(bearerTokens()).toEqual(["Bearer own"]);
  });
});
