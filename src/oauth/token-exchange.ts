import type { AuthRequest } from "../credentials/auth-provider.js";
import type { CachedAuth } from "../credentials/cached-source.js";
import { sha256 } from "./base64url.js";
import { checkOAuthOptions, type OAuthOptions } from "./oauth-options.js";
import { createScopedSource, type ScopeOptions, toAuth } from "./scoped-source.js";
import { parseResource } from "./scopes.js";
import { createTokenEndpoint } from "./token-endpoint.js";

/** A token, or a function that is asked for it with every call. */
export type TokenOfCall = string | ((request: AuthRequest) => string | Promise<string>);

/** Options of `tokenExchange`. */
export interface TokenExchangeOptions extends OAuthOptions, ScopeOptions {
  /** The token of the party that the call is made for. */
  readonly subjectToken: TokenOfCall;
  /** Its type (RFC 8693 §3). Default: `urn:ietf:params:oauth:token-type:access_token`. */
  readonly subjectTokenType?: string | undefined;
  /** The token of the party that acts for it. Default: none. */
  readonly actorToken?: TokenOfCall | undefined;
  /** Its type. Default: `urn:ietf:params:oauth:token-type:access_token`. */
  readonly actorTokenType?: string | undefined;
  /** Default: the server decides. */
  readonly requestedTokenType?: string | undefined;
  /** The logical names of the APIs that the token is for. Default: none. */
  readonly audience?: string | readonly string[] | undefined;
}

const accessTokenType = "urn:ietf:params:oauth:token-type:access_token";

/**
 * Tokens for calls that a service makes for the one who called it: token
 * exchange (RFC 8693). There is one token for each subject, actor and list of
 * scopes, of the last 1,000; they are kept under the hash of the tokens that
 * they were exchanged for. Errors are those of `clientCredentials`.
 *
 * ```ts
 * const credentials = tokenExchange({
 *   issuer: "https://auth.acme.dev",
 *   clientId: "orders",
 *   clientSecret,
 *   subjectToken: () => tokenOfCaller(),
 *   resource: "https://billing.acme.dev",
 *   scope: "from-policy",
 * });
 * ```
 */
export function tokenExchange(options: TokenExchangeOptions): CachedAuth {
  checkOAuthOptions("tokenExchange", options, {
    scope: true,
    subjectToken: true,
    subjectTokenType: true,
    actorToken: true,
    actorTokenType: true,
    requestedTokenType: true,
    audience: true,
  });
  const { actorToken, requestedTokenType, audience = [] } = options;
  const subjectOf = tokenOfCall("subjectToken", options.subjectToken);
  const actorOf = actorToken === undefined ? undefined : tokenOfCall("actorToken", actorToken);
  const { subjectTokenType = accessTokenType, actorTokenType = accessTokenType } = options;
  const endpoint = createTokenEndpoint(options);
  const resources = parseResource(options.resource);
  const constant: [string, string][] = [
    ...[audience].flat().map((name): [string, string] => ["audience", name]),
    ...(requestedTokenType === undefined
      ? []
      : [["requested_token_type", requestedTokenType] satisfies [string, string]]),
  ];

  return createScopedSource(options, async (scopes, call) => {
    const subject = await subjectOf(call);
    const parameters: [string, string][] = [
      ...constant,
      ["subject_token", subject],
      ["subject_token_type", subjectTokenType],
    ];
    const key = [await sha256(subject), ...scopes];
    if (actorOf) {
      const actor = await actorOf(call);
      parameters.push(["actor_token", actor], ["actor_token_type", actorTokenType]);
      key.unshift(await sha256(actor));
    }
    return {
      // a scope is never mistaken for a hash: the actor's is there always or never
      key: JSON.stringify(key),
      fetch: (signal) => toAuth(endpoint.request({ type, scopes, resources, parameters }, signal)),
    };
  });
}

const type = "urn:ietf:params:oauth:grant-type:token-exchange";

function tokenOfCall(option: string, token: TokenOfCall): (call: AuthRequest) => Promise<string> {
  const check = (value: string) => {
    if (typeof value !== "string" || value === "") {
      throw new TypeError(`${option} must be a string that is not empty`);
    }
    return value;
  };
  if (typeof token === "function") {
    return async (call) => check(await token(call));
  }
  check(token);
  return async () => token;
}
