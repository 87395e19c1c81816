/** One proxy's part of an XFCC header: its pairs in order, with keys in lower case. A key may be there several times. */
export type XfccElement = readonly (readonly [key: string, value: string])[];

/**
 * Reads an `x-forwarded-client-cert` header, as Envoy writes it: elements
 * separated by commas, pairs by semicolons, values in quotation marks where
 * they have one of these, and `\` before a quotation mark in a value.
 * `undefined`: it is malformed.
 */
export function parseXfcc(header: string): XfccElement[] | undefined {
  const pair = /([A-Za-z]+)=("(?:[^"\\]|\\.)*"|[^",;]*)(;|, *|$)/y;
  const elements: [string, string][][] = [];
  let element: [string, string][] = [];
  for (;;) {
    const [, key, value = "", end] = pair.exec(header) ?? [];
    if (key === undefined) {
      return undefined;
    }
    element.push([key.toLowerCase(), unquote(value)]);
    if (end !== ";") {
      elements.push(element);
      element = [];
    }
    if (end === "") {
      return elements;
    }
  }
}

function unquote(value: string): string {
  return value.startsWith('"') ? value.slice(1, -1).replace(/\\(.)/g, "$1") : value;
}
