import { Code, ConnectError } from "@connectrpc/connect";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createJwtAuthInterceptor, createMemoryReplayStore } from "../../src/server/index.js";
import { createDpopKeys, signDpopProof } from "../support/dpop-proof.js";
import { incomingCall } from "../support/incoming-call.js";
import { createTestToken, testSecret } from "../support/test-token.js";

const start = new Date("2026-01-01T00:00:00Z").getTime();
const at = (seconds: number) => new Date(start + seconds * 1000);

describe("createMemoryReplayStore", () => {
  beforeEach(() => {
    vi.useFakeTimers({ now: start });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test("takes a key once, and others beside it", async () => {
    const store = createMemoryReplayStore();
    expect(await store.add("a", at(60))).toBe(true);
    expect(await store.add("a", at(60))).toBe(false);
    expect(await store.add("b", at(60))).toBe(true);
  });

  test("takes a key once of a hundred that come together", async () => {
    const store = createMemoryReplayStore();
    const added = await Promise.all(Array.from({ length: 100 }, () => store.add("a", at(60))));
    expect(added.filter(Boolean)).toHaveLength(1);
  });

  test("knows a key up to the last moment, and not after it", async () => {
    const store = createMemoryReplayStore();
    await store.add("a", at(60));
    vi.setSystemTime(at(60));
    expect(await store.add("a", at(120))).toBe(false);
    vi.setSystemTime(at(60.001));
    expect(await store.add("a", at(120))).toBe(true);
    expect(await store.add("a", at(120))).toBe(false);
  });

  test("throws where it is full, and forgets no key for another", async () => {
    const store = createMemoryReplayStore({ maxSize: 2 });
    await store.add("a", at(60));
    await store.add("b", at(90));
    await expect(store.add("c", at(60))).rejects.toThrow(
      new Error("the replay store is full, it holds 2 keys"),
    );
    expect(await store.add("a", at(60))).toBe(false);
    expect(await store.add("b", at(60))).toBe(false);
  });

  test("has room again where keys have expired", async () => {
    const store = createMemoryReplayStore({ maxSize: 2 });
    await store.add("a", at(60));
    await store.add("b", at(90));
    vi.setSystemTime(at(61));
    expect(await store.add("c", at(120))).toBe(true);
    await expect(store.add("d", at(120))).rejects.toThrow("the replay store is full");
    expect(await store.add("b", at(90))).toBe(false);
  });

  test("forgets expired keys also where the clock was set back", async () => {
    const store = createMemoryReplayStore({ maxSize: 1 });
    vi.setSystemTime(at(7200));
    await store.add("a", at(7260));
    vi.setSystemTime(at(3600));
    await expect(store.add("b", at(3660))).rejects.toThrow("the replay store is full");
    vi.setSystemTime(at(7261));
    expect(await store.add("b", at(7320))).toBe(true);
  });

  test("keeps a key for good that has no time", async () => {
    const store = createMemoryReplayStore();
    await store.add("a", new Date(Number.NaN));
    vi.setSystemTime(at(1e6));
    expect(await store.add("a", at(2e6))).toBe(false);
  });

  test("rejects options that there are not", () => {
    const create: (options: never) => unknown = createMemoryReplayStore;
    const misspelt = { maxsize: 10 };
    expect(() => create(misspelt as never)).toThrow(
      new TypeError('createMemoryReplayStore has no option "maxsize"; there are maxSize'),
    );
    expect(() => create(null as never)).toThrow(
      new TypeError("createMemoryReplayStore takes an object of options"),
    );
  });

  test.each([0, -1, 1.5, Number.NaN])("rejects a maxSize of %d", (maxSize) => {
    expect(() => createMemoryReplayStore({ maxSize })).toThrow(
      new TypeError(`maxSize ${maxSize} must be a whole number above 0`),
    );
  });
});

describe("a store that hangs", () => {
  const unhandled = vi.fn();
  beforeEach(() => {
    unhandled.mockClear();
    process.on("unhandledRejection", unhandled);
    vi.useFakeTimers({ now: start, toFake: ["Date", "setTimeout", "clearTimeout"] });
  });
  afterEach(() => {
    vi.useRealTimers();
    process.off("unhandledRejection", unhandled);
  });

  /** A call that waits for its store: what the store may say, and what comes of the call. */
  async function waitingCall() {
    let succeed = (_isNew: boolean) => {};
    let fail = (_error: Error) => {};
    const answer = new Promise<boolean>((resolve, reject) => {
      succeed = resolve;
      fail = reject;
    });
    const keys = await createDpopKeys();
    const call = incomingCall({});
    const token = await createTestToken({ cnf: { jkt: keys.jkt } });
    const proof = await signDpopProof(keys, { claims: { htm: "POST", htu: call.url } }, token);
    const header = new Headers({ authorization: `DPoP ${token}`, dpop: proof });
    let outcome: Promise<unknown> = Promise.resolve();
    await new Promise<void>((asked) => {
      const add = () => {
        asked();
        return answer;
      };
      const interceptor = createJwtAuthInterceptor({
        secret: testSecret,
        dpop: { publicOrigins: ["https://api.test"], replayStore: { add } },
      });
      outcome = Promise.resolve(interceptor.authenticate({ ...call, header })).then(
        () => "accepted",
        (reason: unknown) => reason,
      );
    });
    return { succeed, fail, outcome };
  }

  /** Until all that is due was done, and Node has looked for rejections. */
  const settled = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

  test("holds a call for 2 s, and is Unavailable then", async () => {
    const { outcome } = await waitingCall();
    vi.advanceTimersByTime(1_999);
    await settled();
    expect(await Promise.race([outcome, "pending"])).toBe("pending");
    vi.advanceTimersByTime(1);
    const error = await outcome;
    expect.assert(error instanceof ConnectError);
    expect(error).toMatchObject({
      code: Code.Unavailable,
      rawMessage: "credentials cannot be verified at the moment",
      cause: new Error("replay store: no answer within 2000 ms"),
    });
  });

  test("is heard in the last moment", async () => {
    const { succeed, outcome } = await waitingCall();
    vi.advanceTimersByTime(1_999);
    succeed(true);
    expect(await outcome).toBe("accepted");
    expect(vi.getTimerCount()).toBe(0);
  });

  test("can still say in the last moment that the proof was used before", async () => {
    const { succeed, outcome } = await waitingCall();
    vi.advanceTimersByTime(1_999);
    succeed(false);
    expect(await outcome).toMatchObject({
      code: Code.Unauthenticated,
      rawMessage: "invalid DPoP proof",
      cause: new Error('proof: "jti" was used before'),
    });
    expect(vi.getTimerCount()).toBe(0);
  });

  test("leaves no timer where it fails in time", async () => {
    const { fail, outcome } = await waitingCall();
    fail(new Error("connection lost"));
    expect(await outcome).toMatchObject({
      code: Code.Unavailable,
      rawMessage: "credentials cannot be verified at the moment",
      cause: new Error("replay store: connection lost"),
    });
    expect(vi.getTimerCount()).toBe(0);
  });

  test.each<"succeeds" | "fails">(["succeeds", "fails"])(
    "is not heard any more where it %s later",
    async (end) => {
      const { succeed, fail, outcome } = await waitingCall();
      vi.advanceTimersByTime(2_000);
      expect(await outcome).toMatchObject({
        code: Code.Unavailable,
        rawMessage: "credentials cannot be verified at the moment",
      });
      end === "fails" ? fail(new Error("too late")) : succeed(true);
      await settled();
      expect(unhandled).not.toHaveBeenCalled();
    },
  );
});
