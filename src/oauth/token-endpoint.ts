import {
  allowInsecureRequests,
  type Client,
  customFetch,
  genericTokenEndpointRequest,
  processGenericTokenEndpointResponse,
} from "oauth4webapi";
import { Auth, type BearerAuth, type DpopAuth } from "../credentials/auth.js";
import { expiryOf, lifetimeOf } from "../credentials/token-lifetime.js";
import { dpopHeader, dpopNonceHeader } from "../headers.js";
import { parseJsonObject } from "../http-answer.js";
import { createSteadyClock } from "../steady-clock.js";
import { AuthClientError, isAuthClientError } from "./auth-client-error.js";
import { type ClientAuthentication, clientSecretBasic } from "./client-authentication.js";
import { createDiscovery } from "./discovery.js";
import { createDpopNonces } from "./dpop-nonces.js";
import { createDpopSigner, type DpopKeyOptions, type DpopProofInit } from "./dpop-proof.js";
import { type Answer, type Fetch, fetchAnswer, toError } from "./limited-fetch.js";

/** Which authorization server is asked for tokens, and by which client. */
export interface TokenEndpointOptions {
  /** The issuer's URL (RFC 8414 §2): https, or http on loopback. */
  readonly issuer: string;
  readonly clientId: string;
  /** The client's secret. Default: none, and then `clientAuthentication` is asked for, or the client is public. */
  readonly clientSecret?: string | undefined;
  /** How the client authenticates. Default: `clientSecretBasic(clientSecret)`. */
  readonly clientAuthentication?: ClientAuthentication | undefined;
  /**
   * The token endpoint. Default: what the issuer's metadata say (RFC 8414), else
   * `${issuer}/api/v1/auth/oauth/token` where it publishes none (404).
   */
  readonly tokenEndpoint?: string | undefined;
  /** Bind tokens to a key (RFC 9449). A server that answers with a bearer token is refused. Default: false. */
  readonly dpop?: boolean | DpopKeyOptions | undefined;
  /** Further parameters of token requests, such as `audience` where a server has it in place of `resource`. Default: none. */
  readonly parameters?: Readonly<Record<string, string>> | undefined;
  /** Used in place of the global `fetch`: with a proxy, or a client certificate. */
  readonly fetch?: Fetch | undefined;
  /** The clock, for tests. Default: the system's. */
  readonly now?: (() => Date) | undefined;
  /** How long a request may take, in milliseconds. Default: 10,000. */
  readonly timeoutMs?: number | undefined;
}

/** A successful answer of a token endpoint (RFC 6749 §5.1). */
export interface TokenResponse {
  readonly access_token: string;
  readonly token_type: "Bearer" | "DPoP";
  /** When it expires, in seconds since the epoch: by `expires_in`, else `exp` of a JWT, else in 5 minutes. */
  readonly expires_at: number;
  /** What was granted, separated by spaces. May be less than was asked for. */
  readonly scope?: string;
  readonly refresh_token?: string;
}

/** A token that came. */
export interface IssuedToken {
  readonly response: TokenResponse;
  /** What presents it to APIs, until the very millisecond that it expires. */
  readonly auth: BearerAuth | DpopAuth;
}

/** A grant: its type, and its parameters. Those with several values are there several times. */
export interface Grant {
  readonly type: string;
  readonly scopes: readonly string[];
  readonly resources: readonly string[];
  readonly parameters?: readonly (readonly [name: string, value: string])[];
}

/** The token endpoint of an authorization server, for one client. */
export interface TokenEndpoint {
  /**
   * Asks for a token. Throws `AuthClientError`. `onRefreshToken` is told of a
   * refresh token before anything else in the answer can be refused: the server
   * may take the one before no more.
   */
  request(
    grant: Grant,
    signal: AbortSignal,
    onRefreshToken?: (refreshToken: string) => void,
  ): Promise<IssuedToken>;
  /** Makes a proof with the key of this client, for an API. Without `nonce` it has none. */
  prove(request: DpopProofInit): Promise<string>;
}

