import { wwwAuthenticateHeader } from "../headers.js";

/** One challenge of a `WWW-Authenticate` header (RFC 9110 §11.3). */
export interface Challenge {
  /** In lower case: `bearer`, `dpop`. */
  readonly scheme: string;
  /** Parameters such as `error` and `scope`, names in lower case. */
  readonly params: ReadonlyMap<string, string>;
}

/** A parameter, its value quoted or not, or the scheme that begins the next challenge. */
const item = /[\s,]*([\w-]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s",]+))|(?=[\s,]|$))/gy;

/**
 * The challenges of a `WWW-Authenticate` value, several of them joined by
 * commas included. What does not follow the grammar ends the list. The token68
 * form is not read, `Bearer` and `DPoP` do not use it.
 */
export function parseChallenges(value: string): Challenge[] {
  const challenges: Challenge[] = [];
  let params = new Map<string, string>();
  for (const [, name = "", quoted, plain] of value.matchAll(item)) {
    const text = plain ?? quoted?.replace(/\\(.)/g, "$1");
    if (text === undefined) {
      params = new Map();
      challenges.push({ scheme: name.toLowerCase(), params });
    } else {
      params.set(name.toLowerCase(), text);
    }
  }
  return challenges;
}

/** The challenge of an answer: of several the one that says what is wrong, with this scheme if possible. */
export function readChallenge(header: Headers, scheme = "bearer"): Challenge | undefined {
  const challenges = parseChallenges(header.get(wwwAuthenticateHeader) ?? "");
  const wrong = challenges.filter(({ params }) => params.has("error"));
  return wrong.find((challenge) => challenge.scheme === scheme) ?? wrong[0] ?? challenges[0];
}

/**
 * The scopes that a token lacks, where a server names them: `insufficient_scope`,
 * RFC 6750 §3.1. What is no scope-token (RFC 6749 §3.3) is left out.
 */
export function missingScopes(challenge: Challenge | undefined): string[] | undefined {
  const isLacking = challenge?.params.get("error") === "insufficient_scope";
  return (isLacking && challenge.params.get("scope")?.match(/[!#-[\]-~]+/g)) || undefined;
}
