import type { DescMethod } from "@bufbuild/protobuf";
import { ConnectError } from "@connectrpc/connect";
import type { MethodPolicy, Requirements } from "../policy/method-policy.js";
import type { AuthContext } from "./auth-context.js";
import { type AuthzRule, createRuleMatcher, meets } from "./authz-rules.js";
import { bearerChallenge, dpopChallenge } from "./challenge.js";
import { readAuthScheme } from "./read-credentials.js";
import { AuthzDeniedError, missingCredentials } from "./refusal.js";

/** What decides where the proto file says nothing about a method. */
export interface FallbackOptions {
  /** Rules in code, in order; the first that matches wins. Default: none. */
  readonly rules?: readonly AuthzRule[];
  /**
   * Asked where no rule matches. Only `true` lets the call pass; an error that
   * it throws denies the call, a `ConnectError` is passed on.
   */
  readonly authorize?: (
    identity: AuthContext,
    call: { readonly service: string; readonly method: string },
  ) => boolean | Promise<boolean>;
  /** What holds in the end. Default: `deny`. */
  readonly defaultPolicy?: "allow" | "deny";
}

/**
 * Returns where a call may pass, with a promise where `authorize` has to be asked.
 * Throws `Unauthenticated` or `PermissionDenied` where not.
 */
export type Decide = (
  policy: MethodPolicy,
  call: { readonly method: DescMethod; readonly header: Headers },
  identity: AuthContext | undefined,
) => Promise<void> | undefined;

/**
 * The decision on a call:
 *
 * 1. public: allow.
 * 2. internal: without an identity `Unauthenticated`; without requirements
 *    allow; else 3.
 * 3. requirements: without an identity `Unauthenticated`; not met: deny.
 * 4. policy `allow`: allow. Policy `deny`: deny.
 * 5. the first rule that matches.
 * 6. `authorize`: without an identity `Unauthenticated`.
 * 7. `defaultPolicy`; `deny` without an identity is `Unauthenticated`.
 *
 * To deny is `PermissionDenied`.
 */
export function createDecision(options: FallbackOptions): Decide {
  const { authorize, defaultPolicy = "deny" } = options;
  if (defaultPolicy !== "allow" && defaultPolicy !== "deny") {
    throw new TypeError(`defaultPolicy ${JSON.stringify(defaultPolicy)} must be "allow" or "deny"`);
  }
  if (authorize !== undefined && typeof authorize !== "function") {
    throw new TypeError("authorize must be a function");
  }
  const findRule = createRuleMatcher(options.rules ?? []);

  return (policy, { method, header }, identity) => {
    switch (policy.kind) {
      case "public": // 1
        return;
      case "internal": // 2
      case "requires": // 3
        checkRequirements(policy, header, identity);
        return;
      case "authenticated": // 4
        return;
      case "denied": // 4
        throw new AuthzDeniedError({ ruleName: "policy" });
      case "unspecified":
        break;
      default:
        throw new AuthzDeniedError({ ruleName: "unknown policy" });
    }
    const rule = findRule(method, identity); // 5
    if (rule?.effect === "allow") {
      return;
    }
    if (rule !== undefined) {
      throw new AuthzDeniedError({ ruleName: rule.name });
    }
    if (authorize !== undefined) {
      return ask(authorize, method, identity); // 6
    }
    if (defaultPolicy === "deny") {
      throw identity ? new AuthzDeniedError({ ruleName: "defaultPolicy" }) : missingCredentials(); // 7
    }
    return;
  };
}

function checkRequirements(
  requires: Requirements,
  header: Headers,
  identity: AuthContext | undefined,
): void {
  if (identity === undefined) {
    throw missingCredentials();
  }
  if (meets(identity, requires)) {
    return;
  }
  const { roles: requiredRoles, scopes: requiredScopes } = requires;
  // RFC 6750 §3.1: only where other scopes would help
  const challenges = meets(identity, { scopes: requiredScopes })
    ? []
    : scopeChallenges(header, requiredScopes.join(" "));
  throw new AuthzDeniedError({ ruleName: "requires", requiredRoles, requiredScopes }, challenges);
}

/** Asks for a token with these scopes, in the scheme of the one that came. */
function scopeChallenges(header: Headers, scope: string): string[] {
  const params = { error: "insufficient_scope", scope } as const;
  switch (readAuthScheme(header)) {
    case "bearer":
      return [bearerChallenge(params)];
    case "dpop":
      return [dpopChallenge(params)];
    default:
      return []; // the credential was no token
  }
}

async function ask(
  authorize: NonNullable<FallbackOptions["authorize"]>,
  method: DescMethod,
  identity: AuthContext | undefined,
): Promise<void> {
  if (identity === undefined) {
    throw missingCredentials();
  }
  let answer: boolean;
  try {
    answer = await authorize(identity, { service: method.parent.typeName, method: method.name });
  } catch (error) {
    if (error instanceof ConnectError) {
      throw error;
    }
    const denied = new AuthzDeniedError({ ruleName: "authorize" });
    denied.cause = error;
    throw denied;
  }
  if (answer !== true) {
    throw new AuthzDeniedError({ ruleName: "authorize" });
  }
}
