import type { Interceptor } from "@connectrpc/connect";
import { checkKnownOptions } from "../known-options.js";
import { createMethodMatcher } from "../policy/method-pattern.js";
import { type AuthContext, authContextKey, runAs } from "./auth-context.js";
import {
  type Authenticator,
  type AuthInterceptor,
  challengesOf,
  cleanHeaders,
  createAuthenticatingInterceptor,
  type IncomingCall,
} from "./authenticate.js";
import { isAuthenticator } from "./gatekeeper.js";
import type { PropagationOptions } from "./propagate-headers.js";
import { toRefusal } from "./refusal.js";

/** Options of `createInternalAuthInterceptor`. Headers are written as these options say, not those of a trust source. */
export interface InternalAuthInterceptorOptions extends PropagationOptions {
  /**
   * How other services prove who they are: `meshIdentityTrust`,
   * `signedTokenTrust`, `sharedSecretTrust`, or any authentication interceptor.
   * Of several, the first whose credential a call has decides.
   */
  readonly trustSource: Authenticator | readonly Authenticator[];
  /**
   * The methods that only other services may call, as method patterns:
   * `getInternalMethods([UserService])`, or of the generated tables.
   */
  readonly internalMethods: readonly string[];
}

/**
 * Authenticates other services on internal methods, whoever else called: an
 * identity that an interceptor before this one found does not count there.
 * Other methods pass as they are, without the headers of the trust sources.
 *
 * It belongs after the interceptors that authenticate users, which must skip
 * the internal methods, and before the one that authorizes. One that reads
 * `x-auth-*`, a gateway, has to be the first of all, because each deletes them.
 * `createServerAuth` has no need of any order: its `internal` takes the trust
 * sources.
 *
 * Refuses with `Unauthenticated`: a call of an internal method without the
 * credential of a trust source, or with a bad one. Throws `TypeError` without
 * a trust source, and for an empty list of methods, because nothing would be
 * protected.
 *
 * ```ts
 * const internalMethods = getInternalMethods([UserService]);
 * const interceptors = [
 *   createJwtAuthInterceptor({ jwksUri, issuer, audience, skipMethods: [...getPublicMethods([UserService]), ...internalMethods] }),
 *   createInternalAuthInterceptor({ trustSource: sharedSecretTrust({ secret }), internalMethods }),
 *   createProtoAuthzInterceptor(),
 * ];
 * ```
 */
export function createInternalAuthInterceptor(
  options: InternalAuthInterceptorOptions,
): AuthInterceptor {
  checkKnownOptions("createInternalAuthInterceptor", options, optionNames);
  const { trustSource, internalMethods, ...propagation } = options;
  const sources = [trustSource].flat();
  if (sources.length === 0 || !sources.every(isAuthenticator)) {
    throw new TypeError(
      "trustSource must be one or more trust sources or authentication interceptors",
    );
  }
  if (!Array.isArray(internalMethods) || internalMethods.length === 0) {
    throw new TypeError("internalMethods must be a list of one or more method patterns");
  }
  const isInternal = createMethodMatcher(internalMethods);
  const challenges = challengesOf(sources);
  const identityHeaders = [...new Set(sources.flatMap((source) => source.identityHeaders))];

  async function authenticate(call: IncomingCall): Promise<AuthContext | undefined> {
    if (!isInternal(call.method)) {
      return undefined; // a service is no user
    }
    try {
      for (const source of sources) {
        const identity = await source.authenticate(call);
        if (identity) {
          return identity;
        }
      }
      return undefined;
    } catch (error) {
      throw toRefusal(error, "trustSource");
    }
  }

  const asService = createAuthenticatingInterceptor(
    {
      identityHeaders,
      ...(challenges.length > 0 && { challenge: challenges.join(", ") }),
      authenticate,
    },
    propagation,
  );
  const interceptor: Interceptor = (next) => {
    const callAsService = asService(next);
    return async (req) => {
      if (isInternal(req.method)) {
        return callAsService(req);
      }
      const contextValues = cleanHeaders(req, identityHeaders);
      return runAs(contextValues.get(authContextKey), next, req, contextValues);
    };
  };
  return Object.assign(interceptor, { ...asService });
}

const optionNames: Record<keyof InternalAuthInterceptorOptions, true> = {
  trustSource: true,
  internalMethods: true,
  propagateHeaders: true,
  propagatedClaims: true,
};
