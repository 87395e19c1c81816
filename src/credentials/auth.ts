import { AuthError } from "../errors.js";

/** A JSON Web Token, sent as `Authorization: Bearer`. */
export interface JwtAuth {
  readonly type: "jwt";
  readonly token: string;
  /** When the token stops being valid. Left out: unknown, or in its `exp` claim. */
  readonly expiresAt?: Date | undefined;
}

/** An opaque token, sent as `Authorization: Bearer` (RFC 6750 §2.1). */
export interface BearerAuth {
  readonly type: "bearer";
  readonly token: string;
  /** When the token stops being valid. Left out: unknown. */
  readonly expiresAt?: Date | undefined;
}

/** A user name and password. Never sent with a call: exchange it for a token. */
export interface BasicAuth {
  readonly type: "basic";
  readonly user: string;
  readonly password: string;
}

/** An identity that a trusted service asserts, with the secret that proves the trust. */
export interface GatewayAuth {
  readonly type: "gateway";
  readonly secret: string;
  readonly subject: string;
  readonly roles: readonly string[];
}

/** A credential in a header of its own, such as an API key. */
export interface HeaderAuth {
  readonly type: "header";
  /** The header's name, in lower case. */
  readonly name: string;
  readonly value: string;
}

/** A session token, in a cookie, a header, or as `Authorization: Bearer`. */
export interface SessionAuth {
  readonly type: "session";
  readonly token: string;
  /** The cookie that holds the token. Browsers do not let code set it. */
  readonly cookie?: string | undefined;
  /** The header that holds the token. */
  readonly header?: string | undefined;
}

/** A token bound to a key, sent as `Authorization: DPoP` with a fresh proof (RFC 9449). */
export interface DpopAuth {
  readonly type: "dpop";
  readonly token: string;
  readonly prove: DpopProver;
  /** When the token stops being valid. Left out: unknown. */
  readonly expiresAt?: Date | undefined;
  /**
   * Is told after each answer which nonce the server wants next (RFC 9449 §8.2),
   * or `null` if it said nothing of that.
   */
  readonly onNonce?: ((nonce: string | null, url: string) => void) | undefined;
}

/** Makes the DPoP proof for one request. */
export type DpopProver = (request: DpopProofRequest) => string | Promise<string>;

/** The request that a DPoP proof is for (RFC 9449 §4.2). */
export interface DpopProofRequest {
  /** HTTP method. */
  htm: string;
  /** URL without query and fragment. */
  htu: string;
  accessToken: string;
  /** The nonce that the server asked for. */
  nonce?: string;
}

/** Several credentials that travel together, such as a bearer token and an API key. */
export interface AllAuth {
  readonly type: "all";
  readonly auths: readonly Auth[];
}

/** No credential, on purpose. */
export interface NoneAuth {
  readonly type: "none";
}

/**
 * What a client presents with a call. Plain data; `Auth.jwt` and the others
 * make it. It is checked when it is first sent: make another one instead of
 * changing it.
 */
export type Auth =
  | JwtAuth
  | BearerAuth
  | BasicAuth
  | GatewayAuth
  | HeaderAuth
  | SessionAuth
  | DpopAuth
  | AllAuth
  | NoneAuth;

/** Where a session token goes. Neither: `Authorization: Bearer`. */
export type SessionPlace =
  | { readonly cookie?: string | undefined; readonly header?: undefined }
  | { readonly header?: string | undefined; readonly cookie?: undefined };

/**
 * Constructors of `Auth`. What they make is plain data that shows no secret in
 * `JSON.stringify` and `util.inspect`. Whether a value can be sent is checked
 * when it is about to be.
 */
