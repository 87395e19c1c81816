import http from "node:http";
import { Code } from "@connectrpc/connect";
import { decodeJwt } from "jose";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { listenOnLoopback } from "../../example/loopback.js";
import { clientCredentials } from "../../src/oauth/index.js";
import {
  startAuthorizationServer,
  type TestAuthorizationServer,
} from "../support/authorization-server.js";
import { forward } from "../support/forward.js";
import { type ProtectedApi, startProtectedApi } from "../support/protected-api.js";
import { type Protocol, protocols } from "../wire/protocols.js";
import { caller, connectOverHttp1, connectOverHttp2, serviceOptions } from "./unary-calls.js";

let authorizationServer: TestAuthorizationServer;
let apis: Record<Protocol["httpVersion"], ProtectedApi>;
let other: ProtectedApi;
beforeAll(async () => {
  authorizationServer = await startAuthorizationServer({ dpopNonces: true });
  const start = (httpVersion: Protocol["httpVersion"]) =>
    startProtectedApi({
      httpVersion,
      authorizationServer,
      dpop: { required: true, nonces: true },
    });
  apis = { "1.1": await start("1.1"), "2": await start("2") };
  other = await start("2");
});
afterAll(async () => {
  await Promise.all([apis["1.1"], apis["2"], other, authorizationServer].map((s) => s.close()));
});
beforeEach(() => {
  for (const api of [apis["1.1"], apis["2"], other]) {
    api.requests.length = 0;
    api.calls.length = 0;
    api.onRequest(() => undefined);
  }
  authorizationServer.fault(undefined);
});

const credentials = () => clientCredentials(serviceOptions(authorizationServer));
const times = <T>(n: number, make: () => T): T[] => Array.from({ length: n }, make);

describe.each(protocols)("over $name", (protocol) => {
  test("after a restart of the API one call pays for the new nonce, and every call passes", async () => {
    const api = apis[protocol.httpVersion];
    const call = caller(api, protocol, credentials());
    await call();
    api.requests.length = 0;
    api.restart();
    await call();
    expect(api.requests).toHaveLength(2);
    await call();
    await call();
    expect(api.requests).toHaveLength(4);
    api.restart();
    await Promise.all(times(20, call));
    expect(api.calls).toHaveLength(24);
    expect(api.requests.length).toBeLessThanOrEqual(4 + 40);
  });
});

