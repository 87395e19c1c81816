/** Tells the time in milliseconds. */
export type Clock = () => number;

/**
 * A clock that never goes back, for lifetimes. It follows the wall clock
 * forward, over the sleep of a laptop say, and the monotonic clock where the
 * wall clock was set back: so an hour either way makes no token look fresher
 * than it is.
 */
export function createSteadyClock(now: () => Date = () => new Date()): Clock {
  let ahead = Number.NEGATIVE_INFINITY;
  return () => {
    const monotonic = performance.now();
    ahead = Math.max(ahead, now().getTime() - monotonic);
    return monotonic + ahead;
  };
}
