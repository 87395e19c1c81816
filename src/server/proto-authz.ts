import type { Interceptor } from "@connectrpc/connect";
import { checkKnownOptions } from "../known-options.js";
import { checkOptionsSchema } from "../policy/options-schema.js";
import { resolveMethodPolicy } from "../policy/resolve-method-auth.js";
import { authContextKey } from "./auth-context.js";
import { createDecision, type FallbackOptions } from "./decide.js";

/** Options of `createProtoAuthzInterceptor`. */
export interface ProtoAuthzInterceptorOptions extends FallbackOptions {}

/**
 * Enforces the options of the proto file. It reads them from the descriptor of
 * the method, and the identity that an authentication interceptor before it
 * found. Where the proto file says nothing: `rules`, then `authorize`, then
 * `defaultPolicy`.
 *
 * Refuses with `PermissionDenied` (`AuthzDeniedError`), and with
 * `Unauthenticated` where an identity is needed and there is none.
 *
 * It takes any identity for an internal caller: which callers can have one on
 * internal methods is up to the interceptors before it. `createServerAuth`
 * wires both parts.
 *
 * ```ts
 * const publicMethods = getPublicMethods([UserService]);
 * const interceptors = [
 *   createJwtAuthInterceptor({ jwksUri, issuer, audience, skipMethods: publicMethods }),
 *   createProtoAuthzInterceptor(),
 * ];
 * ```
 */
export function createProtoAuthzInterceptor(
  options: ProtoAuthzInterceptorOptions = {},
): Interceptor {
  checkKnownOptions("createProtoAuthzInterceptor", options, optionNames);
  const decide = createDecision(options);
  return (next) => async (req) => {
    checkOptionsSchema(req.method);
    await decide(resolveMethodPolicy(req.method), req, req.contextValues.get(authContextKey));
    return next(req);
  };
}

const optionNames: Record<keyof ProtoAuthzInterceptorOptions, true> = {
  rules: true,
  authorize: true,
  defaultPolicy: true,
};
