/** Parameters of a `Bearer` challenge (RFC 6750 §3). */
export interface BearerChallengeParams {
  readonly error?: "invalid_token" | "insufficient_scope";
  /** The scopes that the call needs, separated by spaces. */
  readonly scope?: string;
}

/** The value of `WWW-Authenticate` that asks for a bearer token (RFC 6750 §3). */
export function bearerChallenge(params: BearerChallengeParams = {}): string {
  const list = Object.entries(params)
    // RFC 6750 §3: what `error` and `scope` may hold; nothing else gets into a header
    .filter(([, value]) => /^[\x20\x21\x23-\x5b\x5d-\x7e]+$/.test(value))
    .map(([name, value]) => `${name}="${value}"`);
  return list.length === 0 ? "Bearer" : `Bearer ${list.join(", ")}`;
}
