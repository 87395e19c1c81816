import { Code } from "@connectrpc/connect";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { clientCredentials } from "../../src/oauth/index.js";
import { createUserServiceClient } from "../gen/acme/user/v1/user_auth.js";
import {
  startAuthorizationServer,
  type TestAuthorizationServer,
} from "../support/authorization-server.js";
import { type ProtectedApi, startProtectedApi } from "../support/protected-api.js";
import { callMatrix, createMatrixClient, protocols, type StreamKind } from "../wire/protocols.js";
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

const credentials = () => clientCredentials(serviceOptions(authorizationServer));

describe.each(protocols)("DPoP through a gate, $name", (protocol) => {
  let api: ProtectedApi;
  beforeAll(async () => {
    api = await startProtectedApi({
      httpVersion: protocol.httpVersion,
      authorizationServer,
      gated: true,
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

  test.each(protocol.streams)(
    "the proof of a %s call counts once, and a nonce comes with each answer",
    async (stream) => {
      const client = createMatrixClient(
        protocol,
        { baseUrl: api.baseUrl },
        { credentials: credentials() },
      );
      const call = () => callMatrix(client, "authenticated", stream);
      if (isRepeatable(stream)) {
        // the client learns the nonce from the refusal
        await call();
      } else {
        await expect(call()).rejects.toMatchObject({
          code: Code.Unauthenticated,
          rawMessage: "invalid DPoP proof",
          cause: { code: "credentials_refused" },
        });
        await call();
      }
      expect(api.requests).toHaveLength(2);
      expect(api.calls).toEqual(["POST by basic"]);
      for (let step = 0; step < 3; step++) {
        vi.advanceTimersByTime(lifetimeSeconds * 1000);
        await call();
        await call();
      }
      // no call was refused: each step's nonce came with an answer
      expect(api.requests).toHaveLength(8);
      expect(new Set(api.requests.map(({ proof }) => proof?.claims.nonce)).size).toBe(5);
    },
  );
});

describe.each(protocols.filter(({ name }) => name.startsWith("Connect")))(
  "DPoP with GET through a gate, $name",
  ({ httpVersion, createTransport }) => {
    test("a proof counts once, too", async () => {
      const api = await startProtectedApi({
        httpVersion,
        authorizationServer,
        gated: true,
        dpop: { required: true, nonces: true },
      });
      const users = createUserServiceClient(
        createTransport,
        { baseUrl: api.baseUrl, useHttpGet: true },
        { credentials: credentials() },
      );
      await users.whoAmI({});
      await users.whoAmI({});
      expect(api.calls).toEqual(["GET by basic", "GET by basic"]);
      expect(api.requests).toHaveLength(3);
      await api.close();
    });
  },
);
