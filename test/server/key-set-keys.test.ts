import { generateKeyPairSync } from "node:crypto";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { createKeySet } from "../../src/server/key-set.js";
import { type KeyServer, startKeyServer } from "../support/key-server.js";
import { createIssuerKey, keySetOf, outcomeOf, tokenBy } from "../support/key-sets.js";
import { now, signToken } from "../support/signed-tokens.js";
import { unusableKeys } from "./key-set-keys.testdata.js";

const good = createIssuerKey("good");

let server: KeyServer;
beforeAll(async () => {
  server = await startKeyServer();
});
afterAll(() => server.close());
beforeEach(() => {
  server.requests.length = 0;
  vi.useFakeTimers({ now: now * 1000, toFake: ["Date"] });
});
afterEach(() => {
  vi.useRealTimers();
});

const newKeySet = () => createKeySet(`${server.baseUrl}/jwks`);

describe("a key in a set verifies nothing, and the key beside it does:", () => {
  test.each(unusableKeys)("a key $name", async ({ jwk, alg, privateKey, reason }) => {
    const isObject = typeof jwk === "object" && jwk !== null && !Array.isArray(jwk);
    const bad = isObject ? { kid: "bad", ...jwk } : jwk;
    const token = signToken({
      header: { alg, kid: "bad" },
      payload: { sub: "mallory", exp: now + 60 },
      alg,
      key: privateKey,
    });
    for (const keys of [
      [bad, good.jwk],
      [good.jwk, bad],
    ]) {
      server.answerWith({ keys });
      const keySet = newKeySet();
      const outcome = await outcomeOf(keySet, token);
      expect(outcome).toContain(`Unauthenticated: ${reason}`);
      expect(outcome).not.toBe("Unauthenticated: token: signature verification failed");
      expect(await outcomeOf(keySet, tokenBy(good))).toBe("ok");
    }
    expect(server.requests).toHaveLength(2);
  });
});

describe("the name of a key", () => {
  const ec = createIssuerKey("same");
  const otherEc = createIssuerKey("same");
  const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const rsaJwk = { ...rsa.publicKey.export({ format: "jwk" }), kid: "same" };
  const payload = { sub: "alice", exp: now + 60 };
  const several = "Unauthenticated: token: multiple matching keys found in the JSON Web Key Set";

  test("may be that of a key of another kind", async () => {
    server.answerWith({ keys: [ec.jwk, rsaJwk] });
    const keySet = newKeySet();
    expect(await outcomeOf(keySet, tokenBy(ec))).toBe("ok");
    const header = { alg: "RS256", kid: "same" };
    const token = signToken({ header, payload, alg: "RS256", key: rsa.privateKey });
    expect(await outcomeOf(keySet, token)).toBe("ok");
  });

  test("means nothing where several of its kind have it, and others do", async () => {
    server.answerWith(keySetOf(ec, otherEc, good));
    const keySet = newKeySet();
    expect(await outcomeOf(keySet, tokenBy(ec))).toBe(several);
    vi.setSystemTime(Date.now() + 60_000);
    expect(await outcomeOf(keySet, tokenBy(otherEc))).toBe(several);
    expect(await outcomeOf(keySet, tokenBy(good))).toBe("ok");
    expect(server.requests).toHaveLength(1);
  });

  test("may be left out where one key fits", async () => {
    server.answerWith({ keys: [ec.jwk, rsaJwk, { ...otherEc.jwk, use: "enc" }] });
    expect(await outcomeOf(newKeySet(), tokenBy(ec, { kid: undefined }))).toBe("ok");
  });

  test("may not be left out where several fit", async () => {
    server.answerWith(keySetOf(ec, good));
    const token = tokenBy(good, { kid: undefined });
    expect(await outcomeOf(newKeySet(), token)).toBe(several);
  });
});
