import type { DescMethod } from "@bufbuild/protobuf";
import {
  ConnectError,
  type ContextKey,
  type ContextValues,
  type Interceptor,
} from "@connectrpc/connect";
import { AUTH_HEADERS } from "../headers.js";
import { createMethodMatcher } from "../policy/method-pattern.js";
import { type AuthContext, authContextKey, ownValues, runAs } from "./auth-context.js";
import { checkIdentity } from "./check-identity.js";
import { type PropagationOptions, setAuthHeaders } from "./propagate-headers.js";
import { invalidCredentials, missingCredentials, toRefusal } from "./refusal.js";

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
   * Throws `Unauthenticated` for a bad one, `PermissionDenied` for one that
   * does not count where the call comes from, `Unavailable` where it cannot be
   * judged.
   */
  authenticate(call: IncomingCall): Promise<AuthContext | undefined>;
  /**
   * Headers that only this authentication may read, in lower case. They are
   * deleted before a handler runs, whoever sent them. `x-auth-*` always are.
   */
  readonly identityHeaders: readonly string[];
  /** What `WWW-Authenticate` says to calls without this credential. Left out: nothing. */
  readonly challenge?: string;
  /** Writes an identity into the headers that handlers see. Left out: it stands in none. */
  propagate?(header: Headers, identity: AuthContext): void;
}

/**
 * An interceptor that authenticates calls, and whose `authenticate` other
 * parts use: `createServerAuth` takes one or several.
 */
export interface AuthInterceptor extends Interceptor, Authenticator {}

/** Options that all authentication interceptors have. */
export interface CommonAuthOptions extends PropagationOptions {
  /**
   * Methods that need no credential, as method patterns. An identity that an
   * interceptor before this one found stays. Default: none.
   */
  readonly skipMethods?: readonly string[];
}

/** The names of `CommonAuthOptions`, for `checkKnownOptions`. */
export const commonOptionNames: Readonly<Record<keyof CommonAuthOptions, true>> = {
  skipMethods: true,
  propagateHeaders: true,
  propagatedClaims: true,
};

/** Headers that carry an identity, so that no handler takes what a caller wrote for one. */
const authHeaders: ReadonlySet<string> = new Set(Object.values(AUTH_HEADERS));

/** Whether an interceptor before has deleted the `x-auth-*` headers of the caller: others are ours. */
const cleanedKey: ContextKey<boolean> = {
  id: Symbol.for("connectrpc-auth: identity headers of the caller are deleted"),
  defaultValue: false,
};

/** Makes an interceptor of an authentication: calls without its credential are refused. */
export function createAuthenticatingInterceptor(
  authenticator: Authenticator,
  options: CommonAuthOptions,
): AuthInterceptor {
  const { skipMethods = [], propagateHeaders = false, propagatedClaims } = options;
  if (typeof propagateHeaders !== "boolean") {
    throw new TypeError(
      `propagateHeaders ${JSON.stringify(propagateHeaders)} must be true or false`,
    );
  }
  // undefined by mistake would write all claims
  if ("propagatedClaims" in options && !Array.isArray(propagatedClaims)) {
    throw new TypeError("propagatedClaims must be a list of claim names");
  }
  const isSkipped = createMethodMatcher(skipMethods);
  const complete: Authenticator = {
    ...authenticator,
    ...(propagateHeaders && {
      propagate: (header, identity) => setAuthHeaders(header, identity, propagatedClaims),
    }),
  };
  const interceptor: Interceptor = (next) => async (req) => {
    if (isSkipped(req.method)) {
      const contextValues = cleanHeaders(req, complete.identityHeaders);
      // a call within a call is not that of the outer caller
      return runAs(contextValues.get(authContextKey), next, req, contextValues);
    }
    const call = new AnsweredCall(req);
    const identity = await identifyBy(complete, call);
    if (identity === undefined) {
      throw missingCredentials(challengesOf([complete]));
    }
    const identityHeader = identityHeaderOf(complete, identity);
    const contextValues = cleanHeaders(req, complete.identityHeaders);
    setHeaders(req.header, identityHeader);
    const respond = () => runAs(identity, next, req, contextValues);
    return await (call.hasResponseHeader ? respondWith(call, respond) : respond());
  };
  return Object.assign(interceptor, complete);
}

