import { getEventListeners } from "node:events";
import { setTimeout as wait } from "node:timers/promises";
import { Code, ConnectError } from "@connectrpc/connect";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { cacheIdentities } from "../../src/server/identity-cache.js";
import type { AuthContext, CacheOptions } from "../../src/server/index.js";
import { setWallClock, useFakeTime, useRealTime } from "../support/fake-time.js";
import { refusalOf } from "../support/refusal-of.js";

const start = 1_800_000_000_000;
beforeEach(() => useFakeTime(start));
afterEach(() => useRealTime());

const identityOf = (subject: string): AuthContext => ({
  subject,
  roles: ["user"],
  scopes: ["read"],
  claims: { team: "a" },
  type: "test",
});

/** The signal of a call that goes on. */
const goingOn = () => new AbortController().signal;

/** A cache, and what it asked for. */
function cacheOf(
  options: CacheOptions | false,
  verify = async (credential: string) => identityOf(credential),
) {
  const asked: string[] = [];
  const cached = cacheIdentities(options, (credential) => {
    asked.push(credential);
    return verify(credential);
  });
  const identify = (credential: string, signal = goingOn()) => cached(credential, signal);
  return { asked, identify };
}

async function identifyAll(
  identify: (credential: string) => Promise<AuthContext>,
  credentials: readonly string[],
): Promise<void> {
  for (const credential of credentials) {
    expect((await identify(credential)).subject).toBe(credential);
  }
}

