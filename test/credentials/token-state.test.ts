import { describe, expect, test } from "vitest";
import {
  canServe,
  fetchFailed,
  isInBackoff,
  noToken,
  shouldFetch,
  type TokenState,
  tokenCame,
  tokenRejected,
} from "../../src/credentials/token-state.js";

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const almostOne = 1 - Number.EPSILON;
const start = 1_700_000_000_000;

/** What a call does: the numbers of token-state.ts. */
function stepAt(state: TokenState<string>, now: number): string {
  if (!canServe(state, now)) {
    return isInBackoff(state, now) ? "1 fail" : "1 fetch";
  }
  if (!shouldFetch(state, now)) {
    return "2 serve";
  }
  return now < state.staleAt ? "3 serve, fetch" : "4 fetch, else serve";
}

/** When the answer to `stepAt` changes, in milliseconds from the start. */
function walk(state: TokenState<string>, lengthMs: number, stepMs: number): [number, string][] {
  const changes: [number, string][] = [];
  for (let at = 0; at <= lengthMs; at += stepMs) {
    const step = stepAt(state, start + at);
    if (step !== changes.at(-1)?.[1]) {
      changes.push([at, step]);
    }
  }
  return changes;
}

function tokenOf(lifetimeMs: number, random = 0.5, skewMs?: number): TokenState<string> {
  const state = noToken<string>();
  tokenCame(state, "token", lifetimeMs, start, random, skewMs);
  return state;
}

describe("a token", () => {
  test.each([
    { life: "10 s", lifetimeMs: 10 * second, refreshAt: 2500, staleAt: 5 * second },
    { life: "59 s", lifetimeMs: 59 * second, refreshAt: 14_750, staleAt: 29_500 },
    { life: "60 s", lifetimeMs: minute, refreshAt: 15 * second, staleAt: 30 * second },
    { life: "5 min", lifetimeMs: 5 * minute, refreshAt: 210 * second, staleAt: 270 * second },
    // 20 % of it are two minutes
    { life: "10 min", lifetimeMs: 10 * minute, refreshAt: 450 * second, staleAt: 570 * second },
    { life: "1 h", lifetimeMs: hour, refreshAt: 3270 * second, staleAt: 3570 * second },
    {
      life: "24 h",
      lifetimeMs: 24 * hour,
      refreshAt: 86_070 * second,
      staleAt: 86_370 * second,
    },
  ])("of $life is served, renewed ahead, and expires", ({ lifetimeMs, refreshAt, staleAt }) => {
    expect(walk(tokenOf(lifetimeMs), lifetimeMs + minute, 250)).toEqual([
      [0, "2 serve"],
      [refreshAt, "3 serve, fetch"],
      [staleAt, "4 fetch, else serve"],
      [lifetimeMs, "1 fetch"],
    ]);
  });

  test.each([
    { life: "5 min", lifetimeMs: 5 * minute, from: 54, to: 66 },
    { life: "10 min", lifetimeMs: 10 * minute, from: 108, to: 132 },
    { life: "1 h", lifetimeMs: hour, from: 270, to: 330 },
  ])("of $life is renewed up to 10 % earlier or later", ({ lifetimeMs, from, to }) => {
    const aheadOf = ({ staleAt, refreshAt }: TokenState<string>) => (staleAt - refreshAt) / second;
    expect(aheadOf(tokenOf(lifetimeMs, 0))).toBeCloseTo(from, 6);
    expect(aheadOf(tokenOf(lifetimeMs, almostOne))).toBeCloseTo(to, 6);
  });

  test.each([1, 10, 999, 10 * second, 61 * second, 100 * second])(
    "of %d ms is served for a quarter of its life before it is renewed",
    (lifetimeMs) => {
      for (const random of [0, 0.5, almostOne]) {
        const { refreshAt, staleAt, expiresAt } = tokenOf(lifetimeMs, random);
        expect(refreshAt - start).toBeGreaterThanOrEqual(lifetimeMs / 4);
        expect(staleAt - start).toBeGreaterThanOrEqual(lifetimeMs / 2);
        expect(staleAt).toBeGreaterThanOrEqual(refreshAt);
        expect(expiresAt).toBe(start + lifetimeMs);
      }
    },
  );

  test("counts as expired as early as it is told, after half of its life at most", () => {
    expect(tokenOf(hour, 0.5, 2 * minute).staleAt).toBe(start + 58 * minute);
    expect(tokenOf(hour, 0.5, 0).staleAt).toBe(start + hour);
    expect(tokenOf(minute, 0.5, hour).staleAt).toBe(start + 30 * second);
  });

  test("is fetched at once where there is none", () => {
    expect(walk(noToken(), minute, second)).toEqual([[0, "1 fetch"]]);
  });
});