/**
 * Who is calling. `null` counts as `undefined`. What is no identity is refused:
 * it would pass where any identity does. So is a call where the authentication
 * fails in a way of its own: it has not accepted the credential.
 */
export async function identifyBy(
  authenticator: Authenticator,
  call: IncomingCall,
): Promise<AuthContext | undefined> {
  try {
    const identity: AuthContext | null | undefined = await authenticator.authenticate(call);
    return identity === undefined || identity === null ? undefined : checkIdentity(identity);
  } catch (error) {
    throw toRefusal(error, "authentication");
  }
}

/**
 * The headers that tell handlers the identity, where the authentication that
 * found it is to write some. Throws `Unauthenticated` where none can carry it.
 */
export function identityHeaderOf(by: Authenticator, identity: AuthContext): Headers | undefined {
  if (by.propagate === undefined) {
    return undefined;
  }
  const header = new Headers();
  try {
    by.propagate(header, identity);
  } catch (error) {
    throw invalidCredentials(
      `propagateHeaders: ${error instanceof Error ? error.message : "failed"}`,
    );
  }
  return header;
}

/** Sets headers in others, in place of those of the same name. */
export function setHeaders(header: Headers, values: Headers | undefined): void {
  for (const [name, value] of values ?? []) {
    header.set(name, value);
  }
}

/**
 * Deletes the headers that carry identities: these, and the `x-auth-*` that
 * the caller wrote. Returns context values of the call's own, which say so to
 * interceptors that follow.
 */
export function cleanHeaders(
  req: { readonly header: Headers; readonly contextValues: ContextValues },
  identityHeaders: readonly string[],
): ContextValues {
  const others = req.contextValues.get(cleanedKey) ? noHeaders : authHeaders;
  deleteHeaders(req.header, identityHeaders, others);
  return ownValues(req.contextValues).set(cleanedKey, true);
}

/** A call as authentication sees it, with headers for its response that are made when they are needed. */
export class AnsweredCall implements IncomingCall {
  readonly header: Headers;
  readonly url: string;
  readonly requestMethod: string;
  readonly method: DescMethod;
  readonly signal: AbortSignal;
  #responseHeader: Headers | undefined;

  constructor({
    header,
    url,
    requestMethod,
    method,
    signal,
  }: Omit<IncomingCall, "responseHeader">) {
    this.header = header;
    this.url = url;
    this.requestMethod = requestMethod;
    this.method = method;
    this.signal = signal;
  }

  get responseHeader(): Headers {
    this.#responseHeader ??= new Headers();
    return this.#responseHeader;
  }

  /** Whether there is anything in `responseHeader`. */
  get hasResponseHeader(): boolean {
    return this.#responseHeader !== undefined;
  }
}

/**
 * Adds the headers of an answered call to its response, or to the error in its
 * place. Those of a stream are sent with its first message.
 */
export async function respondWith<T extends { readonly header: Headers }>(
  call: AnsweredCall,
  respond: () => Promise<T>,
): Promise<T> {
  try {
    const res = await respond();
    setHeaders(res.header, call.responseHeader);
    return res;
  } catch (error) {
    if (error instanceof ConnectError) {
      setHeaders(error.metadata, call.responseHeader);
    }
    throw error;
  }
}

/** What to say to a call that has none of these credentials. */
export function challengesOf(authenticators: readonly Authenticator[]): string[] {
  return authenticators.flatMap(({ challenge }) => challenge ?? []);
}

const noHeaders: ReadonlySet<string> = new Set();

/**
 * Deletes headers, and those that differ in punctuation only: PHP, WSGI and
 * others make one variable of `x-auth-subject`, `x_auth_subject` and
 * `x.auth.subject`.
 */
export function deleteHeaders(
  header: Headers,
  names: readonly string[],
  others: ReadonlySet<string> = noHeaders,
): void {
  if (names.length === 0 && others.size === 0) {
    return;
  }
  for (const sent of [...header.keys()]) {
    const name = withHyphens(sent);
    if (others.has(name) || names.includes(name) || names.includes(sent)) {
      header.delete(sent);
    }
  }
}

/** The spelling of a header with hyphens for punctuation of any kind. */
export function withHyphens(name: string): string {
  return /[^a-z0-9-]/.test(name) ? name.replace(/[^a-z0-9-]/g, "-") : name;
}
