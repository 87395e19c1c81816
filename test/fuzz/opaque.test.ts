import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createAuthInterceptor } from "../../src/server/index.js";
import { authorization, secretsIn } from "./authorization.js";
import { changed, headerText, trimmed } from "./change-text.js";
import { hold, inputsOf } from "./inputs.js";
import { problemsOf } from "./problems-of.js";
import { sendCall } from "./send-call.js";
import { createTally } from "./tally.js";
import type { Credential } from "./tokens.js";

/** Credentials that are known, of each kind that people make up. */
const owners: ReadonlyMap<string, string> = new Map([
  [randomBytes(24).toString("base64url"), "alice"],
  [`sk_live_${randomBytes(24).toString("hex")}`, "bob"],
  [`${randomBytes(20).toString("base64")}==`, "carol"],
]);

/** Whose a key is. */
function verifyCredentials(key: string) {
  const subject = owners.get(key);
  if (subject === undefined) {
    throw new RangeError("unknown key");
  }
  return { subject, roles: [], scopes: [], claims: {}, type: "api-key" };
}

const known = fc.constantFrom(...owners.keys());
const credential: fc.Arbitrary<Credential> = fc
  .oneof(
    { weight: 2, arbitrary: known },
    { weight: 3, arbitrary: known.chain(changed) },
    { weight: 1, arbitrary: fc.tuple(known, known).map(([one, two]) => `${one},${two}`) },
    { weight: 1, arbitrary: headerText },
    { weight: 1, arbitrary: fc.constantFrom("x".repeat(8193), "__proto__", "constructor") },
  )
  .map((text) => ({ text, good: owners }));

describe("an opaque credential", () => {
  test.each([{ cache: undefined }, { cache: { ttl: 60_000, maxSize: 100 } }])(
    "in Authorization, with the cache $cache",
    async ({ cache }) => {
      const asked: string[] = [];
      const interceptor = createAuthInterceptor({
        verifyCredentials(key) {
          asked.push(key);
          return verifyCredentials(key);
        },
        ...(cache && { cache }),
      });
      const tally = createTally();
      const inputs = inputsOf("opaque credentials", 3);
      await hold(inputs, authorization(credential), async ({ value, subject, secrets }) => {
        tally.count(subject);
        const outcome = await sendCall(interceptor, { header: { authorization: value } });
        expect(problemsOf(outcome, { subject, secrets })).toEqual([]);
        // whoever looks it up may be lenient
        expect(asked.splice(0).filter((key) => !/^[!-+\--~]{1,8192}$/.test(key))).toEqual([]);
      });
      tally.check();
    },
  );

  test("in a header of its own", async () => {
    const interceptor = createAuthInterceptor({
      extractCredentials: ({ header }) => header.get("x-api-key"),
      verifyCredentials,
    });
    const tally = createTally();
    await hold(inputsOf("opaque credentials", 3), credential, async ({ text }) => {
      const subject = owners.get(trimmed(text));
      tally.count(subject);
      const outcome = await sendCall(interceptor, { header: { "x-api-key": text } });
      expect(problemsOf(outcome, { subject, secrets: secretsIn(text) })).toEqual([]);
    });
    tally.check();
  });
});
