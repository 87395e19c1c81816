import { describe, expect, test } from "vitest";
import { createRequestLimit } from "../../src/server/request-limit.js";

const patient = new AbortController().signal;

const settle = () => new Promise((resolve) => setImmediate(resolve));

/** A request that ends when the test says so. */
function heldRequest() {
  let end = () => {};
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  const state = { hasBegun: false };
  const request = () => {
    state.hasBegun = true;
    return ended;
  };
  return { state, request, end };
}

describe("a limit of requests", () => {
  test("lets so many run, and the others in the order in which they came", async () => {
    const limit = createRequestLimit(2, 2);
    const held = Array.from({ length: 4 }, heldRequest);
    const begun = () => held.map(({ state }) => state.hasBegun);
    const runs = held.map(({ request }) => limit.run(patient, request));
    expect(begun()).toEqual([true, true, false, false]);
    expect(limit.isFull()).toBe(true);
    held[1]?.end();
    await settle();
    expect(begun()).toEqual([true, true, true, false]);
    expect(limit.isFull()).toBe(false);
    for (const { end } of held) {
      end();
    }
    await Promise.all(runs);
    expect(begun()).toEqual([true, true, true, true]);
  });

  test("returns what a request returns, and goes on after one that fails", async () => {
    const limit = createRequestLimit(1, 1);
    await expect(limit.run(patient, () => Promise.reject(new Error("no")))).rejects.toThrow(
      new Error("no"),
    );
    expect(await limit.run(patient, async () => 7)).toBe(7);
  });

  test("lets nobody run who does not wait any more", async () => {
    const limit = createRequestLimit(1, 2);
    const first = heldRequest();
    const running = limit.run(patient, first.request);
    const leaving = new AbortController();
    const second = heldRequest();
    const waiting = limit.run(leaving.signal, second.request);
    const third = heldRequest();
    const after = limit.run(patient, third.request);
    expect(limit.isFull()).toBe(true);
    leaving.abort(new Error("gone"));
    await expect(waiting).rejects.toThrow(new Error("gone"));
    expect(limit.isFull()).toBe(false);
    first.end();
    third.end();
    await Promise.all([running, after]);
    expect([second.state.hasBegun, third.state.hasBegun]).toEqual([false, true]);
  });

  test("loses no turn that comes in the moment that a wait ends", async () => {
    const outcomes = new Set<string>();
    // the turn is passed on within a few microtasks, and the wait ends before, between and after them
    for (let microtasks = 0; microtasks < 10; microtasks++) {
      const limit = createRequestLimit(1, 2);
      const first = heldRequest();
      const running = limit.run(patient, first.request);
      const leaving = new AbortController();
      const waiting = limit
        .run(leaving.signal, async () => "second")
        .catch((error: Error) => error.message);
      const after = limit.run(patient, async () => "third");
      first.end();
      for (let i = 0; i < microtasks; i++) {
        await Promise.resolve();
      }
      leaving.abort(new Error("gone"));
      outcomes.add(await waiting);
      await running;
      expect(await after).toBe("third");
      expect(await limit.run(patient, async () => "fourth")).toBe("fourth");
    }
    expect(outcomes).toEqual(new Set(["gone", "second"]));
  });
});
