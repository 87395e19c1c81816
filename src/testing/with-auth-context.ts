import { type AuthContext, runInContext } from "../server/auth-context.js";

/**
 * Runs a function as this caller: `getAuthContext()` and `requireAuthContext()`
 * find the identity in it, and in what it awaits. `undefined`: nobody is
 * calling. Returns what the function returns; what it throws is thrown.
 *
 * The messages of a streaming handler must be read within the function: its
 * body runs when they are. A handler that reads `authContextKey` from its
 * `HandlerContext` needs a call through `inMemory`.
 *
 * ```ts
 * const answer = await withAuthContext(createMockAuthContext({ roles: ["admin"] }), () =>
 *   deleteUser({ id: "42" }),
 * );
 * ```
 */
export function withAuthContext<T>(context: AuthContext | undefined, fn: () => T): T {
  return runInContext(context, fn);
}
