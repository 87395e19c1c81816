/** One challenge of a `WWW-Authenticate` header (RFC 9110 §11.3). */
export interface Challenge {
  /** In lower case: `bearer`, `dpop`. */
  readonly scheme: string;
  /** Parameters such as `error` and `scope`, names in lower case. */
  readonly params: Readonly<Record<string, string>>;
}

const token = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const quoted = '"(?:[^"\\\\]|\\\\.)*"';

/**
 * The challenges of a `WWW-Authenticate` value, several of them joined by
 * commas included. What does not follow the grammar ends the list.
 */
export function parseChallenges(value: string): Challenge[] {
  const challenges: { scheme: string; params: Record<string, string> }[] = [];
  const next = new RegExp(
    `\\s*,?\\s*(?:(${token})\\s*=\\s*(${quoted}|${token})(?=\\s*(?:,|$))|(${token})(?=[\\s,]|$)(?:\\s+[-._~+/0-9A-Za-z]+=*(?=\\s*(?:,|$)))?)`,
    "sy",
  );
  let match = next.exec(value);
  while (match !== null) {
    const [, name, text, scheme] = match;
    if (scheme !== undefined) {
      challenges.push({ scheme: scheme.toLowerCase(), params: Object.create(null) });
    } else if (name !== undefined && text !== undefined) {
      const last = challenges.at(-1);
      if (last === undefined) {
        break;
      }
      last.params[name.toLowerCase()] = text.startsWith('"')
        ? text.slice(1, -1).replace(/\\(.)/gs, "$1")
        : text;
    }
    match = next.exec(value);
  }
  return challenges;
}
