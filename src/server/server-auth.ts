import { type ConnectRouter, createContextKey, type Interceptor } from "@connectrpc/connect";
import { checkKnownOptions } from "../known-options.js";
import { runAs } from "./auth-context.js";
import { cleanHeaders, respondWith, setHeaders } from "./authenticate.js";
import { createGatedCalls } from "./gated-calls.js";
import { type AdmissionOptions, createGatekeeper } from "./gatekeeper.js";
import { guardRoutes } from "./guard-routes.js";
import { createHttpGate, type HttpGate } from "./http-gate.js";

/** Options of `createServerAuth`. */
export interface ServerAuthOptions extends AdmissionOptions {}

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
  /**
   * Puts a gate before a handler of a server: calls are refused before their
   * body is read. Connect reads all of it before an interceptor runs, whoever
   * sends it. The handler is `(req, res, …)`, for node:http, node:https and
   * node:http2, Express and Fastify included, or `(request, …)` that returns a
   * `Response`; the gate is of the same type.
   *
   * It judges calls of the methods in `policies`, and answers those that it
   * refuses in their protocol; the interceptors do not judge a call again that
   * passed it, and handlers know its caller. All else goes to the handler as it
   * came: it takes the place of neither `interceptors` nor `guard`.
   *
   * ```ts
   * const handler = connectNodeAdapter({ routes: auth.guard(routes), interceptors: auth.interceptors });
   * http2.createServer(auth.gate(handler));
   * ```
   */
  readonly gate: HttpGate;
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
  const { policies, exempt = [] } = options;
  const { admit, authenticators } = createGatekeeper(options);
  const identityHeaders = authenticators.flatMap((authenticator) => authenticator.identityHeaders);
  const gatedCalls = createGatedCalls(identityHeaders);
  // Tells calls that passed this very instance from others.
  const passedKey = createContextKey(false, { description: "connectrpc-auth: call has passed" });

  const interceptor: Interceptor = (next) => async (req) => {
    if (req.contextValues.get(passedKey)) {
      return next(req); // it stands in the chain twice
    }
    const { identity, identityHeader, call } =
      gatedCalls.take(req) ?? (await admit(req, gatedCalls.changedIn(req)));
    const contextValues = cleanHeaders(req, identityHeaders).set(passedKey, true);
    setHeaders(req.header, identityHeader);
    const respond = () => runAs(identity, next, req, contextValues);
    return await (call.hasResponseHeader ? respondWith(call, respond) : respond());
  };

  return {
    interceptors: [interceptor],
    guard: (routes) => guardRoutes(routes, { interceptor, passedKey, policies, exempt }),
    gate: createHttpGate({ admit, gatedCalls, policies, exempt }),
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