describe("cacheIdentities", () => {
  test("asks once per ttl", async () => {
    const { asked, identify } = cacheOf({ ttl: 1000 });
    await identifyAll(identify, ["a", "a"]);
    vi.advanceTimersByTime(999);
    await identifyAll(identify, ["a"]);
    expect(asked).toEqual(["a"]);
    // it counts from the question, not from the last call
    vi.advanceTimersByTime(1);
    await identifyAll(identify, ["a", "a"]);
    expect(asked).toEqual(["a", "a"]);
  });

  test("counts the time of the verification: what was revoked meanwhile passes for no longer", async () => {
    const { asked, identify } = cacheOf({ ttl: 1000 }, async (credential) => {
      vi.advanceTimersByTime(600);
      return identityOf(credential);
    });
    await identifyAll(identify, ["a"]);
    vi.advanceTimersByTime(399);
    await identifyAll(identify, ["a"]);
    expect(asked).toEqual(["a"]);
    vi.advanceTimersByTime(1);
    await identifyAll(identify, ["a"]);
    expect(asked).toEqual(["a", "a"]);
  });

  test("does not keep what took longer than the ttl", async () => {
    const { asked, identify } = cacheOf({ ttl: 500 }, async (credential) => {
      vi.advanceTimersByTime(600);
      return identityOf(credential);
    });
    await identifyAll(identify, ["a", "a"]);
    expect(asked).toEqual(["a", "a"]);
  });

  test.each([
    { name: "expires before the ttl ends", expiresAt: new Date(start + 300), kept: 300 },
    { name: "expires after it", expiresAt: new Date(start + 5000), kept: 1000 },
    { name: "does not say when it expires", kept: 1000 },
    { name: "has expired", expiresAt: new Date(start), kept: 0 },
    { name: "has an invalid date", expiresAt: new Date(Number.NaN), kept: 0 },
  ])("keeps an identity that $name for $kept ms", async ({ expiresAt, kept }) => {
    const { asked, identify } = cacheOf({ ttl: 1000 }, async (credential) => ({
      ...identityOf(credential),
      ...(expiresAt !== undefined && { expiresAt }),
    }));
    await identifyAll(identify, ["a"]);
    if (kept > 0) {
      vi.advanceTimersByTime(kept - 1);
      await identifyAll(identify, ["a"]);
      expect(asked).toEqual(["a"]);
      vi.advanceTimersByTime(1);
    }
    await identifyAll(identify, ["a"]);
    expect(asked).toEqual(["a", "a"]);
  });

  test("does not forget an identity for one that it cannot keep", async () => {
    const { asked, identify } = cacheOf({ ttl: 1000, maxSize: 1 }, async (credential) => ({
      ...identityOf(credential),
      ...(credential === "expired" && { expiresAt: new Date(start) }),
    }));
    await identifyAll(identify, ["a", "expired", "a"]);
    expect(asked).toEqual(["a", "expired"]);
  });

  test("keeps an identity until the time that it is told", async () => {
    const verify = vi.fn(async () => ({ ...identityOf("a"), claims: { exp: start + 200 } }));
    const identify = cacheIdentities({ ttl: 1000 }, verify, ({ claims }) => Number(claims.exp));
    await identify("a", goingOn());
    vi.advanceTimersByTime(199);
    await identify("a", goingOn());
    expect(verify).toHaveBeenCalledTimes(1);
    vi.advanceTimersByTime(1);
    await identify("a", goingOn());
    expect(verify).toHaveBeenCalledTimes(2);
  });

  test.each([
    { name: "back by an hour", steps: [-3_600_000] },
    { name: "forth and back", steps: [3_600_000, -3_600_000] },
    { name: "back and forth", steps: [-3_600_000, 3_600_000] },
    { name: "back again and again", steps: [-60_000, -60_000, -60_000] },
  ])("keeps nothing for longer where the clock is set $name", async ({ steps }) => {
    const { asked, identify } = cacheOf({ ttl: 1000 });
    await identifyAll(identify, ["a"]);
    for (const step of steps) {
      setWallClock(step);
      await identify("a");
    }
    vi.advanceTimersByTime(1000);
    const before = asked.length;
    await identify("a");
    expect(asked).toHaveLength(before + 1);
  });

  test("goes on remembering where the clock was set back", async () => {
    const { asked, identify } = cacheOf({ ttl: 1000 });
    setWallClock(-3_600_000);
    await identifyAll(identify, ["a"]);
    setWallClock(-3_600_000);
    await identifyAll(identify, ["a", "b", "b"]);
    expect(asked).toEqual(["a", "b"]);
  });

  test("forgets what was not seen for longest above maxSize", async () => {
    const { asked, identify } = cacheOf({ ttl: 1000, maxSize: 2 });
    await identifyAll(identify, ["a", "b", "a", "c"]);
    asked.length = 0;
    await identifyAll(identify, ["a", "c"]);
    expect(asked).toEqual([]);
    await identifyAll(identify, ["b"]);
    expect(asked).toEqual(["b"]);
  });

  test("keeps one identity where maxSize is 1", async () => {
    const { asked, identify } = cacheOf({ ttl: 1000, maxSize: 1 });
    await identifyAll(identify, ["a", "a", "b", "b", "a"]);
    expect(asked).toEqual(["a", "b", "a"]);
  });

  test("keeps 10,000 by default, in a flood of others", async () => {
    const { asked, identify } = cacheOf({ ttl: 60_000 });
    for (let i = 0; i < 30_000; i++) {
      await identify(`flood-${i}`);
    }
    asked.length = 0;
    for (let i = 29_999; i >= 20_000; i--) {
      await identify(`flood-${i}`);
    }
    expect(asked).toEqual([]);
    await identify("flood-19999");
    expect(asked).toEqual(["flood-19999"]);
  });

  test("holds as many identities as maxSize, and no credential", async () => {
    const kept = vi.spyOn(Map.prototype, "set");
    const { identify } = cacheOf({ ttl: 1000, maxSize: 3 });
    for (const credential of ["secret-1", "secret-2", "secret-3", "secret-4", "secret-5"]) {
      await identify(credential);
    }
    // others are of single identities, while they are copied
    const calls = kept.mock.calls.map(([key], i) => ({ key, map: kept.mock.contexts[i] }));
    const byCredential = calls.filter(({ key }) => typeof key === "string");
    const maps = new Set(byCredential.map(({ map }) => map).filter((map) => map instanceof Map));
    const keys = byCredential.map(({ key }) => String(key));
    kept.mockRestore();
    const sizes = [...maps].map(({ size }) => size).sort();
    // those that are kept, and those that others can wait for
    expect(sizes).toEqual([0, 3]);
    expect(keys.length).toBeGreaterThan(0);
    expect(keys.filter((key) => key.includes("secret"))).toEqual([]);
  });

  test("holds on to nothing of what failed", async () => {
    const kept = vi.spyOn(Map.prototype, "set");
    const { identify } = cacheOf({ ttl: 1000 }, () => Promise.reject(new Error("no")));
    for (let i = 0; i < 10; i++) {
      await expect(identify(`bad-${i}`)).rejects.toThrow(new Error("no"));
    }
    const maps = new Set(kept.mock.contexts.filter((map) => map instanceof Map));
    kept.mockRestore();
    expect(maps.size).toBeGreaterThan(0);
    expect([...maps].filter(({ size }) => size > 0)).toEqual([]);
  });

  test("never takes one credential for another", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.string({ unit: "binary" }), { maxLength: 20 }),
        fc.integer({ min: 1, max: 5 }),
        async (credentials, maxSize) => {
          const { identify } = cacheOf({ ttl: 1000, maxSize }, async (credential) =>
            identityOf(`:${credential}`),
          );
          const twice = [...credentials, ...credentials];
          const found = await Promise.all(twice.map((credential) => identify(credential)));
          expect(found.map(({ subject }) => subject)).toEqual(twice.map((text) => `:${text}`));
          for (const credential of credentials) {
            expect((await identify(credential)).subject).toBe(`:${credential}`);
          }
        },
      ),
    );
  });
});

