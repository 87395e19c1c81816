import { createHash } from "node:crypto";
import { Code, ConnectError } from "@connectrpc/connect";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { type ClientCredentialsOptions, clientCredentials } from "../../src/oauth/index.js";
import { createUserServiceClient } from "../gen/acme/user/v1/user_auth.js";
import {
  startAuthorizationServer,
  type TestAuthorizationServer,
} from "../support/authorization-server.js";
import { type ProtectedApi, startProtectedApi } from "../support/protected-api.js";
import {
  callMatrix,
  createMatrixClient,
  matrixPath,
  protocols,
  type StreamKind,
} from "../wire/protocols.js";
import { serviceOptions } from "./unary-calls.js";

const lifetimeSeconds = 10;
const isRepeatable = (stream: StreamKind) => stream === "Unary" || stream === "Server";

let authorizationServer: TestAuthorizationServer;
beforeAll(async () => {
  authorizationServer = await startAuthorizationServer({ dpopNonces: true });
});
afterAll(() => authorizationServer.close());
beforeEach(() => {
  // at the beginning of a step of the nonces
  vi.useFakeTimers({ now: 1_800_000_000_000, toFake: ["Date"] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** A credential that knows no token, nonce or key yet. */
const credentials = (dpop?: ClientCredentialsOptions["dpop"]) =>
  clientCredentials(serviceOptions(authorizationServer, dpop));

describe.each(protocols)("DPoP over $name", (protocol) => {
  let api: ProtectedApi;
  beforeAll(async () => {
    api = await startProtectedApi({
      httpVersion: protocol.httpVersion,
      authorizationServer,
      dpop: {
        required: true,
        nonces: { secret: "a secret of at least thirty-two bytes!", lifetimeSeconds },
      },
    });
  });
  beforeEach(() => {
    api.requests.length = 0;
    api.calls.length = 0;
  });
  afterAll(() => api.close());

  const connect = (auth = credentials()) =>
    createMatrixClient(protocol, { baseUrl: api.baseUrl }, { credentials: auth });
  const call = (client: ReturnType<typeof connect>, stream: StreamKind) =>
    callMatrix(client, "authenticated", stream);

  test.each(protocol.streams.filter(isRepeatable))(
    "the first %s call asks each server once for a nonce, and later ones ask nothing",
    async (stream) => {
      const asked = authorizationServer.requests.length;
      const client = connect();
      await call(client, stream);
      const tokenRequests = authorizationServer.requests.slice(asked);
      expect(tokenRequests.map(({ status }) => status)).toEqual([400, 200]);
      expect(api.requests).toHaveLength(2);
      await call(client, stream);
      await call(client, stream);
      expect(authorizationServer.requests).toHaveLength(asked + 2);
      expect(api.requests).toHaveLength(4);
      expect(api.calls).toEqual(["POST by basic", "POST by basic", "POST by basic"]);
    },
  );

  test.each(protocol.streams.filter((stream) => !isRepeatable(stream)))(
    "a %s call without a nonce is refused and not sent again, and the next one passes",
    async (stream) => {
      const client = connect();
      await expect(call(client, stream)).rejects.toMatchObject({
        name: "ConnectError",
        code: Code.Unauthenticated,
        rawMessage: "invalid DPoP proof",
        cause: { name: "AuthError", code: "credentials_refused", sent: true },
      });
      expect(api.requests).toHaveLength(1);
      await call(client, stream);
      await call(client, stream);
      expect(api.requests).toHaveLength(3);
      expect(api.calls).toEqual(["POST by basic", "POST by basic"]);
    },
  );

  test.each(protocol.streams)(
    "each request of a %s call has a proof of its own",
    async (stream) => {
      const asked = authorizationServer.requests.length;
      const client = connect();
      await call(client, stream).catch(ConnectError.from);
      await call(client, stream);
      const proofs = api.requests.map(({ proof }) => proof);
      const [token = ""] = api.requests.map((request) => request.token);
      const htu = api.baseUrl + matrixPath("authenticated", stream);
      const ath = createHash("sha256").update(token).digest("base64url");
      for (const [index, request] of api.requests.entries()) {
        expect(request).toMatchObject({ scheme: "DPoP", token });
        expect(request.proof?.header).toEqual({
          typ: "dpop+jwt",
          alg: "ES256",
          jwk: { kty: "EC", crv: "P-256", x: expect.any(String), y: expect.any(String) },
        });
        expect(request.proof?.claims).toEqual({
          jti: expect.stringMatching(/^[\da-f-]{36}$/),
          htm: "POST",
          htu,
          iat: 1_800_000_000,
          ath,
          ...(index > 0 && { nonce: expect.stringMatching(/^[\w-]{43}$/) }),
        });
      }
      const ofTokens = authorizationServer.requests.slice(asked).map(({ headers }) => headers);
      const all = [
        ...proofs.map((proof) => proof?.claims.jti),
        ...ofTokens.map((h) => h.get("dpop")),
      ];
      expect(new Set(all).size).toBe(all.length);
      expect(all).not.toContain(undefined);
      expect(all).not.toContain(null);
    },
  );

  test.each(protocol.streams)(
    "the nonce of a %s response is used for the next call",
    async (stream) => {
      const client = connect();
      await call(client, stream).catch(ConnectError.from);
      await call(client, stream);
      const before = api.requests.length;
      for (let step = 0; step < 3; step++) {
        vi.advanceTimersByTime(lifetimeSeconds * 1000);
        await call(client, stream);
        await call(client, stream);
      }
      expect(api.requests).toHaveLength(before + 6);
      const nonces = api.requests.slice(before).map(({ proof }) => proof?.claims.nonce);
      expect(new Set(nonces).size).toBe(4);
    },
  );

  test.each(protocol.streams)(
    "a %s call after two lifetimes of a nonce pays for a new one",
    async (stream) => {
      const client = connect();
      await call(client, stream).catch(ConnectError.from);
      await call(client, stream);
      const before = api.requests.length;
      vi.advanceTimersByTime(2 * lifetimeSeconds * 1000);
      const late = await call(client, stream).then(
        () => undefined,
        (error: unknown) => ConnectError.from(error).code,
      );
      expect(late).toBe(isRepeatable(stream) ? undefined : Code.Unauthenticated);
      await call(client, stream);
      expect(api.requests).toHaveLength(before + (isRepeatable(stream) ? 3 : 2));
    },
  );

  test.each(["Ed25519", "EdDSA"] as const)("a key for %s is taken", async (algorithm) => {
    const client = connect(credentials({ algorithm }));
    await callMatrix(client, "authenticated", "Unary");
    expect(api.calls).toEqual(["POST by basic"]);
    expect(api.requests.map(({ proof }) => proof?.header)).toEqual(
      Array.from({ length: 2 }, () => ({
        typ: "dpop+jwt",
        alg: algorithm,
        jwk: { kty: "OKP", crv: "Ed25519", x: expect.any(String) },
      })),
    );
  });
});

describe.each(protocols.filter(({ name }) => name.startsWith("Connect")))(
  "DPoP with GET, $name",
  ({ httpVersion, createTransport }) => {
    let api: ProtectedApi;
    beforeAll(async () => {
      api = await startProtectedApi({
        httpVersion,
        authorizationServer,
        dpop: { required: true, nonces: true },
      });
    });
    afterAll(() => api.close());

    test("proofs are for GET, and for the URL without its query", async () => {
      const users = createUserServiceClient(
        createTransport,
        { baseUrl: api.baseUrl, useHttpGet: true },
        { credentials: credentials() },
      );
      await users.whoAmI({});
      await users.whoAmI({});
      expect(api.calls).toEqual(["GET by basic", "GET by basic"]);
      expect(api.requests).toHaveLength(3);
      for (const { httpMethod, path, proof } of api.requests) {
        expect(httpMethod).toBe("GET");
        expect(path).toMatch(/^\/acme\.user\.v1\.UserService\/WhoAmI\?.*encoding=/);
        expect(proof?.claims).toMatchObject({
          htm: "GET",
          htu: `${api.baseUrl}/acme.user.v1.UserService/WhoAmI`,
        });
      }
    });
  },
);
