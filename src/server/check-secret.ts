import { createHash, timingSafeEqual } from "node:crypto";

/**
 * Says whether a value is one of these secrets. Compares in constant time,
 * whatever the lengths: by digests of equal length. Throws `TypeError` where
 * there are none, an empty one, one that no header can carry, or one of fewer
 * bytes than `minBytes`; `option` is its name for the message.
 */
export function createSecretCheck(
  option: string,
  expectedValues: readonly string[],
  minBytes = 1,
): (value: string) => boolean {
  if (
    !Array.isArray(expectedValues) ||
    expectedValues.length === 0 ||
    !expectedValues.every((value) => typeof value === "string" && value !== "")
  ) {
    throw new TypeError(`${option} must be a list of one or more secrets, none of them empty`);
  }
  // what is read from a file may end in a line break, and would never match
  if (!expectedValues.every(isCarried)) {
    throw new TypeError(
      `${option}: a secret must be printable ASCII without spaces at its ends, or no header carries it`,
    );
  }
  const shortest = Math.min(...expectedValues.map((value) => value.length));
  if (shortest < minBytes) {
    throw new TypeError(
      `${option}: a secret must have at least ${minBytes} bytes, not ${shortest}`,
    );
  }
  const expected = expectedValues.map(digest);
  return (value) => {
    const actual = digest(value);
    // all are compared, so that the time does not tell which one matched
    return expected.filter((secret) => timingSafeEqual(secret, actual)).length > 0;
  };
}

function isCarried(value: string): boolean {
  return /^[\x20-\x7e]+$/.test(value) && value.trim() === value;
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
