import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { createKeySet } from "../../src/server/key-set.js";
import { setWallClock, useFakeTime, useRealTime } from "../support/fake-time.js";
import { type KeyServer, startKeyServer } from "../support/key-server.js";
import { createIssuerKey, keySetOf, outcomeOf, tokenBy, unknownKey } from "../support/key-sets.js";
import { now } from "../support/signed-tokens.js";

const first = createIssuerKey("1");
const second = createIssuerKey("2");
const known = tokenBy(first);
const unknown = tokenBy(second);

const secondMs = 1_000;
const minuteMs = 60_000;
const hourMs = 60 * minuteMs;

let server: KeyServer;
beforeAll(async () => {
  server = await startKeyServer();
});
afterAll(() => server.close());
beforeEach(() => {
  server.requests.length = 0;
  useFakeTime(now * 1000);
});
afterEach(useRealTime);

/** A key set whose keys are there, and may be asked for again. */
async function fetchedKeySet() {
  server.answerWith(keySetOf(first));
  const keys = createKeySet(`${server.baseUrl}/jwks`);
  expect(await outcomeOf(keys, known)).toBe("ok");
  vi.advanceTimersByTime(31 * secondMs);
  return keys;
}

function goDown() {
  server.answerWith((res) => res.writeHead(503).end());
}

const asked = () => `Unavailable: ${server.baseUrl}/jwks: status 503`;
const notAsked = () => `${asked()}, and is not asked again yet`;

describe("while the URL of a key set is down", () => {
  test("known keys work for an hour, others are Unavailable, and it is asked once per backoff", async () => {
    const keys = await fetchedKeySet();
    goDown();
    const askedAt: number[] = [];
    for (const end = Date.now() + hourMs; Date.now() < end; ) {
      const before = server.requests.length;
      expect(await outcomeOf(keys, known)).toBe("ok");
      expect([asked(), notAsked()]).toContain(await outcomeOf(keys, unknown));
      if (server.requests.length > before) {
        askedAt.push(Date.now());
      }
      vi.advanceTimersByTime(askedAt.length < 5 ? 100 : secondMs);
    }
    const waits = askedAt.slice(1).map((at, i) => at - (askedAt[i] ?? 0));
    for (const [i, wait] of waits.entries()) {
      const backoff = secondMs * 1.6 ** i;
      expect(wait).toBeGreaterThanOrEqual(Math.min(0.8 * backoff, 120 * secondMs));
      expect(wait).toBeLessThanOrEqual(Math.min(1.2 * backoff, 120 * secondMs) + secondMs);
    }
    expect(waits.length).toBeGreaterThan(30);
    expect(server.requests).toHaveLength(1 + askedAt.length);
  });

  test("known keys never wait for it, as long as calls come", async () => {
    const keys = await fetchedKeySet();
    server.answerWith(() => {}); // and never answers
    for (let minute = 0; minute < 60; minute++) {
      expect(await outcomeOf(keys, known)).toBe("ok");
      await vi.advanceTimersByTimeAsync(minuteMs);
    }
    expect(server.requests.length).toBeLessThan(50);
    let outcome = "";
    void outcomeOf(keys, unknown).then((result) => {
      outcome = result;
    });
    while (outcome === "") {
      await vi.advanceTimersByTimeAsync(secondMs);
    }
    expect(outcome).toContain(`Unavailable: ${server.baseUrl}/jwks: no answer within 5 s`);
  });

  test("a thousand calls at once ask it once", async () => {
    const keys = await fetchedKeySet();
    goDown();
    const outcomes = await Promise.all(
      Array.from({ length: 1000 }, () => outcomeOf(keys, unknown)),
    );
    expect(new Set(outcomes)).toEqual(new Set([asked()]));
    expect(server.requests).toHaveLength(2);
  });

  test("the first calls of all are Unavailable, each with an error of its own", async () => {
    goDown();
    const keys = createKeySet(`${server.baseUrl}/jwks`);
    const errors = await Promise.all(
      [1, 2].map(async () => {
        try {
          return await keys({ alg: "ES256", kid: "1" }, { payload: "", signature: "" });
        } catch (error) {
          return error;
        }
      }),
    );
    expect(errors[0]).not.toBe(errors[1]);
    expect(errors[0]).toMatchObject({ cause: new Error(`${server.baseUrl}/jwks: status 503`) });
    expect(server.requests).toHaveLength(1);
  });

  test("the query of the URL is not shown", async () => {
    goDown();
    const keys = createKeySet(`${server.baseUrl}/jwks?key=hunter2`);
    expect(await outcomeOf(keys, known)).toBe(asked());
    expect(await outcomeOf(keys, known)).toBe(notAsked());
    expect(server.requests).toEqual(["/jwks?key=hunter2"]);
  });
});

