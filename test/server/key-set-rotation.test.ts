import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { createKeySet } from "../../src/server/key-set.js";
import { type KeyServer, startKeyServer } from "../support/key-server.js";
import { createIssuerKey, keySetOf, outcomeOf, tokenBy, unknownKey } from "../support/key-sets.js";
import { now } from "../support/signed-tokens.js";

const first = createIssuerKey("1");
const second = createIssuerKey("2");

const secondMs = 1_000;
const minuteMs = 60_000;

let server: KeyServer;
beforeAll(async () => {
  server = await startKeyServer();
});
afterAll(() => server.close());
beforeEach(() => {
  server.requests.length = 0;
  // not the time limits of requests that are still on their way when the clock moves
  vi.useFakeTimers({ now: now * 1000, toFake: ["Date", "performance"] });
});
afterEach(() => {
  vi.useRealTimers();
});

const newKeySet = () => createKeySet(`${server.baseUrl}/jwks`);

/** A key set that has fetched the first key, and may fetch again. */
async function fetchedKeySet() {
  server.answerWith(keySetOf(first));
  const keys = newKeySet();
  expect(await outcomeOf(keys, tokenBy(first))).toBe("ok");
  vi.advanceTimersByTime(31 * secondMs);
  return keys;
}

describe("a rotation with an overlap", () => {
  test.each([
    { name: "keys are published 12 minutes ahead", aheadMs: 12 * minuteMs },
    { name: "keys are used as soon as they are published", aheadMs: 0 },
  ])("fails no call, where $name", async ({ aheadMs }) => {
    const everyMs = 25 * minuteMs;
    const issuerKeys = Array.from({ length: 8 }, (_, i) => createIssuerKey(`key-${i}`));
    const begin = Date.now();
    const keys = newKeySet();
    let calls = 0;
    for (let passedMs = 0; passedMs < 150 * minuteMs; passedMs += 5 * secondMs) {
      const index = Math.floor(passedMs / everyMs);
      const published = Math.floor((passedMs + aheadMs) / everyMs);
      // the old one stays for as long as its last tokens live
      server.answerWith(keySetOf(...issuerKeys.slice(Math.max(index - 1, 0), published + 1)));
      const key = issuerKeys[index];
      expect.assert(key !== undefined);
      const outcomes = await Promise.all(
        [tokenBy(key), tokenBy(key, { typ: "JWT" })].map((token) => outcomeOf(keys, token)),
      );
      expect(outcomes, `${passedMs / 1000} s after the beginning`).toEqual(["ok", "ok"]);
      calls += outcomes.length;
      vi.advanceTimersByTime(5 * secondMs);
    }
    expect(calls).toBe(3600);
    expect(Date.now() - begin).toBe(150 * minuteMs);
    // every 10 minutes, and once for each key that is not known when it comes
    expect(server.requests.length).toBeGreaterThanOrEqual(14);
    expect(server.requests.length).toBeLessThanOrEqual(21);
  });

  test("leaves tokens of both keys valid", async () => {
    const keys = await fetchedKeySet();
    server.answerWith(keySetOf(first, second));
    expect(await outcomeOf(keys, tokenBy(second))).toBe("ok");
    expect(await outcomeOf(keys, tokenBy(first))).toBe("ok");
    expect(server.requests).toHaveLength(2);
  });
});

describe("a rotation without an overlap", () => {
  test("is found with one fetch, by all calls that come at once", async () => {
    const keys = await fetchedKeySet();
    server.answerWith(keySetOf(second));
    const tokens = Array.from({ length: 100 }, () => tokenBy(second));
    const outcomes = await Promise.all(tokens.map((token) => outcomeOf(keys, token)));
    expect(new Set(outcomes)).toEqual(new Set(["ok"]));
    expect(await outcomeOf(keys, tokenBy(first))).toBe(unknownKey);
    expect(server.requests).toHaveLength(2);
  });

  test("by a key of the same name is found with the next fetch in the background", async () => {
    const keys = await fetchedKeySet();
    const renamed = { ...second, kid: "1", jwk: { ...second.jwk, kid: "1" } };
    server.answerWith(keySetOf(renamed));
    vi.advanceTimersByTime(10 * minuteMs);
    const fetched = server.nextRequest();
    expect(await outcomeOf(keys, tokenBy(first))).toBe("ok");
    await fetched;
    await vi.waitFor(async () => expect(await outcomeOf(keys, tokenBy(renamed))).toBe("ok"));
    expect(await outcomeOf(keys, tokenBy(first))).toBe(
      "Unauthenticated: token: signature verification failed",
    );
    expect(server.requests).toHaveLength(2);
  });

  test("is seen by the first call after 20 minutes without any", async () => {
    const keys = await fetchedKeySet();
    server.answerWith(keySetOf(second));
    vi.advanceTimersByTime(20 * minuteMs);
    expect(await outcomeOf(keys, tokenBy(first))).toBe(unknownKey);
    expect(server.requests).toHaveLength(2);
  });

  test("to no keys at all, which is a mistake, is none", async () => {
    const keys = await fetchedKeySet();
    server.answerWith(keySetOf());
    vi.advanceTimersByTime(20 * minuteMs);
    expect(await outcomeOf(keys, tokenBy(first))).toBe("ok");
    expect(server.requests).toHaveLength(2);
  });
});

