import { Code, ConnectError } from "@connectrpc/connect";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { Auth } from "../../src/index.js";
import { clientCredentials, createAuthClient } from "../../src/oauth/index.js";
import {
  startAuthorizationServer,
  type TestAuthorizationServer,
} from "../support/authorization-server.js";
import { type ProtectedApi, startProtectedApi } from "../support/protected-api.js";
import { type Protocol, protocols } from "../wire/protocols.js";
import { caller, connectOverHttp2, serviceOptions } from "./unary-calls.js";

let authorizationServer: TestAuthorizationServer;
let apis: Record<Protocol["httpVersion"], ProtectedApi>;
beforeAll(async () => {
  authorizationServer = await startAuthorizationServer({ dpopNonces: true });
  const start = (httpVersion: Protocol["httpVersion"]) =>
    startProtectedApi({ httpVersion, authorizationServer, dpop: { nonces: true } });
  apis = { "1.1": await start("1.1"), "2": await start("2") };
});
afterAll(async () => {
  await Promise.all([apis["1.1"], apis["2"], authorizationServer].map((server) => server.close()));
});
beforeEach(() => {
  for (const api of Object.values(apis)) {
    api.requests.length = 0;
    api.calls.length = 0;
    api.onRequest(() => undefined);
    // the keys of the authorization server may be others than in the test before
    api.restart();
  }
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

describe("while calls run, keys rotate and every token is revoked:", () => {
  const bearer = protocols.filter(({ name }) => /^gRPC over HTTP.2|^Connect over fetch/.test(name));
  test.each(bearer)("1,000 calls over $name succeed with one more token", (protocol) =>
    callWhileKeysRotate(protocol, 1000, { dpop: false, tokenRequests: 2, attempts: 2 }),
  );

  // both servers restart, and refuse the nonces that they gave out
  test.each(protocols)("200 calls with DPoP over $name do too", (protocol) =>
    callWhileKeysRotate(protocol, 200, { dpop: true, tokenRequests: 4, attempts: 4 }),
  );

  async function callWhileKeysRotate(
    protocol: Protocol,
    calls: number,
    want: { dpop: boolean; tokenRequests: number; attempts: number },
  ): Promise<void> {
    const api = apis[protocol.httpVersion];
    const asked = authorizationServer.requests.length;
    const rotate = async () => {
      await authorizationServer.rotateKeys();
      api.revokeTokens();
      api.restart();
    };
    api.onRequest((n) => (n === calls / 2 ? rotate() : undefined));
    const call = caller(
      api,
      protocol,
      clientCredentials(serviceOptions(authorizationServer, want.dpop)),
    );
    await Promise.all(Array.from({ length: calls }, call));
    expect(api.calls).toHaveLength(calls);
    expect(new Set(api.requests.map(({ token }) => token)).size).toBe(2);
    expect(api.requests.length).toBeGreaterThan(calls);
    expect(api.requests.length).toBeLessThanOrEqual(calls * want.attempts);
    expect(authorizationServer.requests).toHaveLength(asked + want.tokenRequests);
  }
});

describe.each([false, true])("tokens that live 60 s, with dpop: %s", (dpop) => {
  beforeEach(() => {
    vi.useFakeTimers({ now: 1_800_000_000_000, toFake: ["Date"] });
    authorizationServer.setTokenLifetime(60);
  });
  afterEach(() => {
    authorizationServer.setTokenLifetime(300);
    authorizationServer.fault(undefined);
  });

  test("serve to their end while the authorization server is down, and are renewed after it", async () => {
    const failures: string[] = [];
    const credentials = clientCredentials({
      ...serviceOptions(authorizationServer, dpop),
      onEvent: (event) => event.type === "token_failed" && failures.push(event.error.code),
    });
    const call = caller(apis["2"], connectOverHttp2, credentials);
    await call();
    authorizationServer.fault({ type: "reset" });
    const asked = authorizationServer.requests.length;
    for (let second = 1; second < 60; second++) {
      vi.advanceTimersByTime(1000);
      await call();
    }
    expect(apis["2"].calls).toHaveLength(60);
    expect(new Set(apis["2"].requests.map(({ token }) => token)).size).toBe(1);
    // from the middle of its life on, with a backoff
    const attempts = authorizationServer.requests.length - asked;
    expect(attempts).toBeGreaterThan(2);
    expect(attempts).toBeLessThan(10);
    expect(new Set(failures)).toEqual(new Set(["credentials_unavailable"]));

    // and a bit: what passed in real time since the token came counts too
    vi.advanceTimersByTime(5000);
    await expect(call()).rejects.toMatchObject({
      name: "ConnectError",
      code: Code.Unavailable,
      cause: { name: "AuthError", code: "credentials_unavailable", sent: false },
    });
    expect(apis["2"].calls).toHaveLength(60);

    authorizationServer.fault(undefined);
    vi.advanceTimersByTime(120_000);
    await call();
    expect(apis["2"].calls).toHaveLength(61);
  });
});

describe("the key of a client", () => {
  test("is made once, and cannot be exported", async () => {
    const generateKey = vi.spyOn(crypto.subtle, "generateKey");
    const call = caller(
      apis["2"],
      connectOverHttp2,
      clientCredentials(serviceOptions(authorizationServer)),
    );
    await Promise.all([call(), call(), call()]);
    expect(generateKey).toHaveBeenCalledTimes(1);
    const pair: CryptoKey | CryptoKeyPair = await generateKey.mock.results[0]?.value;
    expect.assert("privateKey" in pair);
    expect(pair.privateKey.extractable).toBe(false);
    await expect(crypto.subtle.exportKey("jwk", pair.privateKey)).rejects.toMatchObject({
      message: "key is not extractable",
    });
  });

  test("that an application brings is used by several credentials", async () => {
    const keyPair = await crypto.subtle.generateKey("Ed25519", false, ["sign", "verify"]);
    expect.assert("privateKey" in keyPair);
    for (let n = 0; n < 2; n++) {
      await caller(
        apis["2"],
        connectOverHttp2,
        clientCredentials(serviceOptions(authorizationServer, { keyPair })),
      )();
    }
    expect(apis["2"].calls).toHaveLength(2);
    const { x } = await crypto.subtle.exportKey("jwk", keyPair.publicKey);
    expect(new Set(apis["2"].requests.map(({ proof }) => proof?.header.jwk?.x))).toEqual(
      new Set([x]),
    );
  });

  test("is the only one for its tokens", async () => {
    const [holder, thief] = [1, 2].map(() => createAuthClient(serviceOptions(authorizationServer)));
    expect.assert(holder !== undefined && thief !== undefined);
    const { access_token } = await holder.getToken();
    let nonce = "";
    const present = (by: typeof holder) =>
      Auth.dpop(access_token, (request) => by.buildDpopProof({ ...request, nonce }), {
        onNonce: (fresh) => {
          nonce = fresh ?? nonce;
        },
      });
    await caller(apis["2"], connectOverHttp2, present(holder))();
    expect(apis["2"].calls).toEqual(["POST by basic"]);
    const error = await caller(apis["2"], connectOverHttp2, present(thief))().catch(
      ConnectError.from,
    );
    expect(error).toMatchObject({
      name: "ConnectError",
      code: Code.Unauthenticated,
      rawMessage: "invalid token",
      cause: { name: "AuthError", code: "credentials_refused", sent: true },
    });
    expect(apis["2"].calls).toHaveLength(1);
  });

  test("is needed for its tokens: they are no bearer tokens", async () => {
    const { access_token } = await createAuthClient(serviceOptions(authorizationServer)).getToken();
    await expect(
      caller(apis["2"], connectOverHttp2, Auth.bearer(access_token))(),
    ).rejects.toMatchObject({
      name: "ConnectError",
      code: Code.Unauthenticated,
      rawMessage: "invalid token",
      cause: { name: "AuthError", code: "credentials_refused", sent: true },
    });
    expect(apis["2"].calls).toEqual([]);
  });
});
