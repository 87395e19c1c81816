import type { Auth } from "../credentials/auth.js";
import { buildAuthHeaders } from "../credentials/auth-headers.js";
import { isAuthError } from "../errors.js";

/** What a caller presents: a credential of `Auth`, or the headers as they are. */
export type CallerCredentials = Auth | Headers | Readonly<Record<string, string>>;

/** The call that credentials are presented with. */
export interface CallTarget {
  readonly url: string;
  /** The DPoP nonce that the server asked for. */
  readonly nonce?: string | null;
}

/**
 * The headers of a caller. `option` says where the credentials are from: what
 * cannot be sent is a `TypeError` that names it, and shows no value.
 */
export async function headersOf(
  option: string,
  credentials: CallerCredentials,
  { url, nonce }: CallTarget,
): Promise<Headers> {
  try {
    if (!isAuth(credentials)) {
      return new Headers(credentials);
    }
    const { signal } = new AbortController();
    return new Headers([
      ...(await buildAuthHeaders(credentials, { htm: "POST", url, nonce }, signal)),
    ]);
  } catch (error) {
    // others show the value that cannot be sent
    const problem = isAuthError(error) ? error.message : "must give an Auth, or headers";
    throw new TypeError(`${option}: ${problem}`);
  }
}

function isAuth(credentials: CallerCredentials): credentials is Auth {
  return !(credentials instanceof Headers) && "type" in credentials;
}
