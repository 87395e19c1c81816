/** Parameters of a `Bearer` challenge (RFC 6750 §3). */
export interface BearerChallengeParams {
  readonly error?: "invalid_token" | "insufficient_scope";
  /** The scopes that the call needs, separated by spaces. */
  readonly scope?: string;
}

/** The value of `WWW-Authenticate` that asks for a bearer token (RFC 6750 §3). */
export function bearerChallenge(params: BearerChallengeParams = {}): string {
  return writeChallenge("Bearer", params);
}

/** Parameters of a `DPoP` challenge (RFC 9449 §7.1). */
export interface DpopChallengeParams {
  readonly error?: "invalid_token" | "insufficient_scope" | "invalid_dpop_proof" | "use_dpop_nonce";
  /** The scopes that the call needs, separated by spaces. */
  readonly scope?: string;
  /** The signature algorithms of proofs, separated by spaces. */
  readonly algs?: string;
}

/** The value of `WWW-Authenticate` that asks for a token with a proof (RFC 9449 §7.1). */
export function dpopChallenge(params: DpopChallengeParams): string {
  return writeChallenge("DPoP", params);
}

function writeChallenge(scheme: string, params: object): string {
  const list = Object.entries(params)
    // RFC 6750 §3: what `error` and `scope` may hold; nothing else gets into a header
    .filter(([, value]) => /^[\x20\x21\x23-\x5b\x5d-\x7e]+$/.test(value))
    .map(([name, value]) => `${name}="${value}"`);
  return list.length === 0 ? scheme : `${scheme} ${list.join(", ")}`;
}
