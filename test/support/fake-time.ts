import { vi } from "vitest";

/**
 * Fakes timers, the wall clock, the monotonic clock, and the time limits of
 * `AbortSignal.timeout`, which vitest leaves real. Until `useRealTime`.
 */
export function useFakeTime(now: number): void {
  vi.useFakeTimers({ now });
  vi.spyOn(AbortSignal, "timeout").mockImplementation((ms) => {
    const controller = new AbortController();
    setTimeout(() => controller.abort(new DOMException("timeout", "TimeoutError")), ms);
    return controller.signal;
  });
}

export function useRealTime(): void {
  vi.useRealTimers();
  vi.restoreAllMocks();
}

/** Moves the hands of the wall clock, while no time passes. */
export function setWallClock(byMs: number): void {
  vi.setSystemTime(Date.now() + byMs);
}
