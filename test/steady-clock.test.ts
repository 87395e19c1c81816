import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createSteadyClock } from "../src/steady-clock.js";

const start = new Date("2026-01-01T00:00:00Z").getTime();
const minute = 60_000;
const hour = 60 * minute;

describe("createSteadyClock", () => {
  beforeEach(() => {
    vi.useFakeTimers({ now: start });
  });
  afterEach(() => {
    vi.useRealTimers();
  });
  /** The hands of the clock on the wall are moved, and no time passes. */
  const setWallClock = (byMs: number) => vi.setSystemTime(Date.now() + byMs);

  test("tells the time", () => {
    const clock = createSteadyClock();
    expect(clock()).toBe(start);
    vi.advanceTimersByTime(minute);
    expect(clock()).toBe(start + minute);
  });

  test("goes on where the wall clock is set back", () => {
    const clock = createSteadyClock();
    clock();
    setWallClock(-hour);
    expect(clock()).toBe(start);
    vi.advanceTimersByTime(minute);
    expect(clock()).toBe(start + minute);
  });

  test("follows the wall clock forward", () => {
    const clock = createSteadyClock();
    clock();
    setWallClock(hour);
    expect(clock()).toBe(start + hour);
  });

  test.each([
    { name: "back and forth", jumps: [-hour, hour], want: start },
    { name: "forth and back", jumps: [hour, -hour], want: start + hour },
    { name: "back twice", jumps: [-hour, -hour], want: start },
    { name: "forth twice", jumps: [hour, hour], want: start + 2 * hour },
  ])("never goes back: $name", ({ jumps, want }) => {
    const clock = createSteadyClock();
    let last = clock();
    for (const jump of jumps) {
      setWallClock(jump);
      const now = clock();
      expect(now).toBeGreaterThanOrEqual(last);
      last = now;
    }
    expect(last).toBe(want);
    vi.advanceTimersByTime(minute);
    expect(clock()).toBe(want + minute);
  });

  test("follows a clock of the user, and goes on while that stands", () => {
    let now = 0;
    const clock = createSteadyClock(() => new Date(now));
    expect(clock()).toBe(0);
    now = hour;
    expect(clock()).toBe(hour);
    vi.advanceTimersByTime(minute);
    expect(clock()).toBe(hour + minute);
  });

  test("each one stands by itself", () => {
    const early = createSteadyClock();
    early();
    setWallClock(-hour);
    const late = createSteadyClock();
    expect(early() - late()).toBe(hour);
  });
});
