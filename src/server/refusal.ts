import { Code, ConnectError } from "@connectrpc/connect";
import { dpopNonceHeader, wwwAuthenticateHeader } from "../headers.js";
import { bearerChallenge, dpopChallenge } from "./challenge.js";

/*
 * What clients are told, once:
 *
 * | reason | Connect code | message |
 * |---|---|---|
 * | no credential | `Unauthenticated` | missing credentials |
 * | a bad token, whatever is wrong with it | `Unauthenticated` | invalid token |
 * | a bad DPoP proof, or one without a current nonce | `Unauthenticated` | invalid DPoP proof |
 * | another bad credential, whatever is wrong with it | `Unauthenticated` | invalid credentials |
 * | what judges the credential does not answer | `Unavailable` | credentials cannot be verified at the moment |
 * | not allowed | `PermissionDenied` | access denied |
 *
 * The reason in full is the `cause`, which stays in the server.
 */

/** A call that needs a credential came without one. `challenges` say which would do. */
export function missingCredentials(challenges: readonly string[] = []): ConnectError {
  return new ConnectError("missing credentials", Code.Unauthenticated, challenged(challenges));
}

/** A token that is not accepted. `reason` is for the server's log and holds no secret. */
export function invalidToken(
  reason: string,
  challenges: readonly string[] = [bearerChallenge({ error: "invalid_token" })],
): ConnectError {
  return refusal("invalid token", Code.Unauthenticated, reason, challenged(challenges));
}

/** A DPoP proof that is not accepted. `reason` is for the server's log and holds no secret. */
export function invalidDpopProof(reason: string, algs: string): ConnectError {
  const challenge = dpopChallenge({ error: "invalid_dpop_proof", algs });
  return refusal("invalid DPoP proof", Code.Unauthenticated, reason, challenged([challenge]));
}

/** A DPoP proof that lacks the nonce of the server (RFC 9449 §9). `nonce` is for the next one. */
export function dpopNonceNeeded(nonce: string, algs: string): ConnectError {
  const challenge = dpopChallenge({ error: "use_dpop_nonce", algs });
  const headers = challenged([challenge]);
  headers.push([dpopNonceHeader, nonce]);
  return refusal("invalid DPoP proof", Code.Unauthenticated, "proof: no current nonce", headers);
}

/** Puts other challenges, or none, into a refusal that has some. */
export function rechallenge(error: unknown, challenges: readonly string[]): unknown {
  if (error instanceof ConnectError && error.metadata.has(wwwAuthenticateHeader)) {
    error.metadata.delete(wwwAuthenticateHeader);
    for (const challenge of challenges) {
      error.metadata.append(wwwAuthenticateHeader, challenge);
    }
  }
  return error;
}

/** Another credential that is not accepted. `reason` is for the server's log and holds no secret. */
export function invalidCredentials(reason: string, cause?: unknown): ConnectError {
  const refused = refusal("invalid credentials", Code.Unauthenticated, reason);
  if (cause !== undefined) {
    Object.assign(Object(refused.cause), { cause });
  }
  return refused;
}

/** A credential that does not count where the call comes from. `reason` is for the server's log. */
export function forbiddenOrigin(reason: string): ConnectError {
  return refusal("access denied", Code.PermissionDenied, reason);
}

const refusalCodes = [Code.Unauthenticated, Code.PermissionDenied, Code.Unavailable];

/**
 * What code of the user's threw, as a refusal: a `ConnectError` that is one
 * stays as it is; whatever fails in another way has not accepted the credential.
 */
export function toRefusal(error: unknown, what: string): ConnectError {
  return error instanceof ConnectError && refusalCodes.includes(error.code)
    ? error
    : invalidCredentials(`${what} failed`, error);
}

/** What is needed to judge a credential cannot be reached. */
export function cannotVerify(reason: string): ConnectError {
  return refusal("credentials cannot be verified at the moment", Code.Unavailable, reason);
}

function refusal(message: string, code: Code, reason: string, metadata?: HeadersInit) {
  // a name in a token may have line breaks, and would write lines of its own into the log
  const line = reason.replace(/[\p{Cc}\p{Zl}\p{Zp}]/gu, "\ufffd");
  return new ConnectError(message, code, metadata, undefined, new Error(line));
}

function challenged(challenges: readonly string[]): [string, string][] {
  return challenges.map((challenge): [string, string] => [wwwAuthenticateHeader, challenge]);
}

/** Requirements that a caller did not meet, for the log of the server. */
export interface AuthzDeniedDetails {
  /** What decided: `requires`, `policy`, `authorize`, `defaultPolicy`, or the name of a rule. */
  readonly ruleName: string;
  readonly requiredRoles?: readonly string[];
  readonly requiredScopes?: readonly string[];
}

/**
 * A call that its caller is not allowed to make: `PermissionDenied`. Clients
 * see "access denied"; which rule decided, and what it asks for, is for the log.
 */
export class AuthzDeniedError extends ConnectError {
  readonly ruleName: string;
  readonly authzDetails: AuthzDeniedDetails;

  // ConnectError tells its own by their name, and would deny its subclass with
  // another name, but take any ConnectError for an instance of the subclass.
  static override [Symbol.hasInstance](value: unknown): boolean {
    return value instanceof ConnectError && "authzDetails" in value;
  }

  constructor(details: AuthzDeniedDetails, challenges: readonly string[] = []) {
    super("access denied", Code.PermissionDenied, challenged(challenges));
    this.ruleName = details.ruleName;
    this.authzDetails = details;
  }
}

/**
 * The refusal of a call that a gate had let pass, and that was judged again
 * because these headers had changed: its `cause` says so, or nobody finds out
 * why a proof "was used before". A copy: the error may be somebody's constant.
 */
export function refusedAfterGate(refused: ConnectError, changed: readonly string[]): ConnectError {
  const { rawMessage, code, metadata, details, cause } = refused;
  const why = cause instanceof Error ? cause.message : rawMessage;
  const copy =
    refused instanceof AuthzDeniedError
      ? new AuthzDeniedError(refused.authzDetails)
      : new ConnectError(rawMessage, code);
  return Object.assign(copy, {
    metadata: new Headers(metadata),
    details,
    cause: new Error(
      `${why}; the call had passed the gate, and was judged again as these headers changed on the way: ${changed.join(", ")}`,
      { cause },
    ),
  });
}
