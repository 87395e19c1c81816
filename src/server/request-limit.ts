import { unlessAborted } from "../oauth/unless-aborted.js";

/** Lets so many requests run at once, and others wait for their turn. */
export interface RequestLimit {
  /** Whether no further request may wait. */
  isFull(): boolean;
  /**
   * Runs a request when it is its turn. Rejects with the reason of the signal
   * where that aborts before; a request that runs has to look at it itself.
   */
  run<T>(signal: AbortSignal, request: () => Promise<T>): Promise<T>;
}

/** Makes a limit: `maxRunning` requests at once, and `maxWaiting` beside them. The first to come is the first to run. */
export function createRequestLimit(maxRunning: number, maxWaiting: number): RequestLimit {
  let running = 0;
  const waiting = new Set<() => void>();

  function release(): void {
    const [next] = waiting;
    if (next === undefined) {
      running -= 1;
      return;
    }
    waiting.delete(next);
    next();
  }

  async function waitForTurn(signal: AbortSignal): Promise<void> {
    let next = () => {};
    const turn = new Promise<void>((resolve) => {
      next = resolve;
    });
    waiting.add(next);
    try {
      await unlessAborted(signal, turn);
    } catch (error) {
      if (!waiting.delete(next)) {
        release(); // its turn came in the same moment
      }
      throw error;
    }
  }

  return {
    isFull: () => running >= maxRunning && waiting.size >= maxWaiting,
    async run(signal, request) {
      if (running < maxRunning) {
        running += 1;
      } else {
        await waitForTurn(signal);
      }
      try {
        return await request();
      } finally {
        release();
      }
    },
  };
}