describe("keys that are not in a set", () => {
  const flood = 1000;

  test.each([
    { name: "one after the other", atOnce: 1 },
    { name: "at once", atOnce: flood },
  ])("cost one fetch within 30 s, a thousand times $name", async ({ atOnce }) => {
    const keys = await fetchedKeySet();
    for (let window = 1; window <= 3; window++) {
      for (let sent = 0; sent < flood; sent += atOnce) {
        const tokens = Array.from({ length: atOnce }, () => tokenBy(second));
        const outcomes = await Promise.all(tokens.map((token) => outcomeOf(keys, token)));
        expect(new Set(outcomes)).toEqual(new Set([unknownKey]));
      }
      expect(server.requests).toHaveLength(1 + window);
      vi.advanceTimersByTime(30 * secondMs);
    }
  });

  test("cost one fetch, however many there are at once", async () => {
    const keys = await fetchedKeySet();
    const tokens = Array.from({ length: flood }, (_, i) =>
      tokenBy(second, { kid: `unknown-${i}` }),
    );
    const outcomes = await Promise.all(tokens.map((token) => outcomeOf(keys, token)));
    expect(new Set(outcomes)).toEqual(new Set([unknownKey]));
    expect(await outcomeOf(keys, tokenBy(first))).toBe("ok");
    expect(server.requests).toHaveLength(2);
  });

  test("cost no second fetch when the set was fetched for them", async () => {
    server.answerWith(keySetOf(first));
    const keys = newKeySet();
    const tokens = Array.from({ length: flood }, (_, i) =>
      tokenBy(second, { kid: `unknown-${i}` }),
    );
    const outcomes = await Promise.all(tokens.map((token) => outcomeOf(keys, token)));
    expect(new Set(outcomes)).toEqual(new Set([unknownKey]));
    expect(server.requests).toHaveLength(1);
  });

  test.each([
    { name: "a path", kid: "../../../etc/passwd" },
    { name: "the path of the set", kid: "/jwks" },
    { name: "another URL", kid: "https://mallory.test/jwks" },
    { name: "SQL", kid: "1' OR '1'='1" },
    { name: "more SQL", kid: "1; DROP TABLE keys" },
    { name: "5 KB", kid: "1".repeat(5000) },
    { name: "__proto__", kid: "__proto__" },
    { name: "constructor", kid: "constructor" },
    { name: "length", kid: "length" },
    { name: "nothing", kid: "" },
    { name: "a space more", kid: " 1" },
    { name: "a null byte more", kid: "1\0" },
    { name: "another 1 of Unicode", kid: "１" },
    { name: "an escape", kid: "%31" },
    { name: "an asterisk", kid: "*" },
    { name: "a number", kid: 1 },
    { name: "an index", kid: 0 },
    { name: "null", kid: null },
    { name: "true", kid: true },
    { name: "a list", kid: ["1"] },
    { name: "an object", kid: { kid: "1" } },
  ])("are not found by a kid that is $name", async ({ kid }) => {
    const keys = await fetchedKeySet();
    expect(await outcomeOf(keys, tokenBy(first, { kid }))).toBe(unknownKey);
    expect(await outcomeOf(keys, tokenBy(first))).toBe("ok");
    expect(server.requests).toEqual(["/jwks", "/jwks"]);
  });

  test("do not count by another algorithm", async () => {
    const keys = await fetchedKeySet();
    for (const alg of ["ES384", "RS256", "EdDSA"]) {
      expect(await outcomeOf(keys, tokenBy(first, { alg }))).toBe(unknownKey);
    }
    expect(server.requests).toHaveLength(2);
  });
});

describe("a key set of one issuer", () => {
  test("is not that of another one, under the same kid", async () => {
    const other = await startKeyServer();
    try {
      const theirs = createIssuerKey("1");
      other.answerWith(keySetOf(theirs));
      server.answerWith(keySetOf(first));
      const [ourKeys, theirKeys] = [newKeySet(), createKeySet(`${other.baseUrl}/jwks`)];
      expect(await outcomeOf(ourKeys, tokenBy(first))).toBe("ok");
      expect(await outcomeOf(theirKeys, tokenBy(theirs))).toBe("ok");
      const unverified = "Unauthenticated: token: signature verification failed";
      expect(await outcomeOf(ourKeys, tokenBy(theirs))).toBe(unverified);
      expect(await outcomeOf(theirKeys, tokenBy(first))).toBe(unverified);
      expect([server.requests.length, other.requests.length]).toEqual([1, 1]);
    } finally {
      await other.close();
    }
  });

  test("is not that of another URL of the same server", async () => {
    server.answerWith((res) => {
      const keys = server.requests.at(-1) === "/a" ? keySetOf(first) : keySetOf(second);
      res.end(JSON.stringify(keys));
    });
    const a = createKeySet(`${server.baseUrl}/a`);
    const b = createKeySet(`${server.baseUrl}/b`);
    expect(await outcomeOf(a, tokenBy(first))).toBe("ok");
    expect(await outcomeOf(b, tokenBy(second))).toBe("ok");
    expect(await outcomeOf(a, tokenBy(second))).toBe(unknownKey);
    expect(await outcomeOf(b, tokenBy(first))).toBe(unknownKey);
    expect(server.requests).toEqual(["/a", "/b"]);
  });

  test("is fetched by each that was made for it", async () => {
    server.answerWith(keySetOf(first));
    for (const keys of [newKeySet(), newKeySet()]) {
      expect(await outcomeOf(keys, tokenBy(first))).toBe("ok");
    }
    expect(server.requests).toHaveLength(2);
  });
});
