import fc from "fast-check";
import { changed, headerText } from "./change-text.js";

const key = fc.constantFrom("By", "Hash", "Cert", "Chain", "Subject", "DNS", "XURI", "UR");
const uri = fc.constantFrom("URI", "uri", "Uri");

/** A value as Envoy writes it: quoted where it has to be, or anyway. */
function written(value: string, isQuoted: boolean): string {
  return isQuoted || /[",;=]/.test(value) ? `"${value.replace(/(["\\])/g, "\\$1")}"` : value;
}

/** An `x-forwarded-client-cert`, good or bad, of these principals and others. */
export function anyXfcc(principals: readonly string[]): fc.Arbitrary<string> {
  const principal = fc.oneof(
    { weight: 5, arbitrary: fc.constantFrom(...principals) },
    { weight: 1, arbitrary: fc.constantFrom(...principals).chain(changed) },
  );
  const pair = (name: fc.Arbitrary<string>, value: fc.Arbitrary<string>) =>
    fc.tuple(name, value, fc.boolean()).map(([n, v, isQuoted]) => `${n}=${written(v, isQuoted)}`);
  const others = fc.array(pair(key, fc.oneof(headerText, principal)), { maxLength: 2 });
  const element = fc
    .tuple(others, pair(uri, principal), others)
    .map(([before, own, after]) => [...before, own, ...after].join(";"));
  return fc.oneof(
    { weight: 5, arbitrary: element },
    { weight: 2, arbitrary: element.chain(changed) },
    {
      weight: 1,
      arbitrary: fc
        .tuple(element, element, fc.constantFrom(",", ", ", ";", " ", ""))
        .map(([one, two, joiner]) => one + joiner + two),
    },
    { weight: 1, arbitrary: pair(uri, headerText) },
    { weight: 1, arbitrary: headerText },
  );
}

/**
 * The one `URI` of the one element of a header, read character by character.
 * `undefined`: it is malformed, or there are none or several.
 */
export function principalIn(header: string): string | undefined {
  const found: string[] = [];
  let rest = header;
  for (;;) {
    const equals = rest.indexOf("=");
    const name = rest.slice(0, Math.max(equals, 0));
    if (!/^[a-z]+$/i.test(name)) {
      return undefined;
    }
    const value = readValue(rest.slice(equals + 1));
    if (value === undefined) {
      return undefined;
    }
    if (name.toLowerCase() === "uri") {
      found.push(value.text);
    }
    if (value.rest === "") {
      return found.length === 1 ? found[0] : undefined;
    }
    if (!value.rest.startsWith(";")) {
      return undefined; // another element, or what is no XFCC
    }
    rest = value.rest.slice(1);
  }
}

function readValue(given: string): { readonly text: string; readonly rest: string } | undefined {
  if (!given.startsWith('"')) {
    const end = [...given].findIndex((char) => '",;'.includes(char));
    return end < 0
      ? { text: given, rest: "" }
      : { text: given.slice(0, end), rest: given.slice(end) };
  }
  let text = "";
  for (let i = 1; i < given.length; i++) {
    if (given[i] === '"') {
      return { text, rest: given.slice(i + 1) };
    }
    if (given[i] === "\\") {
      i += 1;
    }
    text += given[i] ?? "";
  }
  return undefined;
}
