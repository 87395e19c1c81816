import fc from "fast-check";

/** How the inputs are split over the suites, in parts of a thousand. */
const shares = {
  "opaque credentials": 70,
  "tokens by a secret": 90,
  "tokens by a public key": 90,
  "tokens by a key set": 60,
  "answers for keys": 20,
  "DPoP proofs": 120,
  "gateway headers": 90,
  "session tokens": 90,
  "mesh principals": 60,
  "signed tokens of services": 50,
  "shared secrets": 40,
  "internal methods": 20,
  "introspection answers": 70,
  "all credentials side by side": 50,
  parsers: 60,
  memory: 10,
  "requests on the wire": 10,
} as const;

export type Suite = keyof typeof shares;

const perMille: ReadonlyMap<string, number> = new Map(Object.entries(shares));

/** All inputs: `FUZZ_INPUTS`, which `npm run fuzz` sets, or as many as `npm test` has time for. */
export const totalInputs: number = Number(process.env.FUZZ_INPUTS ?? 5_000);

/** The suites, and how many inputs each gets. */
export const split: ReadonlyMap<string, number> = new Map(
  [...perMille].map(([suite, share]) => [suite, Math.round((totalInputs * share) / 1000)]),
);

/** How many inputs a suite gets. `parts`: among how many properties it divides them. */
export function inputsOf(suite: Suite, parts = 1): number {
  return Math.ceil((split.get(suite) ?? 0) / parts);
}

/**
 * Holds a property against so many inputs. What fails says the seed; with it in
 * `FUZZ_SEED`, the same inputs come again.
 */
export async function hold<T>(
  inputs: number,
  arbitrary: fc.Arbitrary<T>,
  property: (input: T) => Promise<void> | void,
): Promise<void> {
  const seed = process.env.FUZZ_SEED;
  await fc.assert(
    fc.asyncProperty(arbitrary, async (input) => property(input)),
    { numRuns: inputs, ...(seed !== undefined && { seed: Number(seed) }) },
  );
}
