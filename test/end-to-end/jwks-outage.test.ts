import { Code, ConnectError } from "@connectrpc/connect";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Listening } from "../../example/loopback.js";
import { type KeyServer, startKeyServer } from "../support/key-server.js";
import { createIssuerKey, keySetOf, tokenBy } from "../support/key-sets.js";
import { now } from "../support/signed-tokens.js";
import { protocols, type StreamKind } from "../wire/protocols.js";
import { callWith, startJwksApi } from "./jwks-api.js";

const first = createIssuerKey("1");
const second = createIssuerKey("2");
const minuteMs = 60_000;

describe.each(protocols)("over $name, while the key server", (protocol) => {
  let keyServer: KeyServer;
  let api: Listening;
  beforeEach(async () => {
    vi.useFakeTimers({ now: now * 1000, toFake: ["Date"] });
    keyServer = await startKeyServer();
    keyServer.answerWith(keySetOf(first));
    const jwksUri = `${keyServer.baseUrl}/jwks?key=hunter2`;
    api = await startJwksApi(protocol, { jwksUri });
  });
  afterEach(async () => {
    await api.close();
    await keyServer.close();
    vi.useRealTimers();
  });

  const call = (token: string, stream?: StreamKind) => callWith(token, api, protocol, stream);

  /** What a client is told: that it may try again, and nothing about the key server. */
  async function expectUnavailable(token: string, stream: StreamKind) {
    const error = await call(token, stream).catch(ConnectError.from);
    expect.assert(error instanceof ConnectError);
    expect(error).toMatchObject({
      code: Code.Unavailable,
      rawMessage: "credentials cannot be verified at the moment",
      details: [],
    });
    expect(error.metadata.get("www-authenticate")).toBeNull();
    expect(JSON.stringify([...error.metadata])).not.toMatch(/jwks|hunter2|127\.0\.0\.1/);
  }

  test.each(["Unary", "Server"] as const)(
    "is down, %s calls with known keys pass for hours, and others when it is back",
    async (stream) => {
      await call(tokenBy(first), stream);
      keyServer.answerWith((res) => res.writeHead(500).end("SELECT * FROM keys"));
      for (let hour = 1; hour <= 3; hour++) {
        vi.setSystemTime(Date.now() + 60 * minuteMs);
        await call(tokenBy(first), stream);
        await expectUnavailable(tokenBy(second), stream);
      }
      keyServer.answerWith(keySetOf(second));
      vi.setSystemTime(Date.now() + 3 * minuteMs);
      await call(tokenBy(second), stream);
      await expect(call(tokenBy(first), stream)).rejects.toMatchObject({
        code: Code.Unauthenticated,
        rawMessage: "invalid token",
      });
    },
  );

  test("was never there, all calls are Unavailable, and pass when it comes", async () => {
    keyServer.answerWith((res) => res.destroy());
    await expectUnavailable(tokenBy(first), "Unary");
    await expectUnavailable(tokenBy(first), "Server");
    expect(keyServer.requests).toHaveLength(1);
    keyServer.answerWith(keySetOf(first));
    vi.setSystemTime(Date.now() + 2_000);
    await call(tokenBy(first));
  });
});
