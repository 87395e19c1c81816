import { AuthError } from "../errors.js";
import { Auth, type BearerAuth, type JwtAuth } from "./auth.js";
import { staticHeaders } from "./auth-headers.js";
import { lifetimeOf } from "./token-lifetime.js";

/** What a login, or a refresh, answers (RFC 6749 §5.1). */
export interface LoginResult {
  readonly access_token: string;
  /** Gets the next token, where `passwordLogin` has `refresh`. Left out or empty: there is none, or the one in use stays. */
  readonly refresh_token?: string | undefined;
  /** How many seconds the token lives. Left out: see `expires_at`. */
  readonly expires_in?: number | undefined;
  /**
   * When the token expires: in seconds since the epoch, as text (RFC 3339), or as
   * a `Date`. Left out: by the `exp` of a JWT, else after 5 minutes.
   */
  readonly expires_at?: number | string | Date | undefined;
  /** `Bearer`, in any case. Left out or empty: the same. */
  readonly token_type?: string | undefined;
}

/** What came of a login or a refresh. */
export type Exchanged =
  | { readonly auth: Auth; readonly result: LoginResult }
  /** A token that cannot be used. The refresh token beside it may be the only valid one. */
  | {
      readonly error: unknown;
      readonly refreshToken: string;
      readonly result: LoginResult | undefined;
    };

/** Reads an answer that was asked for at `start`. Throws `AuthError`, which shows none of it. */
export function readExchanged(answer: unknown, start: number): Exchanged {
  const result = isLoginResult(answer) ? answer : undefined;
  try {
    if (!result) {
      throw failed("without an access_token");
    }
    return { auth: authOfResult(result, start), result };
  } catch (error) {
    const { refresh_token: refreshToken }: { readonly refresh_token?: unknown } = Object(answer);
    if (typeof refreshToken !== "string" || !refreshToken) {
      throw error;
    }
    return { error, refreshToken, result };
  }
}

/** The credential of a result that was asked for at `start`. Throws `AuthError`. */
function authOfResult(result: LoginResult, start: number): JwtAuth | BearerAuth {
  const { access_token: token, token_type } = result;
  if (token_type && !/^bearer$/i.test(token_type)) {
    throw failed("with a token of another type than Bearer");
  }
  const kind = /^[\w-]+\.[\w-]+\.[\w-]+$/.test(token) ? Auth.jwt : Auth.bearer;
  const auth = kind(token, { expiresAt: expiryOf(result, start) });
  staticHeaders(auth); // throws for what could not be sent
  if (!(lifetimeOf(auth, start) > 0)) {
    throw new AuthError("credentials_failed", "the token had expired when it came");
  }
  return auth;
}

function isLoginResult(value: unknown): value is LoginResult {
  const result: Partial<Record<keyof LoginResult, unknown>> = Object(value);
  const isText = (text: unknown) => typeof text === "string";
  return (
    isText(result.access_token) &&
    result.access_token !== "" &&
    isText(result.refresh_token ?? "") &&
    isText(result.token_type ?? "")
  );
}

/** A date that is far away is cut, so that a `Date` can hold it. */
const maxLifetimeMs = 10 * 365 * 86_400_000;

function expiryOf({ expires_in, expires_at }: LoginResult, start: number): Date | undefined {
  // as it comes from a server, it may be digits
  const given: unknown = expires_in ?? undefined;
  let end: number;
  if (given !== undefined) {
    const seconds = typeof given === "string" && /^\d+$/.test(given) ? Number(given) : given;
    end = typeof seconds === "number" ? start + seconds * 1000 : Number.NaN;
  } else if (expires_at === undefined || expires_at === null) {
    return undefined;
  } else if (typeof expires_at === "number") {
    end = expires_at * 1000;
  } else {
    end = new Date(expires_at).getTime();
  }
  if (Number.isNaN(end)) {
    throw failed("with an expires_in or expires_at that is none");
  }
  return new Date(Math.min(end, start + maxLifetimeMs));
}

function failed(how: string): AuthError {
  return new AuthError("credentials_failed", `the login answered ${how}`);
}
