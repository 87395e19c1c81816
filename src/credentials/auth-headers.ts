import { AuthError } from "../errors.js";
import {
  authorizationHeader,
  dpopHeader,
  gatewaySecretHeader,
  maxCredentialBytes,
  rolesHeader,
  subjectHeader,
} from "../headers.js";
import { type Auth, basicIsForLogin } from "./auth.js";
import { obtain } from "./obtain.js";

/** The request that a credential is presented with. */
export interface HeaderTarget {
  /** The HTTP method on the wire: `GET` where Connect uses it. */
  readonly htm: string;
  readonly url: string;
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
  target: HeaderTarget,
  signal: AbortSignal,
): Promise<AuthHeaders> {
  const headers = staticHeaders(auth);
  // there is one at most: two would use the same header
  const dpop = partsOf(auth).find((part) => part.type === "dpop");
  if (dpop) {
    const { htm, url } = target;
    const request = { htm, htu: url.replace(/[?#].*/s, ""), accessToken: dpop.token };
    const proof = await obtain(signal, () => dpop.prove(request));
    headers.set(dpopHeader, sendable("the DPoP proof", proof));
  }
  return headers;
}

/**
 * The headers of a credential that are the same for each request: all but the
 * DPoP proof. Throws like `buildAuthHeaders`.
 */
export function staticHeaders(auth: Auth): Map<string, string> {
  const headers = new Map<string, string>();
  try {
    for (const [name, value] of headersOf(auth)) {
      const key = checkName(name).toLowerCase();
      if (headers.has(key)) {
        throw invalid(`two credentials use the header "${key}"`);
      }
      headers.set(key, sendable(`the credential for ${key}`, value));
    }
  } catch (error) {
    // a part that is missing, a list that is none
    if (error instanceof AuthError) {
      throw error;
    }
    noCredential();
  }
  return headers;
}

function authorization(scheme: "Bearer" | "DPoP", token: string): string {
  return `${scheme} ${checkToken(token)}`;
}

/** RFC 6265 §4.1.1 for cookies, and enough for RFC 6750 §2.1. A space or a comma would make two tokens of one. */
function checkToken(token: string): string {
  return sendable("the token", token, /^[!#-+\--:<-[\]-~]+$/);
}

/** Throws for what should be a credential, and is not. */
export function noCredential(): never {
  throw invalid("not a credential: make one with Auth.jwt() or its siblings");
}

/**
 * Returns text that can be sent. The form of a header is visible ASCII with
 * spaces between (RFC 9110 §5.5, and what gRPC carries).
 */
function sendable(what: string, text: string, form = /^[!-~](?:[ -~]*[!-~])?$/): string {
  if (typeof text !== "string" || !form.test(text) || text.length > maxCredentialBytes) {
    throw invalid(
      `${what} is ${text ? `over ${maxCredentialBytes} bytes or not plain ASCII` : "empty"}`,
    );
  }
  return text;
}

function partsOf(auth: Auth): readonly Auth[] {
  return auth.type === "all" ? auth.auths.flatMap(partsOf) : [auth];
}

function headersOf(auth: Auth): [string, string][] {
  switch (auth.type) {
    case "jwt":
    case "bearer":
      return [[authorizationHeader, authorization("Bearer", auth.token)]];
    case "dpop":
      return [[authorizationHeader, authorization("DPoP", auth.token)]];
    case "gateway": {
      const headers: [string, string][] = [
        [gatewaySecretHeader, auth.secret],
        [subjectHeader, auth.subject],
      ];
      const roles = asciiJson(auth.roles.map(String));
      return roles === "[]" ? headers : [...headers, [rolesHeader, roles]];
    }
    case "header":
      return [[auth.name, auth.value]];
    case "session": {
      const { token, cookie, header } = auth;
      if (cookie !== undefined) {
        return [["cookie", `${checkName(cookie)}=${checkToken(token)}`]];
      }
      return header !== undefined
        ? [[header, token]]
        : [[authorizationHeader, authorization("Bearer", token)]];
    }
    case "all":
      return auth.auths.flatMap(headersOf);
    case "none":
      return [];
    case "basic":
      throw invalid(basicIsForLogin);
  }
}

/** RFC 9110 §5.6.2, for headers and cookies. It may be a value in the wrong place: it is not shown. */
function checkName(name: string): string {
  return sendable("a header or cookie name", name, /^[\w!#$%&'*+.^`|~-]+$/);
}

/** JSON in which every character is one that a header can carry. */
function asciiJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[^ -~]/g,
    (char) => `\\u${(0x10000 + char.charCodeAt(0)).toString(16).slice(1)}`,
  );
}

function invalid(message: string): AuthError {
  return new AuthError("credentials_invalid", message);
}