/** Makes the part that all OAuth credentials stand on. Throws `TypeError` for wrong options. */
export function createTokenEndpoint(options: TokenEndpointOptions): TokenEndpoint {
  const { clientId, dpop, parameters = {}, now = () => new Date(), timeoutMs = 10_000 } = options;
  const fetch: Fetch = options.fetch ?? ((url, init) => globalThis.fetch(url, init));
  const { authenticate, usesMtlsEndpoints = false } = authenticationOf(options);
  const clock = createSteadyClock(options.now);
  const discovery = createDiscovery({
    issuer: options.issuer,
    tokenEndpoint: options.tokenEndpoint,
    fetch,
    now,
    clock,
    timeoutMs,
  });
  const client: Client = { client_id: clientId, use_mtls_endpoint_aliases: usesMtlsEndpoints };
  const sign = dpop ? createDpopSigner(dpop === true ? {} : dpop, now) : undefined;
  // RFC 9449 §8.2: a nonce of the authorization server is none for an API
  const serverNonces = createDpopNonces();
  const apiNonces = createDpopNonces();

  const send = async (
    { type, scopes, resources, parameters: own = [] }: Grant,
    signal: AbortSignal,
  ) => {
    const server = await discovery.metadata();
    const form = new URLSearchParams([
      ...Object.entries(parameters),
      ...own.map(([name, value]): [string, string] => [name, value]),
      ...(scopes.length > 0 ? [["scope", scopes.join(" ")]] : []),
      ...resources.map((resource) => ["resource", resource]),
    ]);
    let at = "the token endpoint";
    let sent = "";
    let answer: Answer | undefined;
    await genericTokenEndpointRequest(server, client, authenticate, type, form, {
      signal,
      // those that are neither https nor loopback have been refused
      [allowInsecureRequests]: true,
      [customFetch]: async (url, init) => {
        at = `the token endpoint ${url.replace(/[?#].*/s, "")}`;
        const headers = new Headers(init.headers);
        try {
          if (sign) {
            const nonce = await serverNonces.get(url);
            headers.set(dpopHeader, await sign({ htm: "POST", htu: url, ...(nonce && { nonce }) }));
          }
          sent = `${init.body} ${basicOf(headers)}`;
          answer = await fetchAnswer(fetch, url, { ...init, headers });
        } finally {
          // also where there is no answer: other requests wait for it
          serverNonces.note(url, answer?.headers.get(dpopNonceHeader) ?? null);
        }
        return new Response();
      },
    }).catch((cause: unknown) => {
      throw isAuthClientError(cause)
        ? cause
        : new AuthClientError("request_failed", "the token request could not be made", { cause });
    });
    if (!answer) {
      throw new AuthClientError("network_error", `no answer from ${at}`);
    }
    return { server, answer, at, sent };
  };

  return {
    async request(grant, signal, onRefreshToken) {
      const before = now().getTime();
      let { server, answer, at, sent } = await send(grant, signal);
      if (!answer.ok) {
        let error = toError(at, answer, now(), sent);
        // RFC 9449 §8: once more, with the nonce that came with the refusal
        if (sign && error.code === "use_dpop_nonce" && answer.headers.has(dpopNonceHeader)) {
          ({ server, answer, at, sent } = await send(grant, signal));
          error = toError(at, answer, now(), sent);
        }
        if (answer.status === 404) {
          discovery.notFound(server);
        }
        if (!answer.ok) {
          throw error;
        }
      }
      const body = membersOf(answer.text);
      if (typeof body?.refresh_token === "string") {
        onRefreshToken?.(body.refresh_token);
      }
      const lifetime = lifetimeSeconds(body?.expires_in);
      if (!body || Number.isNaN(lifetime)) {
        throw new AuthClientError("invalid_response", `${at} answered with no token response`);
      }
      // an ID token beside it is not ours to judge
      const { id_token: _, expires_in: __, ...plain } = body;
      const response = await processGenericTokenEndpointResponse(
        server,
        client,
        Response.json(plain),
      ).catch(() => {
        throw new AuthClientError("invalid_response", `${at} answered with no token response`);
      });
      const isDpop = response.token_type === "dpop";
      if (isDpop !== Boolean(sign)) {
        // RFC 9449 §5: a bearer token in place of a bound one is a downgrade
        throw new AuthClientError(
          "token_type_mismatch",
          `${at} answered with a ${isDpop ? "DPoP" : "Bearer"} token; ${sign ? "the key must be bound" : "set dpop"}`,
        );
      }
      // counted from before the request, or from now if the clock was set back meanwhile
      const start = Math.min(before, now().getTime());
      const token = response.access_token;
      const lifetimeMs = lifetime === undefined ? ownLifetimeMs(token, start) : lifetime * 1000;
      if (lifetimeMs <= 0) {
        throw new AuthClientError("expired_token", `${at} answered with an expired token`);
      }
      const expires = { expiresAt: new Date(start + lifetimeMs) };
      const scope = response.scope ?? (grant.scopes.join(" ") || undefined);
      return {
        response: {
          access_token: token,
          token_type: isDpop ? "DPoP" : "Bearer",
          expires_at: Math.floor((start + lifetimeMs) / 1000),
          // RFC 6749 §5.1: left out if it is what was asked for
          ...(scope !== undefined && { scope }),
          ...(response.refresh_token !== undefined && { refresh_token: response.refresh_token }),
        },
        auth: isDpop
          ? Auth.dpop(token, proveToApi, {
              ...expires,
              onNonce: (nonce, url) => apiNonces.note(url, nonce),
            })
          : Auth.bearer(token, expires),
      };
    },
    prove,
  };

  async function prove(request: DpopProofInit): Promise<string> {
    if (!sign) {
      throw new TypeError("a DPoP proof needs the option dpop");
    }
    return sign(request);
  }

  async function proveToApi(request: DpopProofInit): Promise<string> {
    const nonce = await apiNonces.get(request.htu);
    return prove({ ...request, ...(nonce !== undefined && { nonce }) });
  }
}