describe("a failed fetch", () => {
  const fail = (
    state: TokenState<string>,
    { at = 0, random = 0.5, retryAfterMs }: FailureInit = {},
  ) => {
    fetchFailed(state, new Error("down"), retryAfterMs, start + at, random);
    return state.retryAt - start - at;
  };
  interface FailureInit {
    at?: number;
    random?: number;
    retryAfterMs?: number | undefined;
  }

  test.each([
    { name: "in the middle", random: 0.5, factor: 1 },
    { name: "at least", random: 0, factor: 0.8 },
    { name: "at most", random: almostOne, factor: 1.2 },
  ])("is repeated after 1 s × 1.6ⁿ up to 120 s, $name × $factor", ({ random, factor }) => {
    const state = noToken<string>();
    const waits = Array.from({ length: 14 }, () => fail(state, { random }) / second);
    const want = [
      1, 1.6, 2.56, 4.096, 6.5536, 10.48576, 16.777216, 26.843546, 42.949673, 68.719477, 109.951163,
      175.921861, 281.474977, 450.35997,
    ];
    expect(waits).toEqual(want.map((wait) => expect.closeTo(Math.min(wait * factor, 120), 3)));
  });

  test("is repeated every 120 s however many there were", () => {
    const state = noToken<string>();
    for (let i = 0; i < 5000; i++) {
      fail(state);
    }
    expect(fail(state)).toBe(120 * second);
  });

  test("is repeated after 1 s again when a token came between", () => {
    const state = noToken<string>();
    fail(state);
    fail(state);
    tokenCame(state, "token", minute, start, 0.5);
    expect(fail(state)).toBe(second);
  });

  test.each([
    { name: "longer than the backoff", retryAfterMs: 30 * second, want: 30 * second },
    { name: "shorter than the backoff", retryAfterMs: 2 * second, want: 2 * second },
    { name: "5 minutes", retryAfterMs: 5 * minute, want: 5 * minute },
    { name: "an hour, which is too long", retryAfterMs: hour, want: 5 * minute },
    { name: "no end", retryAfterMs: Number.POSITIVE_INFINITY, want: 5 * minute },
    { name: "a moment, which is too short", retryAfterMs: 1, want: 800 },
    { name: "the past", retryAfterMs: -hour, want: 800 },
    // these say nothing
    { name: "0", retryAfterMs: 0, want: 4096 },
    { name: "no number", retryAfterMs: Number.NaN, want: 4096 },
    { name: "nothing", retryAfterMs: undefined, want: 4096 },
  ])("is repeated when the server says: $name", ({ retryAfterMs, want }) => {
    const state = noToken<string>();
    fail(state);
    fail(state);
    fail(state);
    expect(fail(state, { retryAfterMs })).toBeCloseTo(want, 6);
  });

  test("fails the calls until the backoff is over", () => {
    const state = noToken<string>();
    fail(state);
    expect(walk(state, minute, 250)).toEqual([
      [0, "1 fail"],
      [second, "1 fetch"],
    ]);
    expect(state.error).toEqual(new Error("down"));
  });

  test.each([
    { name: "ahead of time", at: 20 * second, again: 21 * second, step: "3 serve, fetch" },
    { name: "after staleAt", at: 40 * second, again: 41 * second, step: "4 fetch, else serve" },
  ])("$name leaves the token to the calls", ({ at, again, step }) => {
    const state = tokenOf(minute);
    fail(state, { at });
    const later = walk(state, 2 * minute, 250).filter(([time]) => time >= at);
    expect(later[0]).toEqual([again, step]);
    expect(stepAt(state, start + at)).toBe("2 serve");
    expect(later.at(-1)).toEqual([minute, "1 fetch"]);
  });

  test("during which the token expires fails the calls after that", () => {
    const state = tokenOf(minute);
    fail(state, { at: 59 * second, retryAfterMs: 10 * second });
    expect(stepAt(state, start + minute - 1)).toBe("2 serve");
    expect(stepAt(state, start + minute)).toBe("1 fail");
    expect(stepAt(state, start + 69 * second)).toBe("1 fetch");
  });
});

describe("a rejection", () => {
  test("of the current token has the next one fetched at once", () => {
    const state = tokenOf(hour);
    tokenRejected(state, "token", start + minute);
    expect(stepAt(state, start + minute)).toBe("1 fetch");
  });

  test("of a token that another one took the place of changes nothing", () => {
    const state = tokenOf(hour);
    tokenCame(state, "newer", hour, start + minute, 0.5);
    const before = { ...state };
    tokenRejected(state, "token", start + 2 * minute);
    expect(state).toEqual(before);
  });

  test("forces no fetch within 10 s of the last one that did", () => {
    const state = tokenOf(hour);
    tokenRejected(state, "token", start);
    tokenCame(state, "newer", hour, start + 100, 0.5);
    tokenRejected(state, "newer", start + 10 * second - 1);
    expect(stepAt(state, start + 10 * second - 1)).toBe("2 serve");
    tokenRejected(state, "newer", start + 10 * second);
    expect(stepAt(state, start + 10 * second)).toBe("1 fetch");
  });

  test("leaves a token unserved also when none can be fetched", () => {
    const state = tokenOf(hour);
    tokenRejected(state, "token", start);
    fetchFailed(state, new Error("down"), undefined, start, 0.5);
    expect(walk(state, minute, 250)).toEqual([
      [0, "1 fail"],
      [second, "1 fetch"],
    ]);
  });

  test("during the backoff waits for its end", () => {
    const state = tokenOf(hour);
    fetchFailed(state, new Error("down"), 5 * second, start, 0.5);
    tokenRejected(state, "token", start + second);
    expect(stepAt(state, start + second)).toBe("1 fail");
    expect(stepAt(state, start + 5 * second)).toBe("1 fetch");
  });
});
