import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { lifetimeOf } from "../../src/credentials/token-lifetime.js";
import { Auth } from "../../src/index.js";

const now = new Date("2026-01-01T00:00:00Z").getTime();
const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;
const in10 = { expiresAt: new Date(now + 10 * minute) };
const prove = () => "proof";

/** A token of which the middle part is the only one that is read. */
function jwt(claims: unknown): string {
  return `e30.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.c2ln`;
}
/** With an `exp` so many milliseconds from now. */
function jwtFor(ms: number): string {
  return jwt({ sub: "user", exp: (now + ms) / 1000 });
}

describe("lifetimeOf", () => {
  beforeEach(() => {
    vi.useFakeTimers({ now });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test.each<{ name: string; auth: Auth; want: number }>([
    { name: "an expiresAt", auth: Auth.bearer("t", in10), want: 10 * minute },
    { name: "an expiresAt beside an exp", auth: Auth.jwt(jwtFor(hour), in10), want: 10 * minute },
    { name: "an exp", auth: Auth.jwt(jwtFor(hour)), want: hour },
    { name: "an exp between two seconds", auth: Auth.jwt(jwtFor(1500)), want: 1500 },
    { name: "the exp of an opaque token", auth: Auth.bearer(jwtFor(hour)), want: hour },
    { name: "the exp of a session", auth: Auth.session(jwtFor(hour)), want: hour },
    { name: "the exp of a bound token", auth: Auth.dpop(jwtFor(hour), prove), want: hour },
    {
      name: "the expiresAt of a bound token",
      auth: Auth.dpop("t", prove, in10),
      want: 10 * minute,
    },
    { name: "an exp long past", auth: Auth.jwt(jwtFor(-hour)), want: -hour },
    { name: "an exp of 0", auth: Auth.jwt(jwt({ exp: 0 })), want: -now },
    { name: "an exp in a year", auth: Auth.jwt(jwtFor(365 * day)), want: day },
    { name: "an expiresAt in a year", auth: Auth.jwt("t", year()), want: day },
    { name: "no exp", auth: Auth.jwt(jwt({ sub: "user" })), want: 5 * minute },
    { name: "an exp that is a string", auth: Auth.jwt(jwt({ exp: "1" })), want: 5 * minute },
    { name: "an exp that is null", auth: Auth.jwt(jwt({ exp: null })), want: 5 * minute },
    { name: "claims that are null", auth: Auth.jwt(jwt(null)), want: 5 * minute },
    { name: "claims that are a list", auth: Auth.jwt(jwt([1])), want: 5 * minute },
    { name: "claims that are a number", auth: Auth.jwt(jwt(7)), want: 5 * minute },
    { name: "an opaque token", auth: Auth.bearer("opaque"), want: 5 * minute },
    { name: "a token of dots", auth: Auth.jwt(".."), want: 5 * minute },
    { name: "a middle that is no base64", auth: Auth.jwt("a.%%%.c"), want: 5 * minute },
    { name: "a middle that is no JSON", auth: Auth.jwt("a.YWJj.c"), want: 5 * minute },
    { name: "an API key", auth: Auth.header("x-api-key", "k"), want: 5 * minute },
    { name: "a gateway", auth: Auth.gateway({ secret: "s", subject: "a" }), want: 5 * minute },
    {
      name: "the first of several to go",
      auth: Auth.all(Auth.jwt(jwtFor(hour)), Auth.all(Auth.bearer("t", in10))),
      want: 10 * minute,
    },
  ])("goes by $name", ({ auth, want }) => {
    expect(lifetimeOf(auth)).toBe(want);
    expect(lifetimeOf(auth, now)).toBe(want);
  });

  test("reads an exp beside characters beyond ASCII", () => {
    expect(lifetimeOf(Auth.jwt(jwt({ name: "Žofie 😀 ÿþ?>", exp: now / 1000 + 60 })))).toBe(minute);
  });

  test("goes on for a day at most where exp has no end", () => {
    const claims = Buffer.from('{"exp":1e400}').toString("base64url");
    expect(lifetimeOf(Auth.jwt(`e30.${claims}.c2ln`))).toBe(day);
  });

  test("goes by the clock it is given", () => {
    expect(lifetimeOf(Auth.jwt(jwtFor(hour)), now + minute)).toBe(59 * minute);
  });

  test("is no time at all where expiresAt is no date", () => {
    expect(lifetimeOf(Auth.jwt("t", { expiresAt: new Date("soon") }))).toBeNaN();
  });

  test.each([Auth.none(), Auth.all(Auth.jwt("t"), Auth.none())])(
    "is over at once where there is no credential: $type",
    (auth) => {
      expect(lifetimeOf(auth)).toBe(1);
    },
  );
});

function year() {
  return { expiresAt: new Date(now + 365 * day) };
}
