import { AuthError } from "../errors.js";
import {
  AUTH_HEADERS,
  authorizationHeader,
  dpopHeader,
  gatewaySecretHeader,
  maxCredentialBytes,
} from "../headers.js";
import { type Auth, basicIsForLogin, type DpopAuth, type GatewayAuth } from "./auth.js";

/** The request that a credential is presented with. */
export interface HeaderTarget {
  /** The HTTP method on the wire: `GET` where Connect uses it. */
  readonly httpMethod: string;
  readonly url: string;
}

/** Names in lower case, and values. */
export type AuthHeaders = ReadonlyMap<string, string>;

/**
 * The headers that present a credential. Throws `AuthError`
 * (`credentials_invalid`) where a value is empty, above 8 KiB or not sendable,
 * where two credentials need the same header, and for `basic`. Messages name
 * the header, never the value.
 */
export async function buildAuthHeaders(auth: Auth, target: HeaderTarget): Promise<AuthHeaders> {
  const headers = staticHeaders(auth);
  for (const part of partsOf(auth)) {
    if (part.type === "dpop") {
      const htu = target.url.replace(/[?#].*$/s, "");
      setHeader(headers, dpopHeader, await proofOf(part, target.httpMethod, htu));
    }
  }
  return headers;
}

async function proofOf(auth: DpopAuth, htm: string, htu: string): Promise<string> {
  try {
    return await auth.prove({ htm, htu, accessToken: auth.token });
  } catch (cause) {
    throw new AuthError("credentials_failed", "the DPoP proof could not be made", { cause });
  }
}

/**
 * The headers of a credential that are the same for each request: all but the
 * DPoP proof. Throws like `buildAuthHeaders`.
 */
export function staticHeaders(auth: Auth): Map<string, string> {
  const headers = new Map<string, string>();
  for (const part of partsOf(auth)) {
    for (const [name, value] of headersOf(part)) {
      setHeader(headers, name, value);
    }
  }
  return headers;
}

/** The headers of the gateway contract. Without roles there is no `x-auth-roles`. */
export function gatewayHeaders(auth: Omit<GatewayAuth, "type">): Map<string, string> {
  const headers = new Map<string, string>();
  setHeader(headers, gatewaySecretHeader, auth.secret);
  setHeader(headers, AUTH_HEADERS.SUBJECT, auth.subject);
  if (auth.roles.length > 0) {
    setHeader(headers, AUTH_HEADERS.ROLES, asciiJson(auth.roles));
  }
  return headers;
}

/** The value of an `Authorization: Bearer` header. Throws like `buildAuthHeaders`. */
export function bearerHeader(token: string): string {
  return checkValue(authorizationHeader, `Bearer ${checkToken(token)}`);
}

function partsOf(auth: Auth): readonly Auth[] {
  return auth?.type === "all" ? auth.auths.flatMap(partsOf) : [auth];
}

function headersOf(auth: Auth): Iterable<[string, string]> {
  switch (auth?.type) {
    case "jwt":
    case "bearer":
      return [[authorizationHeader, `Bearer ${checkToken(auth.token)}`]];
    case "dpop":
      return [[authorizationHeader, `DPoP ${checkToken(auth.token)}`]];
    case "gateway":
      return gatewayHeaders(auth);
    case "header":
      return [[auth.name, auth.value]];
    case "session":
      if (auth.cookie !== undefined) {
        return [["cookie", cookiePair(auth.cookie, auth.token)]];
      }
      return auth.header !== undefined
        ? [[auth.header, auth.token]]
        : [[authorizationHeader, `Bearer ${checkToken(auth.token)}`]];
    case "none":
      return [];
    case "basic":
      throw invalid(basicIsForLogin);
    default:
      throw invalid(
        `not a credential: ${describe(auth)}; make one with Auth.jwt() or its siblings`,
      );
  }
}

function setHeader(headers: Map<string, string>, name: string, value: string): void {
  const key = checkName(name, "header name (RFC 9110 §5.1)").toLowerCase();
  if (headers.has(key)) {
    throw invalid(`two credentials use the header "${key}"`);
  }
  headers.set(key, checkValue(key, value));
}

function checkValue(key: string, value: string): string {
  const what = `the credential for the header "${key}"`;
  // RFC 9110 §5.5; gRPC carries no more than visible ASCII and space either.
  check(what, value, /^[!-~](?:[ -~]*[!-~])?$/, "a header cannot carry");
  if (value.length > maxCredentialBytes) {
    throw invalid(`${what} has ${value.length} bytes, the bound is ${maxCredentialBytes}`);
  }
  return value;
}

/** A comma or a space would make two credentials of one where headers are joined. */
function checkToken(token: string): string {
  return check("the token", token, /^[!-+\--~]+$/, "a token cannot have");
}

/** RFC 6265 §4.1.1. */
function cookiePair(name: string, value: string): string {
  checkName(name, "cookie name (RFC 6265 §4.1.1)");
  const what = `the credential for the cookie "${name}"`;
  return `${name}=${check(what, value, /^[!#-+\--:<-[\]-~]+$/, "a cookie cannot carry")}`;
}

function check(what: string, value: string, form: RegExp, cannot: string): string {
  if (typeof value !== "string" || value === "") {
    throw invalid(`${what} is ${describe(value)}`);
  }
  if (!form.test(value)) {
    throw invalid(`${what} has a character that ${cannot}`);
  }
  return value;
}

function checkName(name: string, what: string): string {
  if (!/^[!#$%&'*+.^_`|~0-9a-z-]+$/i.test(name)) {
    throw invalid(`${JSON.stringify(name)} is not a ${what}`);
  }
  return String(name);
}

/** JSON in which every character is one that a header can carry. */
function asciiJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[\x7f-\uffff]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** Says what a wrong value is without showing it. */
function describe(value: unknown): string {
  if (value === "") {
    return "empty";
  }
  if (value === null || value === undefined) {
    return String(value);
  }
  return typeof value === "object" ? "an object of an unknown type" : `a ${typeof value}`;
}

function invalid(message: string): AuthError {
  return new AuthError("credentials_invalid", message);
}
