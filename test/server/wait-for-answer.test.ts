import { getEventListeners } from "node:events";
import { describe, expect, test } from "vitest";
import { askDuringCall, waitForAnswer } from "../../src/server/wait-for-answer.js";
import { refusalOf } from "../support/refusal-of.js";

const callEnded = {
  code: "Unavailable",
  message: "credentials cannot be verified at the moment",
  reason: "the call ended before its credential was judged",
};

describe("waitForAnswer", () => {
  test("gives those who ask later an answer that is there", async () => {
    const wait = waitForAnswer(Promise.resolve("a"));
    const { signal } = new AbortController();
    expect([await wait(signal), await wait(signal)]).toEqual(["a", "a"]);
    const failed = waitForAnswer(Promise.reject(new Error("no")));
    await expect(failed(signal)).rejects.toThrow(new Error("no"));
    await expect(failed(signal)).rejects.toThrow(new Error("no"));
  });

  test("listens to no call that is answered", async () => {
    const { signal } = new AbortController();
    const waiting = waitForAnswer(Promise.resolve("a"))(signal);
    expect(getEventListeners(signal, "abort")).toHaveLength(1);
    await waiting;
    expect(getEventListeners(signal, "abort")).toEqual([]);
  });
});

test("askDuringCall refuses a call that ends while it asks", async () => {
  const ending = new AbortController();
  const asked = askDuringCall(ending.signal, () => {
    ending.abort();
    return new Promise(() => {});
  });
  expect(await refusalOf(asked)).toEqual(callEnded);
});
