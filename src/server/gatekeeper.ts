import type { DescMethod } from "@bufbuild/protobuf";
import { ConnectError } from "@connectrpc/connect";
import { checkTables } from "../policy/check-tables.js";
import { createMethodMatcher } from "../policy/method-pattern.js";
import type { ServicePolicies } from "../policy/method-policy.js";
import { createPolicyLookup } from "../policy/policy-lookup.js";
import type { AuthContext } from "./auth-context.js";
import {
  AnsweredCall,
  type Authenticator,
  challengesOf,
  type IncomingCall,
  identifyBy,
  identityHeaderOf,
} from "./authenticate.js";
import type { AuthzRule } from "./authz-rules.js";
import { createDecision, type FallbackOptions } from "./decide.js";
import { AuthzDeniedError, missingCredentials, refusedAfterGate, toRefusal } from "./refusal.js";

/** Who may call which method of a server. */
export interface AdmissionOptions extends FallbackOptions {
  /** The policy tables of all services that are served, from their `_auth` files. */
  readonly policies: readonly ServicePolicies[];
  /**
   * How users are authenticated: one `AuthInterceptor`, or several, of which
   * the first whose credential a call has decides.
   */
  readonly authenticate: Authenticator | readonly Authenticator[];
  /**
   * How other services are authenticated, for internal methods: one trust
   * source, or several. Default: none, and internal methods are refused.
   */
  readonly internal?: Authenticator | readonly Authenticator[];
  /**
   * Methods without any check, by name: `package.Service/Method` or
   * `package.Service/*`. For health and reflection services. Default: none.
   */
  readonly exempt?: readonly string[];
  /**
   * Also reads a credential that a public method happens to get, so that its
   * handler knows the caller. A bad one is ignored. Default: false.
   */
  readonly identifyOnPublic?: boolean;
  /** Told of each refused call, for logs and metrics. `error.cause` says why. */
  readonly onDenied?: (denial: Denial) => unknown;
}

/** A refused call. */
export interface Denial {
  /** What the client is told; its `cause`, or `AuthzDeniedError.authzDetails`, says why. */
  readonly error: ConnectError;
  readonly method: DescMethod;
  /** Who called, where that is known. */
  readonly identity: AuthContext | undefined;
}

/** A call that may pass. */
export interface Admission {
  /** Who calls. `undefined`: nobody was authenticated, and nobody had to be. */
  readonly identity: AuthContext | undefined;
  /** The headers that tell handlers the identity. */
  readonly identityHeader: Headers | undefined;
  /** The call, with headers for its response. */
  readonly call: AnsweredCall;
}

/** Decides on the calls of a server. */
export interface Gatekeeper {
  /**
   * Lets a call pass. Throws `Unauthenticated`, `PermissionDenied` or
   * `Unavailable` where it may not. `changed`: headers that were changed after a
   * gate had let the call pass, which the `cause` of a refusal names.
   */
  admit(
    call: Omit<IncomingCall, "responseHeader">,
    changed?: readonly string[],
  ): Promise<Admission>;
  /** All authentications, whose headers no handler sees. */
  readonly authenticators: readonly Authenticator[];
}

/** Makes what decides on calls, by one policy for each method. Throws `TypeError`. */
export function createGatekeeper(options: AdmissionOptions): Gatekeeper {
  const { exempt = [], rules = [], identifyOnPublic = false, onDenied } = options;
  if (typeof identifyOnPublic !== "boolean") {
    throw new TypeError(
      `identifyOnPublic ${JSON.stringify(identifyOnPublic)} must be true or false`,
    );
  }
  if (onDenied !== undefined && typeof onDenied !== "function") {
    throw new TypeError("onDenied must be a function");
  }
  if (exempt.includes("*")) {
    throw new TypeError('exempt "*" would switch off every check; name the services');
  }
  const isExempt = createMethodMatcher(exempt);
  const authenticators = [options.authenticate].flat();
  const internals = options.internal === undefined ? [] : [options.internal].flat();
  if (authenticators.length === 0 || !authenticators.every(isAuthenticator)) {
    throw new TypeError("authenticate must be one or more authentication interceptors");
  }
  if (!internals.every(isAuthenticator)) {
    throw new TypeError(
      "internal must be one or more trust sources or authentication interceptors",
    );
  }
  checkTables(options.policies);
  const policies = createPolicyLookup(options.policies);
  const decide = createDecision(options);
  checkRulesApply(rules, options.policies);

  /** The first authentication whose credential a call has decides who calls. */
  async function identify(call: AnsweredCall, candidates: readonly Authenticator[]) {
    for (const by of candidates) {
      const identity = await identifyBy(by, call);
      if (identity !== undefined) {
        return { identity, identityHeader: identityHeaderOf(by, identity), call };
      }
    }
    return nobodyIn(call);
  }

  return {
    authenticators: [...authenticators, ...internals],
    async admit(request, changed = []) {
      const call = new AnsweredCall(request);
      let found: Admission = nobodyIn(call);
      if (isExempt(call.method)) {
        return found;
      }
      try {
        const policy = policies.get(call.method);
        if (policy === undefined) {
          throw new AuthzDeniedError({ ruleName: "no policy" });
        }
        if (policy.kind === "public") {
          return identifyOnPublic
            ? await identify(call, authenticators).catch(() => nobodyIn(new AnsweredCall(request)))
            : found;
        }
        const candidates = policy.kind === "internal" ? internals : authenticators;
        found = await identify(call, candidates);
        if (found.identity === undefined) {
          throw missingCredentials(challengesOf(candidates));
        }
        const asked = decide(policy, call, found.identity);
        if (asked !== undefined) {
          await asked;
        }
        return found;
      } catch (error) {
        const refused = error instanceof ConnectError ? error : toRefusal(error, "authentication");
        const refusal = changed.length === 0 ? refused : refusedAfterGate(refused, changed);
        tell(onDenied, { error: refusal, method: call.method, identity: found.identity });
        throw refusal;
      }
    },
  };
}

/** A rule about methods that the proto file decides about would do nothing, and nobody would notice. */
function checkRulesApply(rules: readonly AuthzRule[], policies: readonly ServicePolicies[]): void {
  const open = policies.flatMap(({ service, methods }) =>
    service.methods.filter(({ localName }) => methods[localName]?.kind === "unspecified"),
  );
  const idle = rules.find(({ methods }) => !open.some(createMethodMatcher(methods)));
  if (idle !== undefined) {
    throw new TypeError(
      `rule ${JSON.stringify(idle.name)} matches no method that its proto file says nothing about, and would do nothing`,
    );
  }
}

function nobodyIn(call: AnsweredCall): Admission {
  return { identity: undefined, identityHeader: undefined, call };
}

/** What a hook does, now or later, must not change the answer. */
async function tell(onDenied: AdmissionOptions["onDenied"], denial: Denial): Promise<void> {
  try {
    await onDenied?.(denial);
  } catch {
    // nobody is there to be told
  }
}

/** Whether a value is one: options may come from JavaScript. */
export function isAuthenticator(value: Authenticator): boolean {
  return typeof value?.authenticate === "function" && Array.isArray(value.identityHeaders);
}
