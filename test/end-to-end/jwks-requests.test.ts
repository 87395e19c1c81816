import { generateKeyPairSync } from "node:crypto";
import { Code } from "@connectrpc/connect";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Listening } from "../../example/loopback.js";
import { type KeyServer, startKeyServer } from "../support/key-server.js";
import { createIssuerKey, keySetOf, tokenBy } from "../support/key-sets.js";
import { issuerKeys, now, segment, signToken } from "../support/signed-tokens.js";
import { callWith, startJwksApi } from "./jwks-api.js";
import { connectOverHttp1 } from "./unary-calls.js";

const key = createIssuerKey("1");
/** Of somebody who is not the issuer. */
const mallory = createIssuerKey("1");

let keyServer: KeyServer;
/** What tokens point to. It has the keys of mallory, and must not be asked. */
let trap: KeyServer;
let api: Listening;
beforeEach(async () => {
  vi.useFakeTimers({ now: now * 1000, toFake: ["Date"] });
  keyServer = await startKeyServer();
  keyServer.answerWith(keySetOf(key));
  trap = await startKeyServer();
  trap.answerWith(keySetOf(mallory));
  api = await startJwksApi(connectOverHttp1, { jwksUri: `${keyServer.baseUrl}/jwks` });
});
afterEach(async () => {
  await api.close();
  await trap.close();
  await keyServer.close();
  vi.useRealTimers();
});

const call = (token: string) => callWith(token, api, connectOverHttp1);
const refused = { code: Code.Unauthenticated, rawMessage: "invalid token" };

describe("a server asks for keys", () => {
  test("when the first token comes, and not before", async () => {
    expect(keyServer.requests).toEqual([]);
    await call(tokenBy(key));
    await call(tokenBy(key));
    expect(keyServer.requests).toEqual(["/jwks"]);
  });

  const payload = { sub: "alice", exp: now + 60 };
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const pem = Buffer.from(publicKey.export({ type: "spki", format: "pem" }));
  test.each<{ name: string; token: string }>([
    { name: "has no three parts", token: "opaque" },
    { name: "is no base64url", token: "a.b.c+" },
    { name: "has no header", token: `${segment("x")}.${segment(payload)}.${segment("x")}` },
    { name: "has no algorithm", token: tokenBy(key, { alg: undefined }) },
    { name: "has the algorithm none", token: tokenBy(key, { alg: "none" }) },
    {
      name: "is signed with a secret",
      token: signToken({ header: { alg: "HS256", kid: "1" }, payload, alg: "HS256", key: pem }),
    },
    { name: "has an extension", token: tokenBy(key, { crit: ["x"], x: 1 }) },
  ])("not for a token that $name", async ({ token }) => {
    await expect(call(token)).rejects.toMatchObject(refused);
    expect(keyServer.requests).toEqual([]);
  });

  test("not where the token names another URL, or brings a key", async () => {
    const url = `${trap.baseUrl}/jwks`;
    const chain = publicKey.export({ type: "spki", format: "der" }).toString("base64");
    for (const header of [
      { jku: url },
      { x5u: url },
      { jku: url, x5u: url, x5c: [chain], jwk: mallory.jwk, "x5t#S256": "x" },
      { kid: url },
      { iss: trap.baseUrl },
    ]) {
      await expect(call(tokenBy(mallory, header))).rejects.toMatchObject(refused);
      await expect(call(tokenBy({ ...key, privateKey }, header))).rejects.toMatchObject(refused);
    }
    await call(tokenBy(key, { jku: url, x5u: url, jwk: mallory.jwk }));
    expect(trap.requests).toEqual([]);
    expect(keyServer.requests).toEqual(["/jwks"]);
  });

  test("never, where it has a key", async () => {
    const { publicKey } = issuerKeys;
    const url = `${trap.baseUrl}/jwks`;
    const other = await startJwksApi(connectOverHttp1, { publicKey });
    try {
      const header = { alg: "ES256", kid: "1", jku: url, x5u: url };
      await callWith(signToken({ header, payload }), other, connectOverHttp1);
      await expect(
        callWith(tokenBy(mallory, header), other, connectOverHttp1),
      ).rejects.toMatchObject(refused);
      expect(trap.requests).toEqual([]);
    } finally {
      await other.close();
    }
  });

  test("not at the URL of another issuer", async () => {
    const theirs = await startJwksApi(connectOverHttp1, { jwksUri: `${trap.baseUrl}/jwks` });
    try {
      await call(tokenBy(key));
      await callWith(tokenBy(mallory), theirs, connectOverHttp1);
      await expect(call(tokenBy(mallory))).rejects.toMatchObject(refused);
      await expect(callWith(tokenBy(key), theirs, connectOverHttp1)).rejects.toMatchObject(refused);
      expect([keyServer.requests, trap.requests]).toEqual([["/jwks"], ["/jwks"]]);
    } finally {
      await theirs.close();
    }
  });
});
