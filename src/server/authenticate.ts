import type { DescMethod } from "@bufbuild/protobuf";
import type { Interceptor } from "@connectrpc/connect";
import { createMethodMatcher } from "../policy/method-pattern.js";
import { type AuthContext, authContextKey, runAs } from "./auth-context.js";
import { invalidCredentials, missingCredentials } from "./refusal.js";

/** What authentication sees of a call. Every request of a Connect interceptor is one. */
export interface IncomingCall {
  readonly header: Headers;
  /** The URL as the client sent it, its host included. */
  readonly url: string;
  /** The HTTP method. */
  readonly requestMethod: string;
  readonly method: DescMethod;
  readonly signal: AbortSignal;
  /** Takes headers for the response, which are sent where the call succeeds. Left out: none are sent. */
  readonly responseHeader?: Headers;
}

/** Finds out who is calling. */
export interface Authenticator {
  /**
   * Who is calling. `undefined`: the call has no credential of this kind.
   * Throws `Unauthenticated` for a bad one, `Unavailable` where it cannot be
   * judged.
   */
  authenticate(call: IncomingCall): Promise<AuthContext | undefined>;
  /**
   * Headers that only this authentication may read, in lower case. They are
   * deleted before a handler runs, whoever sent them.
   */
  readonly identityHeaders: readonly string[];
  /** What `WWW-Authenticate` says to calls without this credential. Left out: nothing. */
  readonly challenge?: string;
}

/**
 * An interceptor that authenticates calls, and whose `authenticate` other
 * parts use: `createServerAuth` takes one or several.
 */
export interface AuthInterceptor extends Interceptor, Authenticator {}

/** Makes an interceptor of an authentication: calls without its credential are refused. */
export function createAuthenticatingInterceptor(
  authenticator: Authenticator,
  skipMethods: Iterable<string> = [],
): AuthInterceptor {
  const isSkipped = createMethodMatcher(skipMethods);
  const interceptor: Interceptor = (next) => async (req) => {
    let context = req.contextValues.get(authContextKey);
    const responseHeader = new Headers();
    if (!isSkipped(req.method)) {
      context = await identifyBy(authenticator, { ...req, responseHeader });
      if (context === undefined) {
        throw missingCredentials(challengesOf([authenticator]));
      }
    }
    deleteHeaders(req.header, authenticator.identityHeaders);
    return respondWith(responseHeader, await runAs(context, next, req));
  };
  return Object.assign(interceptor, authenticator);
}

/**
 * Who is calling. `null` counts as `undefined`. What is no identity is refused:
 * it would pass where any identity does.
 */
export async function identifyBy(
  authenticator: Authenticator,
  call: IncomingCall,
): Promise<AuthContext | undefined> {
  const identity: Partial<AuthContext> | null | undefined = await authenticator.authenticate(call);
  if (identity === undefined || identity === null) {
    return undefined;
  }
  const { subject, roles, scopes } = identity;
  if (typeof subject !== "string" || !subject || !Array.isArray(roles) || !Array.isArray(scopes)) {
    throw invalidCredentials("the authentication returned something that is no identity");
  }
  return identity as AuthContext;
}

/** Adds headers to a response. Those of a stream are sent with its first message, which is later. */
export function respondWith<T extends { readonly header: Headers }>(
  responseHeader: Headers,
  res: T,
): T {
  for (const [name, value] of responseHeader) {
    res.header.set(name, value);
  }
  return res;
}

/** What to say to a call that has none of these credentials. */
export function challengesOf(authenticators: readonly Authenticator[]): string[] {
  return authenticators.flatMap(({ challenge }) => challenge ?? []);
}

/**
 * Deletes headers, and those that differ in case and underscores only: some
 * gateways and frameworks take `x_auth_subject` for `x-auth-subject`.
 */
export function deleteHeaders(header: Headers, names: readonly string[]): void {
  if (names.length === 0) {
    return;
  }
  for (const name of [...header.keys()]) {
    if (names.includes(name.replaceAll("_", "-"))) {
      header.delete(name);
    }
  }
}
