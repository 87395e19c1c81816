import type { Interceptor } from "@connectrpc/connect";
import { checkKnownOptions } from "../known-options.js";
import { createMethodMatcher } from "../policy/method-pattern.js";
import { authContextKey } from "./auth-context.js";
import { createDecision, type FallbackOptions } from "./decide.js";

/** Options of `createAuthzInterceptor`. */
export interface AuthzInterceptorOptions extends FallbackOptions {
  /** Methods that are not decided about, as method patterns. Default: none. */
  readonly skipMethods?: readonly string[];
}

/**
 * Decides by rules in code, for services whose proto files say nothing about
 * access: the first of `rules` that matches, then `authorize`, then
 * `defaultPolicy`. The options of proto files are not looked at;
 * `createProtoAuthzInterceptor` does that, and falls back to the same rules.
 *
 * Refuses with `PermissionDenied` (`AuthzDeniedError`), and with
 * `Unauthenticated` where an identity is needed and no authentication
 * interceptor before it found one.
 *
 * ```ts
 * createAuthzInterceptor({
 *   rules: [
 *     { name: "public", methods: ["public.v1.PublicService/*"], effect: "allow" },
 *     { name: "admin", methods: ["admin.v1.AdminService/*"], requires: { roles: ["admin"] }, effect: "allow" },
 *   ],
 * });
 * ```
 */
export function createAuthzInterceptor(options: AuthzInterceptorOptions = {}): Interceptor {
  checkKnownOptions("createAuthzInterceptor", options, optionNames);
  const isSkipped = createMethodMatcher(options.skipMethods ?? []);
  const decide = createDecision(options);
  return (next) => async (req) => {
    if (!isSkipped(req.method)) {
      await decide({ kind: "unspecified" }, req, req.contextValues.get(authContextKey));
    }
    return next(req);
  };
}

const optionNames: Record<keyof AuthzInterceptorOptions, true> = {
  rules: true,
  authorize: true,
  defaultPolicy: true,
  skipMethods: true,
};
