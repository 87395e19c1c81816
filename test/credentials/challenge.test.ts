import { describe, expect, test } from "vitest";
import { parseChallenges } from "../../src/credentials/challenge.js";

describe("parseChallenges", () => {
  test.each([
    { value: "", want: [] },
    { value: "Bearer", want: [{ scheme: "bearer", params: {} }] },
    {
      value: 'Bearer error="invalid_token", error_description="it \\"expired\\""',
      want: [
        {
          scheme: "bearer",
          params: { error: "invalid_token", error_description: 'it "expired"' },
        },
      ],
    },
    {
      value: 'DPoP algs="ES256 EdDSA", error=use_dpop_nonce, Bearer realm="a, b=c"',
      want: [
        { scheme: "dpop", params: { algs: "ES256 EdDSA", error: "use_dpop_nonce" } },
        { scheme: "bearer", params: { realm: "a, b=c" } },
      ],
    },
    {
      value: 'Basic realm=x , Bearer scope = "x y"',
      want: [
        { scheme: "basic", params: { realm: "x" } },
        { scheme: "bearer", params: { scope: "x y" } },
      ],
    },
    { value: 'Bearer __proto__="x"', want: [{ scheme: "bearer", params: { ["__proto__"]: "x" } }] },
    { value: 'error="x"', want: [] },
    { value: 'Bearer error="unterminated', want: [{ scheme: "bearer", params: {} }] },
  ])("reads $value", ({ value, want }) => {
    const read = parseChallenges(value).map(({ scheme, params }) => ({
      scheme,
      params: Object.fromEntries(params),
    }));
    expect(read).toEqual(want);
  });

  test("takes time that grows with the length of what is no challenge", () => {
    expect(parseChallenges(`Bearer ${'a="'.repeat(5000)}`)).toHaveLength(1);
    expect(parseChallenges(`${" ,".repeat(20_000)}x=`)).toEqual([]);
    expect(parseChallenges(`Bearer${" ".repeat(200_000)}"`)).toHaveLength(1);
  });
});
