import { type CryptoKey, SignJWT } from "jose";

/** The claims of a test token. One that is `undefined` is left out. */
export type TestClaims = Readonly<Record<string, unknown>>;

/** What all test tokens can be given. These options count more than claims of the same meaning. */
export interface TestTokenOptions {
  /**
   * How long the token is valid: seconds, or text such as `2h`. Below zero, as
   * in `-1m`, it has expired. Default: `1h`, unless the claims have an `exp`.
   */
  readonly expiresIn?: number | string;
  /** For whom the token is: `aud`. Default: that of the claims. */
  readonly audience?: string | readonly string[];
}

/** How claims become a token. */
export interface SignOptions {
  readonly key: CryptoKey | Uint8Array;
  readonly header: { readonly alg: string; readonly kid?: string; readonly typ: string };
  readonly expiresIn: number | string | undefined;
}

/**
 * A signed token with these claims, issued now (`iat`). Throws `TypeError` for
 * an `expiresIn` that is no time.
 */
export async function signClaims(
  claims: TestClaims,
  { key, header, expiresIn }: SignOptions,
): Promise<string> {
  const nowSeconds = Math.floor(Date.now() / 1000);
  const jwt = new SignJWT({ iat: nowSeconds, ...claims }).setProtectedHeader(header);
  if (expiresIn !== undefined || !Object.hasOwn(claims, "exp")) {
    setExpiry(jwt, expiresIn ?? "1h", nowSeconds);
  }
  return jwt.sign(key);
}

/** Throws `TypeError` for what are no claims. */
export function checkClaims(what: string, claims: TestClaims): void {
  if (typeof claims !== "object" || claims === null || Array.isArray(claims)) {
    throw new TypeError(`${what} must be an object of claims, such as { sub: "alice" }`);
  }
}

function setExpiry(jwt: SignJWT, expiresIn: number | string, nowSeconds: number): void {
  try {
    jwt.setExpirationTime(typeof expiresIn === "number" ? nowSeconds + expiresIn : `${expiresIn}`);
  } catch {
    const shown = typeof expiresIn === "string" ? JSON.stringify(expiresIn) : String(expiresIn);
    throw new TypeError(`expiresIn ${shown} must be a number of seconds, or text such as "2h"`);
  }
}
