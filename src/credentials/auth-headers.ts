import { AuthError } from "../errors.js";
import {
  asciiJson,
  authorizationHeader,
  dpopHeader,
  gatewaySecretHeader,
  maxCredentialBytes,
  rolesHeader,
  subjectHeader,
} from "../headers.js";
import { type Auth, basicIsForLogin, type DpopAuth } from "./auth.js";
import { obtain } from "./obtain.js";

/** The request that a credential is presented with. */
export interface HeaderTarget {
  /** The HTTP method on the wire: `GET` where Connect uses it. */
  readonly htm: string;
  readonly url: string;
  /** The DPoP nonce that the server answered the last attempt with. */
  readonly nonce?: string | null | undefined;
}

/** Names in lower case, and values. */
export type AuthHeaders = ReadonlyMap<string, string>;

/**
 * The headers that present a credential. Throws `AuthError`
 * (`credentials_invalid`) where a value is empty, above 8 KiB or not sendable,
 * where two credentials need the same header, for `basic`, and for what is no
 * credential. Messages show no value.
 */
export async function buildAuthHeaders(
  auth: Auth,
  { htm, url, nonce }: HeaderTarget,
  signal: AbortSignal,
): Promise<AuthHeaders> {
  const { headers, dpop } = prepare(auth);
  if (!dpop) {
    return headers;
  }
  const request = {
    htm,
    htu: url.replace(/[?#].*/s, ""),
    accessToken: dpop.token,
    ...(nonce && { nonce }),
  };
  const proof = await obtain(signal, () => dpop.prove(request));
  return new Map([...headers, [dpopHeader, sendable("the DPoP proof", proof)]]);
}

/**
 * The headers of a credential that are the same for each request: all but the
 * DPoP proof. Throws like `buildAuthHeaders`.
 */
export function staticHeaders(auth: Auth): AuthHeaders {
  return prepare(auth).headers;
}

/** The part of a credential that needs a proof for each request. */
export function dpopOf(auth: Auth): DpopAuth | undefined {
  return prepare(auth).dpop;
}

interface Prepared {
  readonly headers: AuthHeaders;
  readonly dpop: DpopAuth | undefined;
}

/** A credential is sent with many calls, and made ready once. */
const prepared = /*@__PURE__*/ new WeakMap<Auth, Prepared>();

function prepare(auth: Auth): Prepared {
  let result = prepared.get(auth);
  if (!result) {
    const headers = new Map<string, string>();
    let dpop: DpopAuth | undefined;
    const set = (name: string, value: string) => {
      if (headers.has(name)) {
        throw invalid(`two credentials use the header "${name}"`);
      }
      headers.set(name, value);
    };
    const setText = (name: string, value: string) =>
      set(checkName(name).toLowerCase(), sendable(`the credential for ${name}`, value));
    const setToken = (prefix: string, token: string, name = authorizationHeader) =>
      set(name, prefix + sendable("the token", token, noToken));
    const add = (part: Auth) => {
      switch (part.type) {
        case "jwt":
        case "bearer":
          return setToken("Bearer ", part.token);
        case "dpop":
          dpop = part;
          return setToken("DPoP ", part.token);
        case "gateway": {
          setText(gatewaySecretHeader, part.secret);
          setText(subjectHeader, part.subject);
          const roles = part.roles.map(String);
          return roles.length > 0 && setText(rolesHeader, asciiJson(roles));
        }
        case "header":
          return setText(part.name, part.value);
        case "session":
          if (part.cookie !== undefined) {
            return setToken(`${checkName(part.cookie)}=`, part.token, "cookie");
          }
          return part.header === undefined
            ? setToken("Bearer ", part.token)
            : setText(part.header, part.token);
        case "all":
          return part.auths.forEach(add);
        case "none":
          return;
        case "basic":
          throw invalid(basicIsForLogin);
        default:
          return noCredential();
      }
    };
    try {
      add(auth);
    } catch (error) {
      // a part that is missing, a list that is none
      throw error instanceof AuthError ? error : noCredential();
    }
    result = { headers, dpop };
    prepared.set(auth, result);
  }
  return result;
}

/** Throws for what should be a credential, and is not. */
export function noCredential(): never {
  throw invalid("not a credential, such as Auth.jwt(token)");
}

/**
 * Returns text that can be sent, in which nothing is `wrong`. The form of a
 * header is visible ASCII with spaces between (RFC 9110 §5.5, and what gRPC carries).
 */
function sendable(what: string, text: string, wrong = /^ | $/): string {
  if (
    typeof text !== "string" ||
    !/^[ -~]+$/.test(text) ||
    wrong.test(text) ||
    text.length > maxCredentialBytes
  ) {
    throw invalid(
      `${what} is ${text ? `over ${maxCredentialBytes} bytes or has a wrong character` : "empty"}`,
    );
  }
  return text;
}

/** RFC 6265 §4.1.1 for cookies, and enough for RFC 6750 §2.1. A space or a comma would make two tokens of one. */
const noToken = /[ ",;\\]/;

/** RFC 9110 §5.6.2, for headers and cookies. It may be a value in the wrong place: it is not shown. */
function checkName(name: string): string {
  return sendable("a header or cookie name", name, /[ "(),/:-@[-\]{}]/);
}

function invalid(message: string): AuthError {
  return new AuthError("credentials_invalid", message);
}
