import type { DescMethod } from "@bufbuild/protobuf";
import {
  ConnectError,
  type ConnectRouter,
  createContextKey,
  type Interceptor,
} from "@connectrpc/connect";
import { checkKnownOptions } from "../known-options.js";
import { checkTables } from "../policy/check-tables.js";
import { createMethodMatcher } from "../policy/method-pattern.js";
import type { ServicePolicies } from "../policy/method-policy.js";
import { createPolicyLookup } from "../policy/policy-lookup.js";
import { type AuthContext, ownValues, runAs } from "./auth-context.js";
import {
  type Authenticator,
  challengesOf,
  deleteHeaders,
  type IncomingCall,
  identifyBy,
  respondWith,
} from "./authenticate.js";
import { createDecision, type FallbackOptions } from "./decide.js";
import { guardRoutes } from "./guard-routes.js";
import { AuthzDeniedError, invalidCredentials, missingCredentials } from "./refusal.js";

/** Options of `createServerAuth`. */
export interface ServerAuthOptions extends FallbackOptions {
  /** The policy tables of all services that are served, from their `_auth` files. */
  readonly policies: readonly ServicePolicies[];
  /**
   * How users are authenticated: one `AuthInterceptor`, or several, of which
   * the first whose credential a call has decides.
   */
  readonly authenticate: Authenticator | readonly Authenticator[];
  /**
   * How other services are authenticated, for internal methods. Default: none,
   * and internal methods are refused.
   */
  readonly internal?: Authenticator;
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

/** Authentication and authorization of a server, in the right order. */
export interface ServerAuth {
  /** For the `interceptors` of the adapter or router. */
  readonly interceptors: Interceptor[];
  /**
   * Wraps the routes of the server: no handler runs unless the interceptors
   * let the call pass, also where they were forgotten, or replaced by those of
   * one service. Throws `TypeError` at start-up where a served method has no
   * policy, a table no served service, or an exempt pattern no served method;
   * so each server, or adapter, needs a `createServerAuth` of its own. Routes
   * must not be async.
   */
  guard(routes: (router: ConnectRouter) => unknown): (router: ConnectRouter) => void;
}

/**
 * Secures a server: authentication by the first of `authenticate` whose
 * credential a call has, internal calls by `internal`, then the policy of the
 * method. A method that is not public needs an identity in any case. A method
 * without a policy is refused.
 *
 * ```ts
 * const auth = createServerAuth({
 *   policies: [UserServicePolicies],
 *   authenticate: createJwtAuthInterceptor({ jwksUri, issuer, audience, algorithms: ["ES256"] }),
 * });
 * connectNodeAdapter({ routes: auth.guard(routes), interceptors: auth.interceptors });
 * ```
 */
export function createServerAuth(options: ServerAuthOptions): ServerAuth {
  checkKnownOptions("createServerAuth", options, optionNames);
  const { exempt = [], identifyOnPublic = false, onDenied } = options;
  if (exempt.includes("*")) {
    throw new TypeError('exempt "*" would switch off every check; name the services');
  }
  const isExempt = createMethodMatcher(exempt);
  const authenticators = [options.authenticate].flat();
  const internals = options.internal === undefined ? [] : [options.internal];
  if (authenticators.length === 0 || !authenticators.every(isAuthenticator)) {
    throw new TypeError("authenticate must be one or more authentication interceptors");
  }
  if (!internals.every(isAuthenticator)) {
    throw new TypeError("internal must be an authentication interceptor");
  }
  const identityHeaders = [...authenticators, ...internals].flatMap(
    (authenticator) => authenticator.identityHeaders,
  );
  checkTables(options.policies);
  const policies = createPolicyLookup(options.policies);
  const decide = createDecision(options);
  // Tells calls that passed this very instance from others.
  const passedKey = createContextKey(false, { description: "connectrpc-auth: call has passed" });

  async function identify(
    call: IncomingCall,
    by: readonly Authenticator[],
  ): Promise<AuthContext | undefined> {
    for (const authenticator of by) {
      const identity = await identifyBy(authenticator, call);
      if (identity !== undefined) {
        return identity;
      }
    }
    return undefined;
  }

  /** Who is calling, where the call may pass. Throws where not. */
  async function admit(call: IncomingCall): Promise<AuthContext | undefined> {
    if (isExempt(call.method)) {
      return undefined;
    }
    let identity: AuthContext | undefined;
    try {
      const policy = policies.get(call.method);
      if (policy === undefined) {
        throw new AuthzDeniedError({ ruleName: "no policy" });
      }
      if (policy.kind === "public") {
        return identifyOnPublic
          ? await identify(call, authenticators).catch(() => undefined)
          : undefined;
      }
      const by = policy.kind === "internal" ? internals : authenticators;
      identity = await identify(call, by);
      if (identity === undefined) {
        throw missingCredentials(challengesOf(by));
      }
      await decide(policy, call.method, identity);
      return identity;
    } catch (error) {
      const refusal = toRefusal(error);
      tell(onDenied, { error: refusal, method: call.method, identity });
      throw refusal;
    }
  }

  const interceptor: Interceptor = (next) => async (req) => {
    if (req.contextValues.get(passedKey)) {
      return next(req); // it stands in the chain twice
    }
    const responseHeader = new Headers();
    const identity = await admit({ ...req, responseHeader });
    deleteHeaders(req.header, identityHeaders);
    const contextValues = ownValues(req.contextValues).set(passedKey, true);
    const res = await runAs(identity, next, { ...req, contextValues });
    return respondWith(responseHeader, res);
  };

  return {
    interceptors: [interceptor],
    guard: (routes) =>
      guardRoutes(routes, { interceptor, passedKey, policies: options.policies, exempt }),
  };
}

const optionNames: Record<keyof ServerAuthOptions, true> = {
  policies: true,
  authenticate: true,
  internal: true,
  rules: true,
  authorize: true,
  defaultPolicy: true,
  exempt: true,
  identifyOnPublic: true,
  onDenied: true,
};

/** What a hook does, now or later, must not change the answer. */
async function tell(onDenied: ServerAuthOptions["onDenied"], denial: Denial): Promise<void> {
  try {
    await onDenied?.(denial);
  } catch {
    // nobody is there to be told
  }
}

function isAuthenticator(value: Authenticator): boolean {
  return typeof value?.authenticate === "function" && Array.isArray(value.identityHeaders);
}

/** An authentication that fails in a way of its own has not accepted the credential. */
function toRefusal(error: unknown): ConnectError {
  if (error instanceof ConnectError) {
    return error;
  }
  const refusal = invalidCredentials("the authentication failed");
  refusal.cause = error;
  return refusal;
}
