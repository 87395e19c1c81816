import fc from "fast-check";

const base64url = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/** All that a header can carry: no NUL, no line breaks, nothing beyond Latin-1. */
export const headerChar: fc.Arbitrary<string> = fc
  .integer({ min: 1, max: 255 })
  .filter((code) => code !== 10 && code !== 13)
  .map((code) => String.fromCharCode(code));

/** The value of a header: characters of any kind, and some that mean something. */
export const headerText: fc.Arbitrary<string> = fc.string({
  unit: fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom(...base64url) },
    { weight: 2, arbitrary: fc.constantFrom(...' \t.,;=:"\\/%{}[]()<>@?&#') },
    { weight: 2, arbitrary: headerChar },
  ),
  maxLength: 80,
});

/** Makes another text of one. */
export type Change = (text: string) => string;

/** A place in a text whose length is not known yet. */
const place = fc.nat(100_000);

function at(text: string, n: number): number {
  return n % (text.length + 1);
}

const insertion = fc.oneof(
  headerChar,
  fc.constantFrom(" ", "\t", ",", ", ", ";", "=", "==", ".", "%00", "%2e", "\\", '"', "Bearer "),
);

const change: fc.Arbitrary<Change> = fc.oneof(
  // another character
  fc.tuple(place, headerChar).map(([n, char]): Change => {
    return (text) => splice(text, at(text, n), 1, char);
  }),
  fc.tuple(place, insertion).map(([n, inserted]): Change => {
    return (text) => splice(text, at(text, n), 0, inserted);
  }),
  // a piece left out, or there twice
  fc.tuple(place, place, fc.boolean()).map(([n, m, isRepeated]): Change => {
    return (text) => {
      const [start = 0, end = 0] = [at(text, n), at(text, m)].sort((a, b) => a - b);
      return splice(text, start, isRepeated ? 0 : end - start, text.slice(start, end));
    };
  }),
  // a beginning or an end
  fc.tuple(place, fc.boolean()).map(([n, isEnd]): Change => {
    return (text) => (isEnd ? text.slice(at(text, n)) : text.slice(0, at(text, n)));
  }),
  insertion.map(
    (inserted): Change =>
      (text) =>
        text + inserted,
  ),
  insertion.map(
    (inserted): Change =>
      (text) =>
        inserted + text,
  ),
  place.map((n): Change => {
    return (text) => {
      const i = at(text, n);
      const char = text.charAt(i);
      const other = char === char.toLowerCase() ? char.toUpperCase() : char.toLowerCase();
      return splice(text, i, 1, other.length === 1 && other <= "\u00ff" ? other : "X");
    };
  }),
  // two segments in each other's place
  fc.tuple(place, place).map(([n, m]): Change => {
    return (text) => {
      const segments = text.split(".");
      const [i, j] = [n % segments.length, m % segments.length];
      return segments.map((_, k) => segments[k === i ? j : k === j ? i : k]).join(".");
    };
  }),
  // the last character of a segment, with bits that do not count
  place.map((n): Change => {
    return (text) => {
      const segments = text.split(".");
      const i = n % segments.length;
      const segment = segments[i] ?? "";
      const last = base64url.indexOf(segment.slice(-1));
      segments[i] = segment.slice(0, -1) + (base64url[last ^ 1] ?? "");
      return segments.join(".");
    };
  }),
  fc.constantFrom(".", ",", ", ", " ", "", ";").map(
    (joiner): Change =>
      (text) =>
        text + joiner + text,
  ),
  fc.constant<Change>((text) => text.replaceAll("-", "+").replaceAll("_", "/")),
  fc.constant<Change>((text) => encodeURIComponent(text)),
  fc.constant<Change>((text) => `"${text}"`),
  fc.constant<Change>((text) => Buffer.from(text, "latin1").toString("base64")),
  fc.constant<Change>((text) => text.toLowerCase()),
  fc.constant<Change>((text) => [...text].reverse().join("")),
);

/** One to three changes. A text may come out the same. */
export const textChange: fc.Arbitrary<Change> = fc
  .array(change, { minLength: 1, maxLength: 3 })
  .map((changes) => (text) => changes.reduce((result, apply) => apply(result), text));

/** A text after one to three changes. */
export function changed(text: string): fc.Arbitrary<string> {
  return textChange.map((apply) => apply(text));
}

/** A value as `Headers` has it: without blanks around it (RFC 9110 §5.5). */
export function trimmed(value: string): string {
  return value.replace(/^[ \t]+|[ \t]+$/g, "");
}

function splice(text: string, start: number, length: number, inserted: string): string {
  return text.slice(0, start) + inserted + text.slice(start + length);
}