describe("nonces", () => {
  test("a server that wants another one each time is asked twice", async () => {
    const api = apis["2"];
    api.onRequest(() => {
      api.restart();
      return undefined;
    });
    await expect(caller(api, connectOverHttp2, credentials())()).rejects.toMatchObject({
      name: "ConnectError",
      code: Code.Unauthenticated,
      rawMessage: "invalid DPoP proof",
      cause: { name: "AuthError", code: "credentials_refused", sent: true },
    });
    expect(api.requests).toHaveLength(2);
  });

  test("an authorization server that wants another one each time is asked twice", async () => {
    const asked = authorizationServer.requests.length;
    authorizationServer.fault((n) => ({
      type: "status",
      status: 400,
      headers: { "dpop-nonce": `nonce-${n}` },
      body: '{"error":"use_dpop_nonce"}',
    }));
    await expect(caller(apis["2"], connectOverHttp2, credentials())()).rejects.toMatchObject({
      name: "ConnectError",
      code: Code.Unauthenticated,
      cause: {
        name: "AuthError",
        code: "credentials_failed",
        sent: false,
        cause: { name: "AuthClientError", code: "use_dpop_nonce", status: 400 },
      },
    });
    expect(noncesOfTokenRequests(asked)).toEqual([undefined, "nonce-1"]);
    expect(apis["2"].requests).toEqual([]);
  });

  test("of authorization server and APIs never mix, whoever restarts", async () => {
    const asked = authorizationServer.requests.length;
    const auth = credentials();
    const calls = [
      caller(apis["2"], connectOverHttp2, auth),
      caller(other, connectOverHttp2, auth),
    ];
    for (const restart of [
      () => authorizationServer.restartNonces(),
      () => apis["2"].restart(),
      () => other.restart(),
      () => auth.clear(),
    ]) {
      await Promise.all(calls.map((call) => call()));
      restart();
    }
    await Promise.all(calls.map((call) => call()));
    const seen = [
      noncesOfTokenRequests(asked),
      ...[apis["2"], other].map(({ requests }) => requests.map((r) => r.proof?.claims.nonce)),
    ].map((nonces) => [...new Set(nonces)].filter((nonce) => nonce !== undefined));
    // the first one, and that after the restart
    expect(seen.map((nonces) => nonces.length)).toEqual([2, 2, 2]);
    expect(new Set(seen.flat()).size).toBe(6);
  });

  test("of an authorization server and an API at one origin do not mix either", async () => {
    const server = http.createServer((req, res) =>
      forward(req, res, req.url === "/token" ? authorizationServer.issuer : api.baseUrl),
    );
    const gateway = await listenOnLoopback(server);
    const api = await startProtectedApi({
      httpVersion: "1.1",
      authorizationServer,
      dpop: { nonces: true, publicOrigins: [gateway.baseUrl] },
    });
    try {
      const asked = authorizationServer.requests.length;
      const tokenEndpoint = `${gateway.baseUrl}/token`;
      const auth = clientCredentials({ ...serviceOptions(authorizationServer), tokenEndpoint });
      const call = caller(gateway, connectOverHttp1, auth);
      await call();
      await call();
      auth.clear();
      await call();
      const [first, ...ofTokens] = noncesOfTokenRequests(asked);
      const [second, ...ofCalls] = api.requests.map(({ proof }) => proof?.claims.nonce);
      expect([first, second]).toEqual([undefined, undefined]);
      expect([ofTokens.length, ofCalls.length]).toEqual([2, 3]);
      expect([new Set(ofTokens).size, new Set(ofCalls).size]).toEqual([1, 1]);
      expect(ofTokens[0]).not.toBe(ofCalls[0]);
    } finally {
      await Promise.all([gateway.close(), api.close()]);
    }
  });

  test("after a restart of the authorization server the next token pays for a new one", async () => {
    const auth = credentials();
    const call = caller(apis["2"], connectOverHttp2, auth);
    await call();
    const asked = authorizationServer.requests.length;
    for (const [isRestarted, requests] of [
      [false, 1],
      [true, 3],
      [false, 4],
    ] as const) {
      if (isRestarted) {
        authorizationServer.restartNonces();
      }
      auth.clear();
      await call();
      expect(authorizationServer.requests).toHaveLength(asked + requests);
    }
    // none of that concerns the API
    expect(apis["2"].requests).toHaveLength(5);
  });

  test("are shared by the clients and transports of a credential", async () => {
    const asked = authorizationServer.requests.length;
    const auth = credentials();
    const api = apis["1.1"];
    const calls = protocols
      .filter(({ httpVersion }) => httpVersion === "1.1")
      .map((protocol) => caller(api, protocol, auth));
    await Promise.all(calls.flatMap((call) => [call(), call()]));
    expect(api.calls).toHaveLength(calls.length * 2);
    expect(api.requests).toHaveLength(calls.length * 2 + 1);
    expect(authorizationServer.requests).toHaveLength(asked + 2);
    const keys = api.requests.map(({ proof }) => JSON.stringify(proof?.header.jwk));
    expect(new Set(keys).size).toBe(1);
  });

  test("and tokens are both renewed where both are refused", async () => {
    const api = apis["2"];
    const call = caller(api, connectOverHttp2, credentials());
    await call();
    const asked = authorizationServer.requests.length;
    expect(api.requests).toHaveLength(2);
    api.revokeTokens();
    api.restart();
    await call();
    // the old token, the new one with the old nonce, the new one with the new nonce
    expect(api.requests).toHaveLength(5);
    expect(authorizationServer.requests).toHaveLength(asked + 1);
  });

  test("and tokens are both renewed also where the call asked for a nonce before", async () => {
    const api = apis["2"];
    api.onRequest((n) => {
      if (n === 2) {
        api.revokeTokens();
        api.restart();
      }
      return undefined;
    });
    await caller(api, connectOverHttp2, credentials())();
    expect(api.requests.map(({ proof }) => proof?.claims.nonce)).toEqual([
      undefined,
      expect.any(String),
      expect.any(String),
      expect.any(String),
    ]);
    expect(api.calls).toHaveLength(1);
  });
});

function noncesOfTokenRequests(from: number): unknown[] {
  return authorizationServer.requests
    .slice(from)
    .map(({ headers }) => decodeJwt(headers.get("dpop") ?? "").nonce);
}
