import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseChallenges } from "../../src/credentials/challenge.js";
import { bearerChallenge, dpopChallenge } from "../../src/server/challenge.js";
import { AUTH_HEADERS, parseAuthHeaders, setAuthHeaders } from "../../src/server/index.js";
import { normalizeUri } from "../../src/server/normalize-uri.js";
import { parseDuration } from "../../src/server/parse-duration.js";
import { parseXfcc } from "../../src/server/parse-xfcc.js";
import { readCookie } from "../../src/server/read-cookie.js";
import { headerText } from "./change-text.js";
import { hold, inputsOf } from "./inputs.js";
import { isChallenge, problemsOf } from "./problems-of.js";
import { anyXfcc, principalIn } from "./xfcc.js";

const inputs = inputsOf("parsers", 9);
const text = fc.string({ unit: "binary" });
const token = fc.stringMatching(/^[!-~]{1,20}$/);

/** What a function throws for input of a caller: our refusal, and nothing else. */
function refusalProblems(run: () => unknown): string[] {
  try {
    run();
    return [];
  } catch (error) {
    return problemsOf({ passed: false, error }, { subject: undefined, secrets: [] });
  }
}

describe("an identity in headers", () => {
  const words = fc.oneof(token, text);
  const identity = fc.record({
    subject: words,
    name: fc.option(words, { nil: undefined }),
    roles: fc.array(text, { maxLength: 4 }),
    scopes: fc.array(fc.oneof({ weight: 9, arbitrary: token }, text), { maxLength: 4 }),
    claims: fc.dictionary(text, fc.jsonValue(), { maxKeys: 4 }),
    type: words,
  });

  test("is read as it was written, or cannot be written", async () => {
    const count = { written: 0, refused: 0 };
    await hold(inputs, identity, ({ name, ...rest }) => {
      const given = { ...rest, ...(name !== undefined && { name }) };
      const header = new Headers();
      try {
        setAuthHeaders(header, given);
      } catch (error) {
        count.refused += 1;
        expect(error).toBeInstanceOf(TypeError);
        expect(error).toHaveProperty(
          "message",
          expect.stringMatching(/^(subject|type|roles|scopes) cannot be carried in a header/),
        );
        return;
      }
      count.written += 1;
      const read = parseAuthHeaders(header);
      // what is for display and what is too long are left out
      const isNamed = name !== undefined && /^[!-~]([ -~]*[!-~])?$/.test(name);
      const hasClaims = header.has(AUTH_HEADERS.CLAIMS);
      expect(read).toEqual({
        subject: given.subject,
        ...(isNamed && { name }),
        roles: given.roles,
        scopes: given.scopes,
        claims: hasClaims ? JSON.parse(JSON.stringify(given.claims)) : {},
        type: given.type,
      });
      expect(hasClaims || Object.keys(given.claims).length === 0).toBe(true);
    });
    expect(Math.min(count.written, count.refused)).toBeGreaterThan(0);
  });

  test("is refused or whole, whatever stands in them", async () => {
    const names = fc.constantFrom(...Object.values(AUTH_HEADERS));
    const value = fc.oneof(
      headerText,
      fc.json().filter(isHeaderText),
      fc.constant("[".repeat(9000)),
    );
    await hold(inputs, fc.dictionary(names, value), (headers) => {
      const header = new Headers(headers);
      expect(
        refusalProblems(() => {
          const { subject, roles = [], scopes = [] } = parseAuthHeaders(header) ?? {};
          expect(subject ?? null).toBe(header.get(AUTH_HEADERS.SUBJECT) || null);
          expect([...roles, ...scopes].every((item) => typeof item === "string")).toBe(true);
        }),
      ).toEqual([]);
    });
  });
});