export const Auth = {
  /** `Authorization: Bearer` with a JSON Web Token. */
  jwt(token: string, options?: { readonly expiresAt?: Date | undefined }): JwtAuth {
    return conceal({ type: "jwt", token, ...options });
  },

  /** `Authorization: Bearer` with an opaque token. */
  bearer(token: string, options?: { readonly expiresAt?: Date | undefined }): BearerAuth {
    return conceal({ type: "bearer", token, ...options });
  },

  /** A user name and password, to log in with. No call ever carries them. */
  basic(user: string, password: string): BasicAuth {
    return conceal({ type: "basic", user, password });
  },

  /** The header contract of a gateway: `x-gateway-secret`, `x-auth-subject`, `x-auth-roles`. */
  gateway({
    secret,
    subject,
    roles = [],
  }: {
    readonly secret: string;
    readonly subject: string;
    /** Left out: no roles. */
    readonly roles?: readonly string[] | undefined;
  }): GatewayAuth {
    return conceal({ type: "gateway", secret, subject, roles });
  },

  /** A header of its own: `Auth.header("x-api-key", key)`. */
  header(name: string, value: string): HeaderAuth {
    return conceal({ type: "header", name, value });
  },

  /** A session token: as `Authorization: Bearer`, or in the named cookie or header. */
  session(token: string, place?: SessionPlace): SessionAuth {
    return conceal({ type: "session", token, ...place });
  },

  /**
   * `Authorization: DPoP`, with a proof for each request (RFC 9449 §7.1).
   * `prove` makes the proof.
   */
  dpop(
    token: string,
    prove: DpopProver,
    options?: Pick<DpopAuth, "expiresAt" | "onNonce">,
  ): DpopAuth {
    return conceal({ type: "dpop", token, prove, ...options });
  },

  /** Several credentials at once. No two of them may use the same header. */
  all(...auths: Auth[]): AllAuth {
    return conceal({ type: "all", auths });
  },

  /** No credential: for a single call that shall go without. */
  none(): NoneAuth {
    return { type: "none" };
  },
};

/** Why a user name and password are not sent with calls. */
export const basicIsForLogin = "a password is for passwordLogin()";

/** Whether a credential is a user name and password. */
export function isBasicAuth(auth: Auth): auth is BasicAuth {
  return auth.type === "basic";
}

/** Whether a credential is a JSON Web Token. */
export function isJwtAuth(auth: Auth): auth is JwtAuth {
  return auth.type === "jwt";
}

/**
 * Whether a credential presents somebody: none at all does not, nor `none`, nor
 * several of those. A password does, though it has yet to be exchanged.
 */
export function isAuthenticated(auth: Auth | undefined): boolean {
  return auth?.type === "all"
    ? auth.auths.some(isAuthenticated)
    : (auth?.type ?? "none") !== "none";
}

/**
 * The value of the `Authorization` header for a token: `Bearer <token>`.
 *
 * Throws `AuthError` (`credentials_invalid`) for a credential that has no such
 * value: `basic` is only for a login, `dpop` needs a proof beside it, `gateway`
 * and `header` use headers of their own.
 */
export function buildAuthHeader(auth: Auth): string {
  switch (auth.type) {
    case "jwt":
    case "bearer":
      return `Bearer ${auth.token}`;
    case "session":
      if (auth.cookie === undefined && auth.header === undefined) {
        return `Bearer ${auth.token}`;
      }
      break;
    case "basic":
      throw new AuthError("credentials_invalid", basicIsForLogin);
  }
  throw new AuthError(
    "credentials_invalid",
    `a credential of type "${auth.type}" is not an Authorization header by itself`,
  );
}

/**
 * Hides all but the type from `JSON.stringify` and `util.inspect`. The object
 * stays plain data: what is added is not enumerable, and what is `undefined` is
 * left out, so that it can be compared.
 */
function conceal<A extends Auth>(auth: A): A {
  for (const name in auth) {
    if (auth[name] === undefined) {
      Reflect.deleteProperty(auth, name);
    }
  }
  return Object.defineProperties(auth, {
    toJSON: shown,
    [Symbol.for("nodejs.util.inspect.custom")]: shown,
  });
}

const shown = {
  value(this: Auth) {
    return { type: this.type };
  },
};
