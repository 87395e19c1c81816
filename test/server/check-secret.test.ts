import { timingSafeEqual } from "node:crypto";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { createSecretCheck } from "../../src/server/check-secret.js";

vi.mock("node:crypto", async (importOriginal) => {
  const original = await importOriginal<typeof import("node:crypto")>();
  return { ...original, timingSafeEqual: vi.fn(original.timingSafeEqual) };
});
const compared = vi.mocked(timingSafeEqual);

describe("createSecretCheck", () => {
  beforeEach(() => {
    compared.mockClear();
  });

  test.each([
    { name: "the first secret", value: "first", isSecret: true },
    { name: "the second secret", value: "the second one", isSecret: true },
    { name: "another value", value: "third", isSecret: false },
    { name: "a prefix", value: "firs", isSecret: false },
    { name: "nothing", value: "", isSecret: false },
    { name: "a megabyte", value: "x".repeat(1_048_576), isSecret: false },
  ])("compares $name with all secrets, by as many bytes each", ({ value, isSecret }) => {
    expect(createSecretCheck("secret", ["first", "the second one"])(value)).toBe(isSecret);
    expect(compared.mock.calls.map((sides) => sides.map((side) => side.byteLength))).toEqual([
      [32, 32],
      [32, 32],
    ]);
  });
});
