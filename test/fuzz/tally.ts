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
      // one in ten at least, of several dozen: fewer would be a mistake in the generator, not chance
      expect({ good, bad }).toEqual({ good: expect.any(Number), bad: expect.any(Number) });
      expect(good * 50).toBeGreaterThan(bad);
      expect(bad).toBeGreaterThan(0);
    },
  };
}