test("a cookie is read where it stands once, and any other header gives none or a refusal", async () => {
  const pair = fc
    .tuple(fc.constantFrom("sid", "sid ", "a", " sid", "SID", ""), headerText)
    .map(([name, value]) => `${name}=${value}`);
  const header = fc.array(fc.oneof(pair, headerText), { maxLength: 4 }).map((all) => all.join(";"));
  await hold(inputs, header, (cookie) => {
    const header = new Headers({ cookie });
    const own = cookie
      .split(";")
      .map((part) => part.split("="))
      .filter(([name, ...rest]) => name?.trim() === "sid" && rest.length > 0);
    expect(
      refusalProblems(() => {
        const value = readCookie(header, "sid");
        expect(value === undefined).toBe(own.length === 0);
        if (value !== undefined) {
          expect(own).toHaveLength(1);
          expect(own[0]?.slice(1).join("=").trim()).toBe(value);
          expect(value).toMatch(/^[!#-+\--:<-[\]-~]+$/);
        }
      }),
    ).toEqual([]);
  });
});

describe("x-forwarded-client-cert", () => {
  const key = fc.stringMatching(/^[A-Za-z]{1,8}$/);
  const value = fc.oneof(headerText, token);
  const element = fc.array(fc.tuple(key, value), { minLength: 1, maxLength: 4 });

  test("is read as Envoy writes it", async () => {
    const elements = fc.array(element, { minLength: 1, maxLength: 3 });
    await hold(inputs, elements, (list) => {
      const header = list
        .map((pairs) =>
          pairs.map(([name, val]) => `${name}="${val.replace(/(["\\])/g, "\\$1")}"`).join(";"),
        )
        .join(",");
      const want = list.map((pairs) => pairs.map(([name, val]) => [name.toLowerCase(), val]));
      expect(parseXfcc(header)).toEqual(want);
    });
  });

  test("has no principal but the one that another reader finds", async () => {
    const principals = ["spiffe://a/b", 'a"b\\c,d;e=f'];
    await hold(inputs, fc.oneof(anyXfcc(principals), text), (header) => {
      const [element = [], ...others] = parseXfcc(header) ?? [];
      const uris = element.filter(([name]) => name === "uri").map(([, uri]) => uri);
      const isOne = others.length === 0 && uris.length === 1;
      expect(isOne ? uris[0] : undefined).toBe(principalIn(header));
    });
  });
});

describe("a URI", () => {
  const unreserved = fc.constantFrom(..."abcXYZ019-._~");
  const segment = fc
    .array(unreserved, { minLength: 1, maxLength: 8 })
    .map((chars) => chars.join(""));
  const path = fc
    .array(
      segment.filter((name) => name !== "." && name !== ".."),
      { minLength: 1, maxLength: 4 },
    )
    .map((names) => `/${names.join("/")}`);

  test("has one normal form, in whatever spelling it comes", async () => {
    const spelling = fc.record({
      path,
      encoded: fc.array(fc.boolean(), { minLength: 40, maxLength: 40 }),
      isUpper: fc.boolean(),
      port: fc.constantFrom("", ":", ":443"),
      dots: fc.constantFrom("", "/.", "/x/..", "/%2e", "/x/%2E%2e"),
      end: fc.constantFrom("", "?", "?a=b/c", "#d", "?e#f?g"),
    });
    await hold(inputs, spelling, ({ path, encoded, isUpper, port, dots, end }) => {
      const other = [...path].map((char, i) => {
        const hex = char.charCodeAt(0).toString(16);
        // a dot that is encoded could make another path of dots
        return encoded[i] && /[\w~-]/.test(char) ? `%${isUpper ? hex.toUpperCase() : hex}` : char;
      });
      const origin = isUpper ? "HTTPS://API.TEST" : "https://api.test";
      const uri = `${origin}${port}${dots}${other.join("")}${end}`;
      expect(normalizeUri(uri)).toBe(`https://api.test${path}`);
      expect(normalizeUri(`https://api.test${path}x${end}`)).not.toBe(normalizeUri(uri));
    });
  });

  test("is what it was after it was normalized again, or is none", async () => {
    const piece = fc.oneof(
      { weight: 1, arbitrary: headerText },
      {
        weight: 9,
        arbitrary: fc.constantFrom(
          "//",
          "\\",
          "@",
          "%2e",
          "%25",
          "2e",
          "7E",
          "%7e",
          "%zz",
          "/..",
          "x",
        ),
      },
    );
    const begin = fc.constantFrom(
      "https://a.test/",
      "HTTP://A.test:80/",
      "http://[::1]:8080",
      "",
      "//",
    );
    const parts = fc
      .tuple(begin, fc.array(piece, { maxLength: 5 }))
      .map(([first, others]) => [first, ...others]);
    await hold(inputs, parts, (list) => {
      const once = normalizeUri(list.join(""));
      if (once !== undefined) {
        expect(normalizeUri(once)).toBe(once);
        expect(once).toMatch(/^https?:\/\/[^/?#@\\\s]+\/[^?#\\\s]*$/);
      }
    });
  });
});

test("a duration is what it says, and any other text is a TypeError", async () => {
  const units = {
    s: 1,
    sec: 1,
    minutes: 60,
    m: 60,
    h: 3600,
    days: 86_400,
    w: 604_800,
    y: 31_557_600,
  };
  const good = fc
    .tuple(
      fc.oneof(
        fc.nat(),
        fc.nat(1e6).map((n) => n / 100),
      ),
      fc.constantFrom(...Object.entries(units)),
      fc.constantFrom("", " "),
    )
    .filter(([amount]) => !`${amount}`.includes("e"))
    .map(([amount, [unit, seconds], blank]): [unknown, number | undefined] => [
      `${amount}${blank}${unit}`,
      amount * seconds,
    ]);
  const bad = fc
    .oneof(
      text,
      headerText,
      fc.constantFrom("1", "-1s", "1e3s", "1.s", "Infinity s", `${"9".repeat(400)}s`),
    )
    .filter((value) => !/^\d{1,20}(\.\d+)? ?[a-z]+$/i.test(value))
    .map((value): [unknown, number | undefined] => [value, undefined]);
  await hold(inputs, fc.oneof(good, bad), ([value, seconds]) => {
    if (seconds === undefined) {
      expect(() => parseDuration("maxTokenAge", value)).toThrow(
        new TypeError(
          `maxTokenAge ${JSON.stringify(value)} must be a number of seconds, or text such as "2h"`,
        ),
      );
    } else {
      expect(parseDuration("maxTokenAge", value)).toBe(seconds);
    }
  });
});

test("a challenge holds what it was given, or leaves it out, and nothing else", async () => {
  const value = fc.oneof(
    text,
    headerText,
    token,
    fc.constantFrom('" , Basic realm="x', "a\r\nb: c"),
  );
  await hold(inputs, fc.record({ scope: value, algs: value }), ({ scope, algs }) => {
    // RFC 6750 §3: no quotation marks, no backslash, visible ASCII and spaces
    const isCarried = (given: string) => /^[ -~]+$/.test(given) && !/["\\]/.test(given);
    const bearer = bearerChallenge({ error: "insufficient_scope", scope });
    const dpop = dpopChallenge({ error: "use_dpop_nonce", scope, algs });
    for (const challenge of [bearer, dpop, `${bearer}, ${dpop}`]) {
      expect(isChallenge(challenge)).toBe(true);
      expect(new Headers({ "www-authenticate": challenge }).get("www-authenticate")).toBe(
        challenge,
      );
    }
    expect(
      parseChallenges(`${bearer}, ${dpop}`).map(({ params }) => Object.fromEntries(params)),
    ).toEqual([
      { error: "insufficient_scope", ...(isCarried(scope) && { scope }) },
      {
        error: "use_dpop_nonce",
        ...(isCarried(scope) && { scope }),
        ...(isCarried(algs) && { algs }),
      },
    ]);
  });
});

function isHeaderText(value: string): boolean {
  return [...value].every((char) => char > "\0" && char <= "\u00ff" && !"\r\n".includes(char));
}