describe("calls that bring the same credential at once", () => {
  // time stands still, and promises go on
  const later = () => wait(0, undefined, { ref: true });
  beforeEach(() => useRealTime());

  test("wait for one verification", async () => {
    const { asked, identify } = cacheOf({ ttl: 60_000 }, async (credential) => {
      await later();
      return identityOf(credential);
    });
    const found = await Promise.all(Array.from({ length: 100 }, () => identify("a")));
    expect(asked).toEqual(["a"]);
    expect(new Set(found).size).toBe(1);
  });

  test("are refused each with an error of its own, and no later call with it", async () => {
    let isDown = true;
    const { asked, identify } = cacheOf({ ttl: 60_000 }, async (credential) => {
      await later();
      if (isDown) {
        const cause = new Error("log");
        throw new ConnectError("down", Code.Unavailable, { "x-a": "a" }, undefined, cause);
      }
      return identityOf(credential);
    });
    const calls = Array.from({ length: 3 }, () => identify("a"));
    const errors = await Promise.all(calls.map((call) => call.catch((error: unknown) => error)));
    expect(asked).toEqual(["a"]);
    expect(new Set(errors).size).toBe(3);
    for (const [i, error] of errors.entries()) {
      expect.assert(error instanceof ConnectError);
      expect(await refusalOf(Promise.reject(error))).toEqual({
        code: "Unavailable",
        message: "down",
        reason: "log",
      });
      // none of the others has what the interceptors of one add
      expect([...error.metadata]).toEqual([["x-a", "a"]]);
      error.metadata.set("x-call", String(i));
    }
    isDown = false;
    await identifyAll(identify, ["a"]);
    expect(asked).toEqual(["a", "a"]);
  });

  test("do not wait for a verification that threw at once", async () => {
    let isBroken = true;
    const { identify } = cacheOf({ ttl: 60_000 }, (credential) => {
      if (isBroken) {
        throw new Error("broken");
      }
      return Promise.resolve(identityOf(credential));
    });
    await expect(identify("a")).rejects.toThrow(new Error("broken"));
    isBroken = false;
    await identifyAll(identify, ["a"]);
  });

  test("show the first of them to the judge, with the rest of it", async () => {
    const verify = vi.fn(async (credential: string, _from: string) => identityOf(credential));
    const identify = cacheIdentities({ ttl: 60_000 }, verify);
    await Promise.all([
      identify("a", goingOn(), "one"),
      identify("a", goingOn(), "two"),
      identify("b", goingOn(), "three"),
    ]);
    expect(verify.mock.calls).toEqual([
      ["a", "one"],
      ["b", "three"],
    ]);
  });
});

