import fc from "fast-check";

/** Anything that JSON can say, not deep: it has to fit into a token. */
export const json: fc.Arbitrary<unknown> = fc.jsonValue({ maxDepth: 1 });

/** These values and any JSON, but none that is good. */
export function unlike(
  isGood: (value: unknown) => boolean,
  ...values: readonly unknown[]
): fc.Arbitrary<unknown> {
  return fc.oneof(fc.constantFrom(...values), json).filter((value) => !isGood(value));
}
