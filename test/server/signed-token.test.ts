import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import {
  acceptedClaims,
  acceptedHeader,
  acceptingOptions,
  identify,
  now,
  type Part,
  reasonOf,
  signToken,
} from "../support/signed-tokens.js";
import {
  acceptedPayloads,
  claimsWithoutRoles,
  refusedClaims,
} from "./signed-token-claims.testdata.js";
import { acceptedHeaders, refusedHeaders } from "./signed-token-headers.testdata.js";

beforeEach(() => {
  vi.useFakeTimers({ now: now * 1000, toFake: ["Date"] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** Every signature here is one of the issuer: only what is signed is wrong. */
function withHeader(header: Part): string {
  return signToken({ header: replaced(acceptedHeader, header) });
}

function withClaims(claims: Part): string {
  return signToken({ payload: replaced(acceptedClaims, claims) });
}

/** `undefined` removes a member. */
function replaced(accepted: object, part: Part): Part {
  return typeof part === "string" || part instanceof Uint8Array ? part : { ...accepted, ...part };
}

describe("a signed token is accepted with", () => {
  test.each(acceptedHeaders)("$name", async ({ header }) => {
    expect(await identify(withHeader(header))).toMatchObject({ subject: "alice" });
  });

  test.each(acceptedPayloads)("$name", async ({ claims }) => {
    expect(await identify(withClaims(claims))).toMatchObject({ subject: "alice" });
  });

  test("the age that is the oldest", async () => {
    const options = { ...acceptingOptions, maxTokenAge: 60 };
    expect(await identify(withClaims({ iat: now - 65 }), options)).toMatchObject({
      subject: "alice",
    });
  });
});

test.each(claimsWithoutRoles)("a signed token has no roles where they are $name", async (token) => {
  expect(await identify(withClaims(token.claims))).toMatchObject({ subject: "alice", roles: [] });
});

describe("a signed token is refused with", () => {
  test.each(refusedHeaders)("$name", async ({ header, reason }) => {
    expect(await reasonOf(withHeader(header))).toBe(reason);
  });

  test.each(refusedClaims)("$name", async ({ claims, reason }) => {
    expect(await reasonOf(withClaims(claims))).toBe(reason);
  });

  test.each([
    { name: "no age", claims: { iat: undefined }, reason: 'missing required "iat" claim' },
    { name: "an age that is text", claims: { iat: "1" }, reason: '"iat" claim must be a number' },
    {
      name: "an age above the maximum",
      claims: { iat: now - 66 },
      reason: '"iat" claim timestamp check failed (too far in the past)',
    },
  ])("$name, where maxTokenAge is set", async ({ claims, reason }) => {
    const options = { ...acceptingOptions, maxTokenAge: 60 };
    expect(await reasonOf(withClaims(claims), options)).toBe(`token: ${reason}`);
  });
});

describe("a token", () => {
  test("says nothing of its own in a second line of the log", async () => {
    const crit = ["x\n2027-01-15 alice logged in\u2028\u0085"];
    expect(await reasonOf(withHeader({ crit }))).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}]/u);
  });

  test("changes no prototype by its claims", async () => {
    await identify(
      withClaims(`{"__proto__":{"polluted":1},${JSON.stringify(acceptedClaims).slice(1)}`),
    );
    expect(Reflect.get({}, "polluted")).toBeUndefined();
  });
});
