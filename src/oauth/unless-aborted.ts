/** Waits for an answer, no longer than until the signal aborts. The answer may come all the same. */
export async function unlessAborted<T>(
  signal: AbortSignal | null | undefined,
  answer: T | Promise<T>,
): Promise<T> {
  if (!signal) {
    return answer;
  }
  let abort = () => {};
  const aborted = new Promise<never>((_resolve, reject) => {
    abort = () => reject(signal.reason);
    signal.addEventListener("abort", abort);
    if (signal.aborted) {
      abort();
    }
  });
  try {
    return await Promise.race([answer, aborted]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
