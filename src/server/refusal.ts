import { Code, ConnectError } from "@connectrpc/connect";
import { wwwAuthenticateHeader } from "../headers.js";
import { bearerChallenge } from "./challenge.js";

/*
 * What clients are told, once:
 *
 * | reason | Connect code | message |
 * |---|---|---|
 * | no credential | `Unauthenticated` | missing credentials |
 * | a bad token, whatever is wrong with it | `Unauthenticated` | invalid token |
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
export function invalidToken(reason: string): ConnectError {
  const challenge = bearerChallenge({ error: "invalid_token" });
  return refusal("invalid token", Code.Unauthenticated, reason, challenged([challenge]));
}

/** Another credential that is not accepted. `reason` is for the server's log and holds no secret. */
export function invalidCredentials(reason: string): ConnectError {
  return refusal("invalid credentials", Code.Unauthenticated, reason);
}

/** What is needed to judge a credential cannot be reached. */
export function cannotVerify(reason: string): ConnectError {
  return refusal("credentials cannot be verified at the moment", Code.Unavailable, reason);
}

function refusal(message: string, code: Code, reason: string, metadata?: HeadersInit) {
  return new ConnectError(message, code, metadata, undefined, new Error(reason));
}

function challenged(challenges: readonly string[]): HeadersInit {
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
