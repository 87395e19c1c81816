import { authorizationHeader, maxCredentialBytes } from "../headers.js";
import { extract, type FindCredential, readBearer } from "./auth-interceptor.js";
import type { Authenticator, IncomingCall } from "./authenticate.js";
import { bearerChallenge } from "./challenge.js";
import { checkOwnHeader, hiddenHeaders } from "./check-header-name.js";
import { createCrossSiteCheck } from "./cross-site.js";
import { checkCookieName, readCookie } from "./read-cookie.js";
import { invalidCredentials } from "./refusal.js";

/** Where the token of a session is. */
export interface SessionTokenOptions {
  /**
   * The name of the cookie that holds the token, whose value is taken as it
   * stands in the header. Default: none is read.
   */
  readonly cookie?: string;
  /**
   * The name of the header that holds the token; handlers do not see it.
   * Together with `cookie`, a call has either. Default: none is read, and where
   * `cookie` is left out, too, the token of `Authorization: Bearer`.
   */
  readonly header?: string;
  /**
   * Finds the token in another way, in place of `cookie` and `header`. Whether it
   * is one that browsers add by themselves is not known then: calls of foreign
   * origins are refused as with `cookie`. Default: none.
   */
  readonly extractToken?: FindCredential;
  /**
   * Further origins whose pages may call with the cookie, as browsers write
   * them: `https://app.acme.dev`. Default: only the server's own.
   */
  readonly allowedOrigins?: readonly string[];
}

/** The token of a call. */
export interface SessionToken {
  readonly token: string;
  /** Headers that may hold another credential, which nobody has judged. In lower case. */
  readonly otherHeaders: readonly string[];
}

/** Reads the token of a session. */
export interface SessionTokenReader extends Pick<Authenticator, "identityHeaders" | "challenge"> {
  /**
   * The token of a call. `undefined`: it has none. Throws `Unauthenticated` for
   * what cannot be one, and `PermissionDenied` where a page of a foreign origin
   * may have made a browser send it.
   */
  read(call: IncomingCall): Promise<SessionToken | undefined>;
}

/** Makes what reads the token of a session. Throws `TypeError` for places that are none. */
export function createSessionTokenReader(options: SessionTokenOptions): SessionTokenReader {
  const hasPlace = "cookie" in options || "header" in options;
  if ("extractToken" in options) {
    if (hasPlace) {
      throw new TypeError("extractToken stands in place of cookie and header: leave them out");
    }
    return readByFunction(options.extractToken, options.allowedOrigins);
  }
  if ("allowedOrigins" in options && !("cookie" in options)) {
    throw new TypeError("allowedOrigins is for tokens that browsers add: it needs a cookie");
  }
  return hasPlace ? readByName(options) : readAuthorization();
}

/** What `Auth.session(token)` and `createClientBearerInterceptor` send, and no browser by itself. */
function readAuthorization(): SessionTokenReader {
  return {
    identityHeaders: [],
    challenge: bearerChallenge(),
    async read(call) {
      const token = readBearer(call);
      return token === undefined ? undefined : { token, otherHeaders: ["cookie"] };
    },
  };
}

function readByFunction(
  extractToken: FindCredential,
  allowedOrigins: readonly string[] = [],
): SessionTokenReader {
  if (typeof extractToken !== "function") {
    throw new TypeError("extractToken must be a function");
  }
  const checkSite = createCrossSiteCheck(allowedOrigins);
  return {
    identityHeaders: [],
    async read(call) {
      const token = await extract("extractToken", extractToken, call);
      if (token === undefined) {
        return undefined;
      }
      checkSite(call);
      return { token, otherHeaders: [] };
    },
  };
}

function readByName(options: SessionTokenOptions): SessionTokenReader {
  const cookie = "cookie" in options ? checkCookieName("cookie", options.cookie) : undefined;
  const header = "header" in options ? checkOwnHeader("header", options.header) : undefined;
  const checkSite = createCrossSiteCheck(options.allowedOrigins ?? []);
  const identityHeaders = header === undefined ? [] : hiddenHeaders(header);
  return {
    identityHeaders,
    async read(call) {
      const inCookie = cookie === undefined ? undefined : readCookie(call.header, cookie);
      const inHeader = header === undefined ? undefined : readHeader(call.header, header);
      if (inCookie !== undefined && inHeader !== undefined) {
        throw invalidCredentials("a session token in the cookie, and one in the header");
      }
      if (inCookie !== undefined) {
        checkSite(call);
        return { token: inCookie, otherHeaders: [authorizationHeader, ...identityHeaders] };
      }
      return inHeader === undefined
        ? undefined
        : { token: inHeader, otherHeaders: [authorizationHeader, "cookie"] };
    },
  };
}

/** A comma or a space would make one token of two. */
function readHeader(header: Headers, name: string): string | undefined {
  const value = header.get(name) ?? undefined;
  if (value !== undefined && !/^[!-+\--~]+$/.test(value)) {
    throw invalidCredentials(`${name} is empty, or not exactly one token`);
  }
  if (value !== undefined && value.length > maxCredentialBytes) {
    throw invalidCredentials(`${name} has more than ${maxCredentialBytes} bytes`);
  }
  return value;
}
