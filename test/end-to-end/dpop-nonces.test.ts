import { Code } from "@connectrpc/connect";
import { decodeJwt } from "jose";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { type ClientCredentialsOptions, clientCredentials } from "../../src/oauth/index.js";
import {
  startAuthorizationServer,
  type TestAuthorizationServer,
} from "../support/authorization-server.js";
import { type ProtectedApi, startProtectedApi } from "../support/protected-api.js";
import { callMatrix, createMatrixClient, type Protocol, protocols } from "../wire/protocols.js";

let authorizationServer: TestAuthorizationServer;
let apis: Record<Protocol["httpVersion"], ProtectedApi>;
let other: ProtectedApi;
beforeAll(async () => {
  authorizationServer = await startAuthorizationServer({ dpopNonces: true });
  const start = (httpVersion: Protocol["httpVersion"]) =>
    startProtectedApi({ httpVersion, authorizationServer, dpop: { required: true, nonces: true } });
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
afterEach(() => {
  vi.restoreAllMocks();
});

function credentials(options: Partial<ClientCredentialsOptions> = {}) {
  const { issuer, clients, resources } = authorizationServer;
  return clientCredentials({
    issuer,
    ...clients.basic,
    resource: resources.orders,
    dpop: true,
    ...options,
  });
}

/** Makes the function that calls an API, with one credential. */
function caller(api: ProtectedApi, protocol: Protocol, auth = credentials()) {
  const client = createMatrixClient(protocol, { baseUrl: api.baseUrl }, { credentials: auth });
  return () => callMatrix(client, "authenticated", "Unary");
}

const times = <T>(n: number, make: () => T): T[] => Array.from({ length: n }, make);
const [http2Connect] = protocols;
expect.assert(http2Connect !== undefined);

describe.each(protocols)("over $name", (protocol) => {
  test("one of a hundred parallel first calls asks for the nonce", async () => {
    const asked = authorizationServer.requests.length;
    const api = apis[protocol.httpVersion];
    await Promise.all(times(100, caller(api, protocol)));
    expect(api.calls).toHaveLength(100);
    expect(api.requests).toHaveLength(101);
    expect(authorizationServer.requests).toHaveLength(asked + 2);
  });

  test("after a restart of the API one call pays for the new nonce, and every call passes", async () => {
    const api = apis[protocol.httpVersion];
    const call = caller(api, protocol);
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
    await expect(caller(api, http2Connect)()).rejects.toMatchObject({
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
    await expect(caller(apis["2"], http2Connect)()).rejects.toMatchObject({
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
    const calls = [caller(apis["2"], http2Connect, auth), caller(other, http2Connect, auth)];
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

  test("after a restart of the authorization server the next token pays for a new one", async () => {
    const auth = credentials();
    const call = caller(apis["2"], http2Connect, auth);
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
    const call = caller(api, http2Connect);
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
    await caller(api, http2Connect)();
    expect(api.requests.map(({ proof }) => proof?.claims.nonce)).toEqual([
      undefined,
      expect.any(String),
      expect.any(String),
      expect.any(String),
    ]);
    expect(api.calls).toHaveLength(1);
  });
});

describe("the first answer of an API", () => {
  let free: ProtectedApi;
  beforeAll(async () => {
    free = await startProtectedApi({
      httpVersion: "1.1",
      authorizationServer,
      dpop: { required: true },
    });
  });
  beforeEach(() => {
    free.requests.length = 0;
    free.calls.length = 0;
  });
  afterAll(() => free.close());

  const [, , , overHttp1] = protocols;
  expect.assert(overHttp1 !== undefined);

  /** Takes the second that calls wait for the first one into the hands of the test. */
  function holdTimeLimit(): () => void {
    const controller = new AbortController();
    const { timeout } = AbortSignal;
    vi.spyOn(AbortSignal, "timeout").mockImplementation((ms) =>
      ms === 1000 ? controller.signal : timeout.call(AbortSignal, ms),
    );
    return () => controller.abort();
  }

  /** Holds the first request that comes, until it is released. */
  function holdFirst(): { isHeld: Promise<void>; release: () => void } {
    let release = () => {};
    const isReleased = new Promise<void>((resolve) => {
      release = resolve;
    });
    const isHeld = new Promise<void>((resolve) => {
      free.onRequest((n) => {
        if (n > 1) {
          return undefined;
        }
        resolve();
        return isReleased;
      });
    });
    return { isHeld, release };
  }

  test("ends the wait of the others, also where no nonce is wanted", async () => {
    holdTimeLimit();
    const { isHeld, release } = holdFirst();
    const call = caller(free, overHttp1);
    const calls = times(100, call);
    await isHeld;
    // with a credential of its own, and so without waiting: whatever was sent before has come by then
    await caller(free, overHttp1)();
    expect(free.requests).toHaveLength(2);
    release();
    await Promise.all(calls);
    expect(free.requests).toHaveLength(101);
    expect(free.calls).toHaveLength(101);
  });

  test("is waited for no longer than a second", async () => {
    const endSecond = holdTimeLimit();
    const { isHeld, release } = holdFirst();
    const [first, ...others] = times(10, caller(free, overHttp1));
    await isHeld;
    await caller(free, overHttp1)();
    expect(free.requests).toHaveLength(2);
    endSecond();
    await Promise.all(others);
    expect(free.calls).toHaveLength(10);
    release();
    await first;
    expect(free.calls).toHaveLength(11);
  });
});

function noncesOfTokenRequests(from: number): unknown[] {
  return authorizationServer.requests
    .slice(from)
    .map(({ headers }) => decodeJwt(headers.get("dpop") ?? "").nonce);
}
