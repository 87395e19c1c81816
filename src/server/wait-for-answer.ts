import { cannotVerify } from "./refusal.js";

/** Waits for an answer, no longer than the call goes on. */
export type WaitForAnswer<T> = (signal: AbortSignal) => Promise<T>;

/**
 * Lets calls wait for an answer, which others may wait for too, so that it is
 * not given up with one of them. A call that ends first is refused with
 * `Unavailable`, and nothing is kept of it, even if the answer never comes.
 */
export function waitForAnswer<T>(answer: Promise<T>): WaitForAnswer<T> {
  const waiting = new Set<() => void>();
  let isThere = false;
  const wake = () => {
    isThere = true;
    for (const goOn of waiting) {
      goOn();
    }
  };
  answer.then(wake, wake);

  return (signal) => {
    if (isThere) {
      return answer;
    }
    // one `then` for all: what hangs on a promise stays there for as long as it does
    return new Promise((resolve, reject) => {
      const leave = () => {
        waiting.delete(goOn);
        signal.removeEventListener("abort", abort);
      };
      const goOn = () => {
        leave();
        resolve(answer);
      };
      const abort = () => {
        leave();
        reject(callEnded());
      };
      waiting.add(goOn);
      signal.addEventListener("abort", abort);
      if (signal.aborted) {
        abort();
      }
    });
  };
}

/** Asks, and waits no longer than the call goes on. One that has ended asks nothing. */
export async function askDuringCall<T>(signal: AbortSignal, ask: () => Promise<T>): Promise<T> {
  checkGoesOn(signal);
  return waitForAnswer(ask())(signal);
}

/** Throws `Unavailable` where the call has ended. */
export function checkGoesOn(signal: AbortSignal): void {
  if (signal.aborted) {
    throw callEnded();
  }
}

function callEnded(): Error {
  return cannotVerify("the call ended before its credential was judged");
}