/** The credentials of HTTP Basic in plain text. */
function basicOf(headers: Headers): string {
  const [, credentials = ""] = /^Basic (.*)/.exec(headers.get("authorization") ?? "") ?? [];
  return atob(credentials);
}

/** The members of an answer that say something: not those that are null, nor an empty refresh token. */
function membersOf(text: string): Readonly<Record<string, unknown>> | undefined {
  const body = parseJsonObject(text);
  return (
    body &&
    Object.fromEntries(
      Object.entries(body).filter(
        ([name, value]) => value !== null && !(name === "refresh_token" && value === ""),
      ),
    )
  );
}

/** A lifetime is cut, so that a date can hold it. */
const maxLifetimeSeconds = 10 * 365 * 86_400;

/** Seconds, as a number or in digits. `NaN` for anything else. */
function lifetimeSeconds(value: unknown): number | undefined {
  if (value === undefined) {
    return undefined;
  }
  const seconds = typeof value === "string" && /^\d+$/.test(value) ? Number(value) : value;
  return typeof seconds === "number" && seconds >= 0
    ? Math.min(Math.floor(seconds), maxLifetimeSeconds)
    : Number.NaN;
}

/** How long a token lives of which the server does not say it: until `exp` of a JWT, and else as in a cache. */
function ownLifetimeMs(token: string, start: number): number {
  const end = expiryOf(token);
  // a cache keeps it for a day at most, which is not when it expires
  return end === undefined
    ? lifetimeOf(Auth.bearer(token), start)
    : Math.min(end - start, maxLifetimeSeconds * 1000);
}

/** How a client authenticates by these options. Throws `TypeError` where they do not say it, or twice. */
export function authenticationOf(
  options: Pick<TokenEndpointOptions, "clientId" | "clientSecret" | "clientAuthentication">,
): ClientAuthentication {
  const { clientId, clientSecret, clientAuthentication } = options;
  if (typeof clientId !== "string" || clientId === "") {
    throw new TypeError("clientId must be a string that is not empty");
  }
  if (clientSecret !== undefined && clientAuthentication) {
    throw new TypeError("clientSecret and clientAuthentication exclude each other");
  }
  if (clientAuthentication) {
    return clientAuthentication;
  }
  if (clientSecret === undefined) {
    throw new TypeError(
      "clientSecret is missing; pass clientAuthentication: publicClient() for a client without one",
    );
  }
  return clientSecretBasic(clientSecret);
}
