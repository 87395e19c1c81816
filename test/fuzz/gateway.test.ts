import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { asciiJson } from "../../src/headers.js";
import { AUTH_HEADERS, createGatewayAuthInterceptor } from "../../src/server/index.js";
import { secretsIn } from "./authorization.js";
import { changed, headerChar, headerText, trimmed } from "./change-text.js";
import { hold, inputsOf } from "./inputs.js";
import { problemsOf } from "./problems-of.js";
import { sendCall } from "./send-call.js";
import { createTally } from "./tally.js";
import { json } from "./values.js";

const secrets = [randomBytes(24).toString("base64url"), randomBytes(40).toString("base64url")];

/** What a call has of one header: any number of values, and whether they are right together. */
interface Part {
  readonly values: readonly string[];
  readonly isGood: boolean;
}

const good = (values: fc.Arbitrary<readonly string[]>): fc.Arbitrary<Part> =>
  values.map((list) => ({ values: list, isGood: true }));
const bad = (values: fc.Arbitrary<readonly string[]>): fc.Arbitrary<Part> =>
  values.map((list) => ({ values: list, isGood: false }));
const mostly = (right: fc.Arbitrary<Part>, wrong: fc.Arbitrary<Part>): fc.Arbitrary<Part> =>
  fc.oneof({ weight: 9, arbitrary: right }, { weight: 1, arbitrary: wrong });
const one = (text: string) => [text];

const known = fc.constantFrom(...secrets);
const secret = fc.oneof(
  { weight: 6, arbitrary: good(known.map(one)) },
  {
    weight: 3,
    arbitrary: known.chain(changed).map((text) => ({
      values: [text],
      isGood: secrets.includes(trimmed(text)),
    })),
  },
  { weight: 1, arbitrary: bad(fc.tuple(known, known)) },
  { weight: 1, arbitrary: bad(fc.constantFrom<string[]>([], [""], [secrets.join(",")])) },
);

/** What a header can carry, without commas and blanks around it. */
const plain = fc
  .string({ unit: headerChar.filter((char) => char !== ","), minLength: 1, maxLength: 30 })
  .map(trimmed)
  .filter((text) => text !== "");
const tooLong = fc.integer({ min: 8193, max: 9000 }).map((length) => "x".repeat(length));
const withComma = fc.tuple(plain, plain).map((texts) => texts.join(", "));
const sentTwice = fc.tuple(plain, plain).map((texts) => [...texts]);

const subject = mostly(
  good(plain.map(one)),
  bad(
    fc.oneof(fc.constantFrom([], [""], [" \t"]), withComma.map(one), sentTwice, tooLong.map(one)),
  ),
);
const optional = (values: fc.Arbitrary<readonly string[]>) => fc.oneof(fc.constant([]), values);
const single = mostly(
  good(optional(plain.map(one))),
  bad(fc.oneof(withComma.map(one), sentTwice, tooLong.map(one))),
);
const name = mostly(good(optional(fc.oneof(plain.map(one), sentTwice))), bad(tooLong.map(one)));

/** JSON of one kind, and what is none of it: cut off, joined, too long, of another kind. */
function jsonPart(right: fc.Arbitrary<unknown>, isRight: (value: unknown) => boolean) {
  const texts = right.map(asciiJson);
  return mostly(
    good(optional(texts.map(one))),
    bad(
      fc.oneof(
        json.filter((value) => !isRight(value)).map((value) => [asciiJson(value)]),
        texts.map((text) => [text.slice(0, -1)]),
        texts.map((text) => [text, text]),
        texts.map((text) => [`${text}x`]),
        fc.constantFrom([""], ["x"], ["'a'"], ["[a]"], ["undefined"], ["[".repeat(8000)]),
        texts.map((text) => [text.padEnd(8193)]).map(([text = ""]) => [`${text.slice(0, -1)}]`]),
      ),
    ),
  );
}
const isStrings = (value: unknown) =>
  Array.isArray(value) && value.every((item) => typeof item === "string");
const isObject = (value: unknown) =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const call = fc.record({
  secret,
  subject,
  roles: jsonPart(
    fc.array(fc.string({ unit: "binary", maxLength: 8 }), { maxLength: 3 }),
    isStrings,
  ),
  claims: jsonPart(fc.dictionary(fc.string({ maxLength: 8 }), json, { maxKeys: 3 }), isObject),
  name,
  scopes: single,
  type: single,
  // names that differ in underscores: no handler sees them, and nobody reads them
  twins: fc.dictionary(
    fc.constantFrom("x_auth_subject", "x_auth-roles", "x-auth_name", "x_gateway_secret"),
    headerText,
  ),
});

test("gateway headers make an identity only with the secret, and only where they are whole", async () => {
  const interceptor = createGatewayAuthInterceptor({
    trustSource: { expectedValues: secrets },
    headerMapping: {
      subject: AUTH_HEADERS.SUBJECT,
      roles: AUTH_HEADERS.ROLES,
      claims: AUTH_HEADERS.CLAIMS,
      name: AUTH_HEADERS.NAME,
      scopes: AUTH_HEADERS.SCOPES,
      type: AUTH_HEADERS.TYPE,
    },
  });
  const tally = createTally();
  await hold(inputsOf("gateway headers"), call, async ({ secret, twins, ...parts }) => {
    const header = new Headers(twins);
    for (const value of secret.values) {
      header.append("x-gateway-secret", value);
    }
    for (const [field, { values }] of Object.entries(parts)) {
      for (const value of values) {
        header.append(`x-auth-${field}`, value);
      }
    }
    const isGood = [secret, ...Object.values(parts)].every((part) => part.isGood);
    const [who] = parts.subject.values;
    const subject = isGood ? who : undefined;
    tally.count(subject);
    const outcome = await sendCall(interceptor, { header });
    const hidden = [...Object.values(AUTH_HEADERS), "x-gateway-secret"];
    const shown = [...secrets, ...secretsIn(...secret.values)];
    expect(problemsOf(outcome, { subject, secrets: shown, hidden })).toEqual([]);
    if (outcome.passed) {
      const [roles = "[]"] = parts.roles.values;
      expect(outcome.identity?.roles).toEqual(JSON.parse(roles));
      expect(outcome.identity?.scopes.every((scope) => /^[^ ,]+$/.test(scope))).toBe(true);
    }
  });
  tally.check();
});
