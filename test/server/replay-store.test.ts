import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createMemoryReplayStore } from "../../src/server/index.js";

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

  test.each([0, -1, 1.5, Number.NaN])("rejects a maxSize of %d", (maxSize) => {
    expect(() => createMemoryReplayStore({ maxSize })).toThrow(
      new TypeError(`maxSize ${maxSize} must be a whole number above 0`),
    );
  });
});
