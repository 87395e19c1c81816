import { AuthError, isAuthError } from "../errors.js";
import {
  isRedirect,
  networkReason,
  parseJsonObject,
  readRetryAfter,
  readText,
} from "../http-answer.js";
import { checkKnownOptions } from "../known-options.js";
import { isLoopback } from "../loopback.js";
import { LoginRefusal } from "./login-refusal.js";

/** What the fields of a request and of its answer are called, where it is not the name here. */
export interface LoginFields {
  readonly user?: string | undefined;
  readonly password?: string | undefined;
  readonly access_token?: string | undefined;
  readonly refresh_token?: string | undefined;
  readonly expires_in?: string | undefined;
  readonly expires_at?: string | undefined;
  readonly token_type?: string | undefined;
}

/** Settings of an endpoint. */
export interface LoginEndpointOptions {
  /** Used in place of the global `fetch`. */
  readonly fetch?: typeof globalThis.fetch | undefined;
  /** Names of JSON fields: `{ user: "email", access_token: "token" }`. Default: the names here. */
  readonly fields?: LoginFields | undefined;
  /** The clock, for tests. Default: the system's. */
  readonly now?: (() => Date) | undefined;
}

/**
 * Posts JSON, and returns the JSON that comes back. Throws `AuthError`, for
 * status 400, 401 and 403 a `LoginRefusal`.
 */
export type LoginEndpoint = (body: LoginFields, signal: AbortSignal) => Promise<object>;

/**
 * Makes the function that posts to a URL for `option`: `login` or `refresh`.
 * Redirects are not followed, an answer is read up to 256 KiB, and no error
 * shows any of what went to and fro.
 *
 * Throws `TypeError` where it is no https URL (http only on loopback).
 */
export function createLoginEndpoint(
  option: string,
  url: string | URL,
  { fetch, fields = {}, now = () => new Date() }: LoginEndpointOptions,
): LoginEndpoint {
  checkKnownOptions("fields", fields, fieldNames);
  const target = parseEndpoint(option, url);
  // a query may hold a key
  const shown = `the ${option} endpoint ${target.origin}${target.pathname}`;
  return async (body, signal) => {
    try {
      const send = fetch ?? globalThis.fetch;
      const response = await send(target.href, {
        method: "POST",
        headers: { "content-type": "application/json", accept: "application/json" },
        body: JSON.stringify(toTheirs(body, fields)),
        cache: "no-store",
        redirect: "manual", // with one the password would go where the server says
        signal,
      });
      if (!response.ok || isRedirect(response)) {
        response.body?.cancel().catch(() => {});
        throw refusal(shown, response, now());
      }
      return toOurs(parseJsonObject((await readText(response)) ?? ""), fields, shown);
    } catch (error) {
      throw isAuthError(error)
        ? error
        : new AuthError(
            "credentials_unavailable",
            `no answer from ${shown}${networkReason(error)}`,
          );
    }
  };
}

const fieldNames: Record<keyof LoginFields, true> = {
  user: true,
  password: true,
  access_token: true,
  refresh_token: true,
  expires_in: true,
  expires_at: true,
  token_type: true,
};

function parseEndpoint(option: string, text: string | URL): URL {
  let url: URL | undefined;
  try {
    // a path is resolved as fetch does it, against the page
    url = new URL(text, globalThis.document?.baseURI ?? globalThis.location?.href);
  } catch {
    // said below
  }
  if (url?.username || url?.password) {
    throw new TypeError(`${option} must be a URL without user name and password`);
  }
  if (url?.protocol !== "https:" && !(url?.protocol === "http:" && isLoopback(url))) {
    const shown = url ? `${url.origin}${url.pathname}` : String(text);
    throw new TypeError(
      `${option} ${JSON.stringify(shown)} must be an https URL (http only on loopback)`,
    );
  }
  return url;
}

function refusal(shown: string, response: Response, now: Date) {
  if (isRedirect(response)) {
    return new AuthError("credentials_failed", `${shown} redirects, which is not followed`);
  }
  const { status, headers } = response;
  const message = `${shown} answered with status ${status}`;
  if (status === 400 || status === 401 || status === 403) {
    return new LoginRefusal("credentials_failed", message);
  }
  return new AuthError(
    status === 408 || status === 429 || status >= 500
      ? "credentials_unavailable"
      : "credentials_failed",
    message,
    undefined,
    readRetryAfter(headers, now),
  );
}

function toTheirs(body: LoginFields, names: LoginFields): object {
  const entries = Object.entries(names);
  return Object.fromEntries(
    Object.entries(body).map(([ours, value]) => [
      entries.find(([name]) => name === ours)?.[1] ?? ours,
      value,
    ]),
  );
}

/** The answer under our names. A field that is `null` is none. */
function toOurs(answer: object | undefined, names: LoginFields, shown: string): object {
  const theirs = new Map(Object.entries(answer ?? {}).filter(([, value]) => value !== null));
  const ours = new Map(theirs);
  for (const [name, theirName] of Object.entries(names)) {
    if (theirs.has(theirName)) {
      ours.set(name, theirs.get(theirName));
    }
  }
  if (!ours.has("access_token") && !ours.has("refresh_token")) {
    throw new AuthError("credentials_failed", `${shown} answered without JSON that has a token`);
  }
  return Object.fromEntries(ours);
}
