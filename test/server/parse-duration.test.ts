import { describe, expect, test } from "vitest";
import { parseDuration } from "../../src/server/parse-duration.js";

describe("parseDuration", () => {
  test.each([
    [90, 90],
    [0, 0],
    ["90s", 90],
    ["1.5 hours", 5400],
    ["2 D", 172_800],
  ])("reads %j as %d seconds", (value, seconds) => {
    expect(parseDuration("maxTokenAge", value)).toBe(seconds);
  });

  test.each([
    { name: "no unit", value: "90" },
    { name: "a negative time", value: "-1s" },
    { name: "two blanks", value: "1  s" },
    { name: "an unknown unit", value: "1 fortnight" },
    { name: "nothing", value: "" },
    // a check that is never reached is none
    { name: "a time beyond all numbers", value: `${"9".repeat(400)}s` },
  ])("rejects $name", ({ value }) => {
    expect(() => parseDuration("maxTokenAge", value)).toThrow(
      new TypeError(
        `maxTokenAge ${JSON.stringify(value)} must be a number of seconds, or text such as "2h"`,
      ),
    );
  });

  test.each([-1, Number.NaN, Number.POSITIVE_INFINITY, undefined, null])("rejects %s", (value) => {
    expect(() => parseDuration("maxTokenAge", value)).toThrow(
      new TypeError(`maxTokenAge ${value} must be a number of seconds, or text such as "2h"`),
    );
  });
});
