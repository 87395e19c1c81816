import { createHash, timingSafeEqual } from "node:crypto";

/**
 * Says whether a value is one of these secrets. Compares in constant time,
 * whatever the lengths: by digests of equal length. Throws `TypeError` where
 * there are none, or an empty one; `option` is its name for the message.
 */
export function createSecretCheck(
  option: string,
  expectedValues: readonly string[],
): (value: string) => boolean {
  if (
    !Array.isArray(expectedValues) ||
    expectedValues.length === 0 ||
    !expectedValues.every((value) => typeof value === "string" && value !== "")
  ) {
    throw new TypeError(`${option} must be a list of one or more secrets, none of them empty`);
  }
  const expected = expectedValues.map(digest);
  return (value) => {
    const actual = digest(value);
    // all are compared, so that the time does not tell which one matched
    return expected.filter((secret) => timingSafeEqual(secret, actual)).length > 0;
  };
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
