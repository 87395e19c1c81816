import { AuthError } from "../errors.js";

/** What is known of a failed token request, beside its code. */
export interface AuthClientErrorDetails {
  /** The HTTP status, where there was an answer. */
  readonly status?: number | undefined;
  /** What `Retry-After` asks for, in milliseconds. */
  readonly retryAfterMs?: number | undefined;
  readonly cause?: unknown;
}

/**
 * A token request that failed. Messages hold no secret, and nothing of what the
 * server wrote but the error code.
 *
 * `code` is the one that the server sent (`invalid_client`, `invalid_grant`,
 * `invalid_scope`, `invalid_target`, …, RFC 6749 §5.2, RFC 8707 §2), or:
 *
 * | code | what happened |
 * |---|---|
 * | `http_error` | an answer without such a code: see `status` |
 * | `request_failed` | the request could not be made: see `cause` |
 * | `network_error` | no answer |
 * | `timeout` | no answer in time |
 * | `redirect` | the server sent the request elsewhere, which is not followed |
 * | `invalid_response` | the answer is not what RFC 6749 §5.1 or RFC 8414 §3.2 asks for |
 * | `response_too_large` | the answer has more than 256 KiB |
 * | `issuer_mismatch` | the metadata are those of another issuer (RFC 8414 §3.3) |
 * | `insecure_endpoint` | the metadata name an endpoint that is neither https nor loopback |
 * | `token_type_mismatch` | a `Bearer` token for a DPoP request, or the other way round |
 * | `expired_token` | the token had expired when it came |
 */
export class AuthClientError extends Error {
  override readonly name = "AuthClientError";
  readonly code: string;
  declare readonly status?: number;
  declare readonly retryAfterMs?: number;

  constructor(code: string, message: string, details: AuthClientErrorDetails = {}) {
    super(message, "cause" in details ? { cause: details.cause } : undefined);
    this.code = code;
    if (details.status !== undefined) {
      this.status = details.status;
    }
    if (details.retryAfterMs !== undefined) {
      this.retryAfterMs = details.retryAfterMs;
    }
  }
}

/** Whether a value is an `AuthClientError`, also one of another copy of this package. */
export function isAuthClientError(value: unknown): value is AuthClientError {
  return value instanceof Error && value.name === "AuthClientError" && "code" in value;
}

/** Codes that say nothing of the request itself: it may succeed later. */
const transientCodes = new Set([
  "network_error",
  "timeout",
  "temporarily_unavailable",
  "server_error",
  "slow_down",
]);

/** What a call that needs the token fails with: an `AuthError` whose cause says why. */
export function toAuthError(error: unknown): unknown {
  if (!isAuthClientError(error)) {
    return error;
  }
  const { code, status = 0, message, retryAfterMs } = error;
  const isTransient = transientCodes.has(code) || status >= 500 || status === 429 || status === 408;
  return new AuthError(
    isTransient ? "credentials_unavailable" : "credentials_failed",
    message,
    error,
    retryAfterMs,
  );
}
