import { expect } from "vitest";

/** Counts what passed, so that a property cannot hold because nothing ever passes. */
export interface Tally {
  /** Notes an input. `subject`: whose credential it has. */
  count(subject: string | undefined): void;
  /** Fails unless there were inputs of both kinds. */
  check(): void;
}

export function createTally(): Tally {
  let good = 0;
  let bad = 0;
  return {
    count(subject) {
      if (subject === undefined) {
        bad += 1;
      } else {
        good += 1;
      }
    },
    check() {
      // the generators make far more good ones: that there are none is a mistake, and not chance
      expect(good * 50, `${good} good, ${bad} bad`).toBeGreaterThan(bad);
      expect(bad).toBeGreaterThan(0);
    },
  };
}
