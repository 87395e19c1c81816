import { parseJsonObject, readRetryAfter } from "../http-answer.js";
import { isAuthClientError } from "../oauth/auth-client-error.js";
import { type Answer, type Fetch, fetchAnswer } from "../oauth/limited-fetch.js";
import { checkFunction, maxTimeoutMs } from "../oauth/oauth-options.js";
import { authenticationOf, type TokenEndpointOptions } from "../oauth/token-endpoint.js";
import { unlessAborted } from "../oauth/unless-aborted.js";
import {
  findIntrospectionEndpoint,
  type IntrospectionPlace,
} from "./find-introspection-endpoint.js";
import { createOutage } from "./outage.js";
import { cannotVerify, invalidToken } from "./refusal.js";
import { createRequestLimit } from "./request-limit.js";

/** Which authorization server is asked about tokens, and by whom. */
export interface IntrospectionEndpointOptions
  extends Pick<
    TokenEndpointOptions,
    "clientId" | "clientSecret" | "clientAuthentication" | "fetch"
  > {
  /** Its introspection endpoint (RFC 7662 §2): https, or http on loopback. Default: what the metadata of `issuer` say. */
  readonly introspectionEndpoint?: string;
  /**
   * Its URL (RFC 8414 §2): https, or http on loopback. An answer that names
   * another issuer is refused. Default: not checked; `introspectionEndpoint`
   * says where to ask.
   */
  readonly issuer?: string;
  /** How long an answer may take, and before that the turn of a token, in milliseconds. Default: 5,000. */
  readonly timeoutMs?: number;
  /**
   * How many requests are under way at once. Sixteen times as many tokens wait
   * for their turn; those beyond are refused at once. Default: 64.
   */
  readonly maxConcurrentRequests?: number;
}

/** What an authorization server says about a token. */
export type IntrospectionAnswer = Readonly<Record<string, unknown>>;

/**
 * Makes the function that asks about a token (RFC 7662 §2). It throws
 * `Unavailable` where there is no answer that can be read: an outage, an error,
 * a redirect, more than 256 KiB, something that is no JSON object. The cause
 * says which, and shows neither the token nor what proves the client. Tokens
 * of a kind that the server says it does not judge are `Unauthenticated`.
 *
 * A server that gives no answer, wants fewer requests (429, 503) or does not
 * accept this client is left alone for a while. Other errors may be about the
 * very token that was asked about, and whoever sends that must not lock out
 * everybody else.
 *
 * Throws `TypeError` for wrong options.
 */