describe("a verification that hangs", () => {
  const callEnded = {
    code: "Unavailable",
    message: "credentials cannot be verified at the moment",
    reason: "the call ended before its credential was judged",
  };

  /** A cache whose verifications end when they are told to. */
  function hangingCacheOf(options: CacheOptions) {
    const answers: ((identity: AuthContext) => void)[] = [];
    const cache = cacheOf(
      options,
      () =>
        new Promise((resolve) => {
          answers.push(resolve);
        }),
    );
    return { ...cache, answers };
  }

  test("is shared for 10 s, and then the next call asks anew", async () => {
    const { asked, identify, answers } = hangingCacheOf({ ttl: 60_000 });
    const hanging = [identify("a"), identify("a")];
    vi.advanceTimersByTime(9_999);
    hanging.push(identify("a"));
    expect(asked).toEqual(["a"]);
    vi.advanceTimersByTime(1);
    const anew = [identify("a"), identify("a")];
    expect(asked).toEqual(["a", "a"]);
    answers[1]?.(identityOf("new"));
    for (const call of anew) {
      expect((await call).subject).toBe("new");
    }
    // it is remembered, and not what the first question is answered with after all
    answers[0]?.(identityOf("old"));
    for (const call of hanging) {
      expect((await call).subject).toBe("old");
    }
    expect((await identify("a")).subject).toBe("new");
    expect(asked).toEqual(["a", "a"]);
  });

  test("ends without a trace in the one that was begun in its place", async () => {
    const { asked, identify, answers } = hangingCacheOf({ ttl: 5_000 });
    const old = identify("a");
    vi.advanceTimersByTime(10_000);
    const anew = identify("a");
    answers[0]?.(identityOf("old"));
    expect((await old).subject).toBe("old");
    // too old to be remembered, so it is the other one that this call waits for
    const joined = identify("a");
    expect(asked).toEqual(["a", "a"]);
    answers[1]?.(identityOf("new"));
    expect([(await anew).subject, (await joined).subject]).toEqual(["new", "new"]);
  });

  test("is remembered where it ends after all", async () => {
    const { asked, identify, answers } = hangingCacheOf({ ttl: 60_000 });
    const slow = identify("a");
    vi.advanceTimersByTime(20_000);
    answers[0]?.(identityOf("a"));
    await slow;
    await identifyAll(identify, ["a"]);
    expect(asked).toEqual(["a"]);
  });

  test.each([
    { name: "which began it", first: true },
    { name: "which joined it", first: false },
  ])("is left to the others by a call that ends, $name", async ({ first }) => {
    const { asked, identify, answers } = hangingCacheOf({ ttl: 60_000 });
    const ending = new AbortController();
    const [one, two] = first
      ? [identify("a", ending.signal), identify("a")]
      : [identify("a"), identify("a", ending.signal)];
    ending.abort();
    expect(await refusalOf(first ? one : two)).toEqual(callEnded);
    answers[0]?.(identityOf("a"));
    expect((await (first ? two : one)).subject).toBe("a");
    expect(asked).toEqual(["a"]);
  });

  test("is not begun for a call that has ended", async () => {
    for (const options of [{ ttl: 1000 }, false] as const) {
      const { asked, identify } = cacheOf(options);
      expect(await refusalOf(identify("a", AbortSignal.abort()))).toEqual(callEnded);
      expect(asked).toEqual([]);
    }
  });

  test("ends with its call where nothing is remembered", async () => {
    const ending = new AbortController();
    const { identify } = cacheOf(false, () => new Promise(() => {}));
    const call = identify("a", ending.signal);
    ending.abort();
    expect(await refusalOf(call)).toEqual(callEnded);
  });

  test("holds nothing of the calls that ended", async () => {
    const added = vi.spyOn(Set.prototype, "add");
    const { identify } = hangingCacheOf({ ttl: 60_000 });
    for (let i = 0; i < 100; i++) {
      const ending = new AbortController();
      const call = identify("a", ending.signal);
      ending.abort();
      expect(await refusalOf(call)).toEqual(callEnded);
      expect(getEventListeners(ending.signal, "abort")).toEqual([]);
    }
    const sets = new Set(added.mock.contexts.filter((set) => set instanceof Set));
    added.mockRestore();
    // the one question, and nobody who waits for it
    expect([...sets].map(({ size }) => size).sort()).toEqual([0, 1]);
  });

  test.each([
    { maxSize: 10, bound: 1_000 },
    { maxSize: 2_000, bound: 2_000 },
  ])(
    "with others holds the place of $bound at most where maxSize is $maxSize",
    async ({ maxSize, bound }) => {
      const kept = vi.spyOn(Map.prototype, "set");
      const added = vi.spyOn(Set.prototype, "add");
      const { asked, identify } = hangingCacheOf({ ttl: 60_000, maxSize });
      const full = {
        code: "Unavailable",
        message: "credentials cannot be verified at the moment",
        reason: `${bound} credentials are being verified, without an answer`,
      };
      for (let i = 0; i < bound; i++) {
        void identify(`credential-${i}`);
      }
      for (let i = 0; i < 5_000; i++) {
        expect(await refusalOf(identify(`more-${i}`))).toEqual(full);
      }
      // those that hang are asked anew within the same bound, too
      vi.advanceTimersByTime(10_000);
      void identify("credential-0");
      expect(await refusalOf(identify("credential-1"))).toEqual(full);
      expect(asked).toHaveLength(bound + 1);
      const sizes = [...kept.mock.contexts, ...added.mock.contexts].map(
        (kept) => (kept instanceof Map || kept instanceof Set) && kept.size,
      );
      kept.mockRestore();
      added.mockRestore();
      expect(Math.max(...sizes.map(Number))).toBe(bound);
    },
  );

  test("keeps nobody out for ever, but lets one more in each second", async () => {
    const { asked, identify, answers } = hangingCacheOf({ ttl: 60_000, maxSize: 1 });
    for (let i = 0; i < 1_000; i++) {
      void identify(`lost-${i}`);
    }
    vi.advanceTimersByTime(9_999);
    expect((await refusalOf(identify("a"))).code).toBe("Unavailable");
    vi.advanceTimersByTime(1);
    const a = identify("a");
    vi.advanceTimersByTime(999);
    expect((await refusalOf(identify("b"))).code).toBe("Unavailable");
    vi.advanceTimersByTime(1);
    const b = identify("b");
    expect(asked).toHaveLength(1_002);
    answers[1_000]?.(identityOf("a"));
    answers[1_001]?.(identityOf("b"));
    await a;
    await b;
    // each answer makes room at once
    void identify("c");
    void identify("d");
    expect(asked).toHaveLength(1_004);
    expect((await refusalOf(identify("e"))).code).toBe("Unavailable");
  });

  test("keeps those out that are not known, and nobody else", async () => {
    let isDown = false;
    const { identify } = cacheOf({ ttl: 60_000 }, (credential) =>
      isDown ? new Promise(() => {}) : Promise.resolve(identityOf(credential)),
    );
    await identifyAll(identify, ["known"]);
    isDown = true;
    for (let i = 0; i < 10_000; i++) {
      void identify(`flood-${i}`);
    }
    expect((await refusalOf(identify("unknown"))).code).toBe("Unavailable");
    await identifyAll(identify, ["known"]);
  });
});

