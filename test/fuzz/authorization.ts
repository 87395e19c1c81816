import fc from "fast-check";
import { headerText, trimmed } from "./change-text.js";
import type { Credential } from "./tokens.js";

/** The value of a header that holds a credential, and whose it is if it may be accepted. */
export interface Presented {
  readonly value: string;
  readonly subject: string | undefined;
  /** See `Credential`. */
  readonly good: ReadonlyMap<string, string>;
  /** Pieces that no error may show. */
  readonly secrets: readonly string[];
}

const otherSchemes = [
  "Basic",
  "DPoP",
  "Token",
  "Negotiate",
  "Bearerx",
  "B",
  "",
  "Bearer,",
  "Bearer:",
];
const separators = ["\t", " \t", "", "\u00a0", "\u000b", " , ", "=", " token=", "  \u0001"];

/** `Authorization` with a credential: as it has to be, in another spelling, with others beside it. */
export function authorization(
  credential: fc.Arbitrary<Credential>,
  scheme = "Bearer",
): fc.Arbitrary<Presented> {
  const wellSpelt = fc
    .tuple(casesOf(scheme), fc.integer({ min: 1, max: 3 }), fc.constantFrom("", " ", "\t "))
    .map(
      ([name, spaces, around]) =>
        (text: string) =>
          around + name + " ".repeat(spaces) + text + around,
    );
  const otherwise = fc.oneof(
    fc
      .constantFrom(...otherSchemes.filter((name) => name !== scheme))
      .map((name) => (text: string) => `${name} ${text}`),
    fc.constantFrom(...separators).map((between) => (text: string) => scheme + between + text),
    fc.constantFrom(", ", ",", " ", "\t", ";").chain((joiner) =>
      fc
        .tuple(headerText, fc.boolean(), fc.boolean())
        .map(([other, isFirst, isScheme]) => (text: string) => {
          const second = isScheme ? `${scheme} ${other || text}` : other || text;
          return isFirst
            ? `${second}${joiner}${scheme} ${text}`
            : `${scheme} ${text}${joiner}${second}`;
        }),
    ),
    headerText.map((text) => () => text),
  );
  return fc
    .tuple(
      credential,
      fc.oneof(
        { weight: 2, arbitrary: wellSpelt.map((spell) => ({ spell, isMisspelt: false })) },
        { weight: 1, arbitrary: otherwise.map((spell) => ({ spell, isMisspelt: true })) },
      ),
    )
    .map(([{ text, good }, { spell, isMisspelt }]) => {
      // one thing wrong at a time, or the other one hides it
      const [known = text] = good.keys();
      const value = spell(isMisspelt ? known : text);
      const [, subject] = [...good].find(([known]) => isSpelling(value, scheme, known)) ?? [];
      return { value, subject, good, secrets: secretsIn(value) };
    });
}

/** Whether a value presents a credential: RFC 9110 §11.4 and §5.5: the scheme in any case, one or more spaces, the credential, blanks around. */
export function isSpelling(value: string, scheme: string, text: string): boolean {
  const carried = trimmed(value);
  const name = carried.slice(0, scheme.length).toLowerCase();
  const rest = carried.slice(scheme.length);
  return (
    name === scheme.toLowerCase() &&
    rest.length > text.length &&
    rest === " ".repeat(rest.length - text.length) + text
  );
}

function casesOf(scheme: string): fc.Arbitrary<string> {
  return fc.mixedCase(fc.constant(scheme.toLowerCase()));
}

/** Pieces of a credential that are long enough to be found in no other text. */
export function secretsIn(...values: readonly string[]): string[] {
  return values.flatMap((value) => value.match(/[\w-]{16,}/g) ?? []);
}
