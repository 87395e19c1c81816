/**
 * An http URI without query and fragment, in the one form that RFC 3986 §6.2.2
 * and §6.2.3 give it. `undefined` for anything else.
 */
export function normalizeUri(uri: unknown): string | undefined {
  // a URL parser repairs what RFC 3986 has no place for; user information is of no origin
  if (
    typeof uri !== "string" ||
    !/^https?:\/\/[\w.~!$&'()*+;=:[\]%-]+(?:[/?#][\w.~!$&'()*+,;=:@/?#[\]%-]*)?$/i.test(uri) ||
    !URL.canParse(uri)
  ) {
    return undefined;
  }
  const { origin, pathname } = new URL(uri);
  return origin + normalizePath(pathname);
}

/**
 * The path of a parsed URL in that form: percent-encodings in capitals, and
 * none of what needs none. A URL parser does the rest.
 */
export function normalizePath(pathname: string): string {
  return pathname.replace(/%([0-9a-f]{2})/gi, (encoded, hex) => {
    const char = String.fromCharCode(Number.parseInt(hex, 16));
    return /[\w.~-]/.test(char) ? char : encoded.toUpperCase();
  });
}
