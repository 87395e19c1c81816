import { setImmediate } from "node:timers/promises";
import fc from "fast-check";
import { expect } from "vitest";

/** How the inputs are split over the suites, in parts of a thousand. */
const shares = {
  "opaque credentials": 60,
  "tokens by a secret": 80,
  "tokens by a public key": 80,
  "tokens by a key set": 50,
  "answers for keys": 20,
  "DPoP proofs": 110,
  "gateway headers": 80,
  "session tokens": 80,
  "mesh principals": 50,
  "signed tokens of services": 50,
  "shared secrets": 30,
  "internal methods": 20,
  "introspection answers": 60,
  "all credentials side by side": 50,
  parsers: 50,
  memory: 100,
  "requests on the wire": 30,
} as const;

export type Suite = keyof typeof shares;

const perMille: ReadonlyMap<string, number> = new Map(Object.entries(shares));

/** All inputs: `FUZZ_INPUTS`, which `npm run fuzz` sets, or as many as `npm test` has time for. */
export const totalInputs: number = Number(process.env.FUZZ_INPUTS ?? 4_000);

/** The suites, and how many inputs each gets. */
export const split: ReadonlyMap<string, number> = new Map(
  [...perMille].map(([suite, share]) => [suite, Math.round((totalInputs * share) / 1000)]),
);

/** How many inputs a suite gets. `parts`: among how many properties it divides them. */
export function inputsOf(suite: Suite, parts = 1): number {
  return Math.ceil((split.get(suite) ?? 0) / parts);
}

/** What decides on the inputs. Those of `npm test` are always the same, so that no change fails for another one. */
const seed = process.env.FUZZ_SEED ?? (process.env.FUZZ_INPUTS === undefined ? "1" : undefined);

/**
 * Holds a property against so many inputs, and fails also for what nobody was
 * there to catch. What fails says the seed; with it in `FUZZ_SEED`, the same
 * inputs come again.
 */
export async function hold<T>(
  inputs: number,
  arbitrary: fc.Arbitrary<T>,
  property: (input: T) => Promise<void> | void,
): Promise<void> {
  const lost: unknown[] = [];
  const note = (error: unknown) => lost.push(error);
  process.on("uncaughtException", note).on("unhandledRejection", note);
  try {
    await fc.assert(
      fc.asyncProperty(arbitrary, async (input) => {
        await property(input);
        expect(lost.splice(0)).toEqual([]);
      }),
      { numRuns: inputs, ...(seed !== undefined && { seed: Number(seed) }) },
    );
    await setImmediate();
    expect(lost).toEqual([]);
  } finally {
    process.off("uncaughtException", note).off("unhandledRejection", note);
  }
}