describe("an identity that is remembered", () => {
  test("is frozen, and a copy of what the judge returned", async () => {
    const given = identityOf("a");
    const { identify } = cacheOf({ ttl: 1000 }, async () => given);
    const found = await identify("a");
    expect(found).toEqual(given);
    expect(await identify("a")).toBe(found);
    for (const part of [found, found.roles, found.scopes, found.claims]) {
      expect(Object.isFrozen(part)).toBe(true);
    }
    for (const part of [given, given.roles, given.scopes, given.claims]) {
      expect(Object.isFrozen(part)).toBe(false);
    }
  });

  test("is frozen at every depth of its claims, and leaves what the judge returned as it was", async () => {
    class Tenant {
      seats = 1;
    }
    const tenant = new Tenant();
    const bare = Object.assign(Object.create(null), { b: 1 });
    const list = [{ a: 1 }, ["b"]];
    const claims = {
      list,
      bare,
      nested: { deep: { deeper: [tenant] } },
      when: new Date(start),
      proto: JSON.parse('{"__proto__": {"admin": true}}'),
      nothing: null,
    };
    const { identify } = cacheOf({ ttl: 1000 }, async () => ({ ...identityOf("a"), claims }));
    const { claims: found } = await identify("a");
    expect(found).toEqual(claims);
    const objectsIn = (value: unknown): object[] =>
      typeof value === "object" &&
      value !== null &&
      !(value instanceof Tenant || value instanceof Date)
        ? [value, ...Object.values(value).flatMap(objectsIn)]
        : [];
    expect(objectsIn(found)).toHaveLength(10);
    expect(objectsIn(found).filter((object) => !Object.isFrozen(object))).toEqual([]);
    expect(objectsIn(claims).filter((object) => Object.isFrozen(object))).toEqual([]);
    expect(found).toHaveProperty("nested.deep.deeper[0]", tenant);
    expect(Object.isFrozen(tenant)).toBe(false);
    expect(found.proto).not.toHaveProperty("admin");
    expect(() => Reflect.apply(Array.prototype.sort, found.list, [])).toThrow(TypeError);
  });

  test("may have claims that go round in circles, or are nested deeply", async () => {
    const circle: Record<string, unknown> = {};
    circle.self = circle;
    let deep: unknown = "end";
    for (let i = 0; i < 100_000; i++) {
      deep = [deep];
    }
    const { identify } = cacheOf({ ttl: 1000 }, async () => ({
      ...identityOf("a"),
      claims: { circle, deep },
    }));
    const { claims } = await identify("a");
    expect(Object(claims.circle).self).toBe(claims.circle);
    expect(Object.isFrozen(claims.circle)).toBe(true);
  });

  test("has a date of its own for each who looks, and none where there was none", async () => {
    const expiresAt = new Date(start + 5000);
    const { identify } = cacheOf({ ttl: 1000 }, async (subject) => ({
      ...identityOf(subject),
      ...(subject === "a" && { expiresAt }),
    }));
    const found = await identify("a");
    found.expiresAt?.setTime(0);
    expiresAt.setTime(0);
    expect(found).toEqual({ ...identityOf("a"), expiresAt: new Date(start + 5000) });
    expect({ ...found }.expiresAt).toEqual(new Date(start + 5000));
    expect(JSON.parse(JSON.stringify(found)).expiresAt).toBe(new Date(start + 5000).toISOString());
    expect(await identify("b")).not.toHaveProperty("expiresAt");
  });

  test("is none that lacks a subject", async () => {
    const { identify } = cacheOf({ ttl: 1000 }, async () => identityOf(""));
    expect(await refusalOf(identify("a"))).toEqual({
      code: "Unauthenticated",
      message: "invalid credentials",
      reason: "the authentication returned something that is no identity",
    });
  });
});