describe("when the URL of a key set is back", () => {
  test("new keys are found after the backoff, and the next outage begins with a short one", async () => {
    const keys = await fetchedKeySet();
    goDown();
    for (let i = 0; i < 30; i++) {
      await outcomeOf(keys, unknown);
      vi.advanceTimersByTime(2 * minuteMs);
    }
    server.answerWith(keySetOf(first, second));
    expect(await outcomeOf(keys, unknown)).toBe("ok");
    expect(await outcomeOf(keys, known)).toBe("ok");

    goDown();
    vi.advanceTimersByTime(31 * secondMs);
    const other = tokenBy(createIssuerKey("3"));
    expect(await outcomeOf(keys, other)).toBe(asked());
    vi.advanceTimersByTime(1_200);
    expect(await outcomeOf(keys, other)).toBe(asked());
  });

  test("the first call of all works after the backoff", async () => {
    goDown();
    const keys = createKeySet(`${server.baseUrl}/jwks`);
    expect(await outcomeOf(keys, known)).toBe(asked());
    server.answerWith(keySetOf(first));
    vi.advanceTimersByTime(799);
    expect(await outcomeOf(keys, known)).toBe(notAsked());
    vi.advanceTimersByTime(401);
    expect(await outcomeOf(keys, known)).toBe("ok");
    expect(server.requests).toHaveLength(2);
  });
});

describe("a wall clock that is set back an hour", () => {
  test("delays no fetch for a new key", async () => {
    const keys = await fetchedKeySet();
    setWallClock(-hourMs);
    server.answerWith(keySetOf(first, second));
    expect(await outcomeOf(keys, unknown)).toBe("ok");
    expect(server.requests).toHaveLength(2);
  });

  test("keeps no key longer", async () => {
    const keys = await fetchedKeySet();
    setWallClock(-hourMs);
    server.answerWith(keySetOf(second));
    vi.advanceTimersByTime(21 * minuteMs);
    expect(await outcomeOf(keys, known)).toBe(unknownKey);
    expect(server.requests).toHaveLength(2);
  });

  test("makes no backoff longer", async () => {
    const keys = await fetchedKeySet();
    goDown();
    expect(await outcomeOf(keys, unknown)).toBe(asked());
    setWallClock(-hourMs);
    expect(await outcomeOf(keys, unknown)).toBe(notAsked());
    vi.advanceTimersByTime(1_200);
    expect(await outcomeOf(keys, unknown)).toBe(asked());
    expect(server.requests).toHaveLength(3);
  });
});

describe("a wall clock that is set forward an hour", () => {
  test("has the keys fetched once", async () => {
    const keys = await fetchedKeySet();
    setWallClock(hourMs);
    for (let i = 0; i < 100; i++) {
      expect(await outcomeOf(keys, known)).toBe("ok");
      expect(await outcomeOf(keys, unknown)).toBe(unknownKey);
    }
    expect(server.requests).toHaveLength(2);
  });

  test("ends one backoff, and not the next one", async () => {
    const keys = await fetchedKeySet();
    goDown();
    expect(await outcomeOf(keys, unknown)).toBe(asked());
    setWallClock(hourMs);
    expect(await outcomeOf(keys, unknown)).toBe(notAsked());
    expect(server.requests).toHaveLength(3);
    setWallClock(-hourMs);
    setWallClock(hourMs);
    for (let i = 0; i < 100; i++) {
      expect(await outcomeOf(keys, unknown)).toBe(notAsked());
      expect(await outcomeOf(keys, known)).toBe("ok");
    }
    expect(server.requests).toHaveLength(3);
  });
});
