import type { AuthEventListener } from "../credentials/auth-event.js";
import { checkKnownOptions } from "../known-options.js";
import type { TokenEndpointOptions } from "./token-endpoint.js";

/** What all OAuth credentials take. */
export interface OAuthOptions extends TokenEndpointOptions {
  /** The resource indicators of the APIs that the token is for, one or several (RFC 8707). Default: none. */
  readonly resource?: string | readonly string[] | undefined;
  /** How long before its expiry a token counts as expired, in seconds; half of its life at most. Default: 30. */
  readonly refreshSkewSeconds?: number | undefined;
  /** Is told of tokens that come, are renewed, fail to come or are refused. */
  readonly onEvent?: AuthEventListener | undefined;
}

/** Throws `TypeError` for an option that there is not, and for one that is of another kind. */
export function checkOAuthOptions<T extends OAuthOptions>(
  factory: string,
  options: T,
  own: Readonly<Record<Exclude<keyof T, keyof OAuthOptions>, true>>,
): void {
  checkKnownOptions<OAuthOptions>(factory, options, { ...optionNames, ...own });
  const { refreshSkewSeconds = 30 } = options;
  if (!(Number.isFinite(refreshSkewSeconds) && refreshSkewSeconds >= 0)) {
    throw new TypeError(`refreshSkewSeconds ${refreshSkewSeconds} must be a number of seconds`);
  }
  const { timeoutMs = 10_000, clientAuthentication, parameters = {} } = options;
  if (timeoutMs > maxTimeoutMs) {
    throw new TypeError(`timeoutMs ${timeoutMs} must be ${maxTimeoutMs} at most`);
  }
  for (const name of ["fetch", "now", "onEvent"] as const) {
    checkFunction(name, options[name]);
  }
  // none of them is shown: it may be a secret
  if (
    clientAuthentication !== undefined &&
    typeof Object(clientAuthentication).authenticate !== "function"
  ) {
    throw new TypeError("clientAuthentication must be what publicClient() and the like return");
  }
  if (
    typeof parameters !== "object" ||
    !parameters ||
    Array.isArray(parameters) ||
    Object.values(parameters).some((value) => typeof value !== "string")
  ) {
    throw new TypeError("parameters must be an object of strings");
  }
}

/** The longest time that a timer knows. */
export const maxTimeoutMs: number = 2 ** 31 - 1;

/** Throws `TypeError` for what is there, and cannot be called. */
export function checkFunction(option: string, value: unknown): void {
  if (value !== undefined && typeof value !== "function") {
    throw new TypeError(`${option} must be a function`);
  }
}

const optionNames: Record<keyof OAuthOptions, true> = {
  issuer: true,
  clientId: true,
  clientSecret: true,
  clientAuthentication: true,
  tokenEndpoint: true,
  dpop: true,
  parameters: true,
  fetch: true,
  now: true,
  timeoutMs: true,
  resource: true,
  refreshSkewSeconds: true,
  onEvent: true,
};