test("cacheIdentities remembers, shares and freezes nothing where it is off", async () => {
  const given = identityOf("a");
  const { asked, identify } = cacheOf(false, async () => given);
  const calls = [identify("a"), identify("a")];
  for (const call of calls) {
    expect(await call).toBe(given);
  }
  expect(asked).toEqual(["a", "a"]);
  expect(Object.isFrozen(given)).toBe(false);
});

describe("cacheIdentities throws for", () => {
  test.each<{ options: unknown; message: string }>([
    ...[0, -1, Number.NaN, Number.POSITIVE_INFINITY, "30s", undefined].map((ttl) => ({
      options: { ttl },
      message: `cache.ttl ${ttl} must be a number of milliseconds above 0`,
    })),
    ...[0, -1, 1.5, Number.POSITIVE_INFINITY, "10"].map((maxSize) => ({
      options: { ttl: 1, maxSize },
      message: `cache.maxSize ${maxSize} must be a whole number above 0`,
    })),
    { options: true, message: "cache.ttl undefined must be a number of milliseconds above 0" },
    { options: { ttl: 1, size: 2 }, message: 'cache has no option "size"; there are ttl, maxSize' },
  ])("$options", ({ options, message }) => {
    const create = (given: unknown) =>
      cacheIdentities(given as CacheOptions, async () => identityOf("a"));
    expect(() => create(options)).toThrow(new TypeError(message));
  });
});