export function createIntrospectionEndpoint(
  options: IntrospectionEndpointOptions,
): (token: string) => Promise<IntrospectionAnswer> {
  const { clientId, timeoutMs = 5_000, maxConcurrentRequests = 64 } = options;
  checkOptions(options);
  const { authenticate, usesMtlsEndpoints = false } = authenticationOf(options);
  const fetch: Fetch = options.fetch ?? ((url, init) => globalThis.fetch(url, init));
  const place = findIntrospectionEndpoint({ ...options, fetch, timeoutMs, usesMtlsEndpoints });
  const limit = createRequestLimit(maxConcurrentRequests, 16 * maxConcurrentRequests);
  const outage = createOutage();

  async function post(
    { url, issuer }: IntrospectionPlace,
    token: string,
    signal: AbortSignal,
  ): Promise<Answer> {
    const headers = new Headers({
      accept: "application/json",
      "content-type": "application/x-www-form-urlencoded",
    });
    const form = new URLSearchParams({ token, token_type_hint: "access_token" });
    await unlessAborted(signal, authenticate({ issuer }, { client_id: clientId }, form, headers));
    return fetchAnswer(fetch, url, { method: "POST", headers, body: form.toString(), signal });
  }

  /** Asks once more where the connection broke, as an idle one does that the server closes. */
  const postTwice: typeof post = (found, token, signal) =>
    post(found, token, signal).catch((error: unknown) => {
      if (isAuthClientError(error) && error.code === "network_error") {
        return post(found, token, signal);
      }
      throw error;
    });

  async function ask(token: string): Promise<IntrospectionAnswer> {
    const attempt = outage.begin();
    if (attempt === undefined) {
      throw cannotVerify(leftAlone);
    }
    const signal = AbortSignal.timeout(timeoutMs);
    let found: IntrospectionPlace | undefined;
    let answer: Answer;
    try {
      found = await unlessAborted(signal, place.find());
      answer = await postTwice(found, token, signal);
    } catch (error) {
      if (found && isAuthClientError(error) && answersOfOneToken.includes(error.code)) {
        attempt.answered();
      } else {
        attempt.failed();
      }
      throw cannotVerify(`introspection: ${reasonOf(error)}`);
    }
    const { status, ok, headers, text } = answer;
    const members = parseJsonObject(text);
    const isRefused = status === 401 || (!ok && members?.error === "invalid_client");
    if (isRefused || status === 429 || status === 503) {
      attempt.failed(readRetryAfter(headers, new Date()));
    } else {
      attempt.answered();
    }
    if (status === 404) {
      place.forget();
    }
    // RFC 7009 §2.2.1: a JWT, say, where only opaque tokens are asked about
    if (status === 400 && members?.error === "unsupported_token_type") {
      throw invalidToken("token: of a kind that the authorization server does not judge");
    }
    const { origin, pathname } = new URL(found.url);
    const at = `introspection: ${origin}${pathname} answered`;
    if (!ok) {
      const hint = isRefused || status === 403 ? `: ${wrongClient}` : "";
      throw cannotVerify(`${at} HTTP ${status}${hint}`);
    }
    if (members === undefined) {
      throw cannotVerify(`${at} with something that is no JSON object`);
    }
    return members;
  }

  return async (token) => {
    if (outage.isOn()) {
      throw cannotVerify(leftAlone);
    }
    if (limit.isFull()) {
      throw cannotVerify("introspection: too many tokens at once");
    }
    // a time of its own: a request that began late would say nothing about the endpoint
    const turn = AbortSignal.timeout(timeoutMs);
    return limit
      .run(turn, () => ask(token))
      .catch((error: unknown) => {
        throw error === turn.reason ? cannotVerify("introspection: no turn in time") : error;
      });
  };
}

const leftAlone = "introspection: the endpoint failed and is not asked again yet";

const wrongClient =
  "it does not accept this server; check clientId, the secret or key, and clientAuthentication";

/** Codes of errors of an endpoint that is there. */
const answersOfOneToken = ["redirect", "response_too_large"];

function checkOptions(options: IntrospectionEndpointOptions): void {
  const { timeoutMs = 1, maxConcurrentRequests = 1, clientAuthentication, issuer } = options;
  if (!(typeof timeoutMs === "number" && timeoutMs > 0 && timeoutMs <= maxTimeoutMs)) {
    throw new TypeError(
      `timeoutMs ${String(timeoutMs)} must be a number of milliseconds above 0, ${maxTimeoutMs} at most`,
    );
  }
  if (!(Number.isInteger(maxConcurrentRequests) && maxConcurrentRequests > 0)) {
    throw new TypeError(
      `maxConcurrentRequests ${String(maxConcurrentRequests)} must be a whole number above 0`,
    );
  }
  checkFunction("fetch", options.fetch);
  if (clientAuthentication === undefined) {
    return;
  }
  // not shown: it may be a secret
  if (typeof Object(clientAuthentication).authenticate !== "function") {
    throw new TypeError("clientAuthentication must be what privateKeyJwt() and the like return");
  }
  if (clientAuthentication.method === "private_key_jwt" && issuer === undefined) {
    throw new TypeError("issuer is missing: an assertion of privateKeyJwt() is for it");
  }
}

/** Other errors than ours may quote the request. */
function reasonOf(error: unknown): string {
  if (isAuthClientError(error)) {
    return error.message;
  }
  return Object(error).name === "TimeoutError" ? "no answer in time" : "no request could be made";
}
