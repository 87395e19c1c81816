import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  createSessionAuthInterceptor,
  type SessionAuthInterceptorOptions,
} from "../../src/server/index.js";
import { authorization, secretsIn } from "./authorization.js";
import { changed, headerText, trimmed } from "./change-text.js";
import { hold, inputsOf } from "./inputs.js";
import { problemsOf } from "./problems-of.js";
import { sendCall } from "./send-call.js";
import { createTally } from "./tally.js";
import type { Credential } from "./tokens.js";

const sessions: ReadonlyMap<string, string> = new Map([
  [randomBytes(24).toString("base64url"), "alice"],
  [`${randomBytes(24).toString("hex")}.%2B/=+:`, "bob"],
]);
const allowedOrigin = "https://app.test";

function createSessions(options: Partial<SessionAuthInterceptorOptions<string>>) {
  return createSessionAuthInterceptor<string>({
    verifySession: (token) => sessions.get(token),
    mapSession: (subject) => ({ subject, roles: [], scopes: [], claims: {}, type: "session" }),
    ...options,
  });
}

const known = fc.constantFrom(...sessions.keys());
const token = fc.oneof(
  { weight: 5, arbitrary: known },
  { weight: 4, arbitrary: known.chain(changed) },
  { weight: 1, arbitrary: headerText },
  { weight: 1, arbitrary: fc.constantFrom("", "x".repeat(8193), "__proto__") },
);

const blanks = fc.constantFrom("", " ", "  ", "\t");
const wideBlanks = fc.constantFrom("", "", "", " ", "\t", "\u00a0", "\u000b");
const ownName = fc.constant("sid");
const otherName = fc.constantFrom(
  "SID",
  "sid2",
  "xsid",
  "si",
  "__Host-sid",
  "",
  "a",
  "$sid",
  '"sid"',
);

/** One pair of a cookie header. */
const pair = (name: fc.Arbitrary<string>, around: fc.Arbitrary<string>) =>
  fc
    .tuple(around, name, around, around, token, around)
    .map(([a, cookie, b, c, value, d]) => `${a}${cookie}${b}=${c}${value}${d}`);
const otherPair = fc.oneof(pair(otherName, blanks), headerText);
const cookieHeader = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .tuple(
        fc.array(otherPair, { maxLength: 2 }),
        pair(ownName, blanks),
        fc.array(otherPair, { maxLength: 2 }),
      )
      .map(([before, own, after]) => [...before, own, ...after].join(";")),
  },
  { weight: 2, arbitrary: pair(ownName, wideBlanks) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(pair(ownName, blanks), known, fc.boolean())
      .map(([one, good, isFirst]) => (isFirst ? `sid=${good}; ${one}` : `${one}; sid=${good}`)),
  },
  { weight: 1, arbitrary: pair(ownName, blanks).chain(changed) },
);

/** The token of the one cookie of that name, as RFC 6265 §4.2.1 writes it. */
function tokenIn(header: string): string | undefined {
  const own = trimmed(header)
    .split(";")
    .filter((text) => text.includes("=") && text.split("=")[0]?.trim() === "sid");
  const [name, ...value] = (own[0] ?? "").split("=");
  return own.length === 1 && trimmed(name ?? "") === "sid" ? trimmed(value.join("=")) : undefined;
}

/** Where a browser says that a call comes from. */
interface Site {
  readonly headers: Readonly<Record<string, string>>;
  readonly isGood: boolean;
}
const site: fc.Arbitrary<Site> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .constantFrom<Record<string, string>>(
        {},
        { origin: "https://api.test" },
        { origin: allowedOrigin },
        { origin: allowedOrigin, "sec-fetch-site": "cross-site" },
        { "sec-fetch-site": "same-origin" },
        { "sec-fetch-site": "none" },
        { origin: "https://proxy.test", "sec-fetch-site": "same-origin" },
      )
      .map((headers) => ({ headers, isGood: true })),
  },
  {
    weight: 2,
    arbitrary: fc
      .record({
        origin: fc.oneof(
          fc.constantFrom("https://evil.test", "null", "http://api.test", "https://api.test/", ""),
          changed("https://api.test"),
          changed(allowedOrigin),
          headerText,
          fc.constantFrom(undefined, "https://api.test"),
        ),
        site: fc.oneof(
          fc.constantFrom(undefined, "cross-site", "same-site", "Same-Origin", "", "none, none"),
          headerText,
        ),
      })
      .filter(
        ({ origin, site }) =>
          trimmed(origin ?? "") !== allowedOrigin &&
          !["none", "same-origin"].includes(trimmed(site ?? "")) &&
          !(site === undefined && trimmed(origin ?? "https://api.test") === "https://api.test"),
      )
      .map(({ origin, site }) => ({
        headers: {
          ...(origin !== undefined && { origin }),
          ...(site !== undefined && { "sec-fetch-site": site }),
        },
        isGood: false,
      })),
  },
);

describe("the token of a session", () => {
  test("in a cookie", async () => {
    const interceptor = createSessions({ cookie: "sid", allowedOrigins: [allowedOrigin] });
    const tally = createTally();
    const call = fc.record({ cookie: cookieHeader, site });
    await hold(inputsOf("session tokens", 3), call, async ({ cookie, site }) => {
      const subject = site.isGood ? sessions.get(tokenIn(cookie) ?? "") : undefined;
      tally.count(subject);
      const outcome = await sendCall(interceptor, { header: { cookie, ...site.headers } });
      expect(problemsOf(outcome, { subject, secrets: secretsIn(cookie) })).toEqual([]);
    });
    tally.check();
  });

  test("in a header, beside a cookie of the same name", async () => {
    const interceptor = createSessions({
      cookie: "sid",
      header: "x-session",
      cache: { ttl: 60_000, maxSize: 50 },
    });
    const tally = createTally();
    const call = fc.record({
      session: token,
      cookie: fc.option(cookieHeader, { freq: 3, nil: undefined }),
    });
    await hold(inputsOf("session tokens", 3), call, async ({ session, cookie }) => {
      // a cookie of that name, whatever is in it, leaves two tokens, or a bad one
      const isAlone = !cookie?.split(";").some((text) => text.split("=")[0]?.trim() === "sid");
      const subject = isAlone ? sessions.get(trimmed(session)) : undefined;
      tally.count(subject);
      const header = { "x-session": session, ...(cookie !== undefined && { cookie }) };
      const outcome = await sendCall(interceptor, { header });
      const secrets = secretsIn(session, cookie ?? "");
      expect(problemsOf(outcome, { subject, secrets, hidden: ["x-session"] })).toEqual([]);
    });
    tally.check();
  });

  test("in Authorization", async () => {
    const interceptor = createSessions({});
    const tally = createTally();
    const presented = authorization(token.map((text): Credential => ({ text, good: sessions })));
    await hold(inputsOf("session tokens", 3), presented, async ({ value, subject, secrets }) => {
      tally.count(subject);
      const outcome = await sendCall(interceptor, { header: { authorization: value } });
      expect(problemsOf(outcome, { subject, secrets })).toEqual([]);
    });
    tally.check();
  });
});
