import type { DescMethod } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import {
  type ContextKey,
  createContextKey,
  type Interceptor,
  type StreamRequest,
  type UnaryRequest,
} from "@connectrpc/connect";
import type { Auth } from "../credentials/auth.js";
import { type AuthHeaders, buildAuthHeaders } from "../credentials/auth-headers.js";
import type { AuthRequest, Credentials } from "../credentials/auth-provider.js";
import { AuthError, isAuthError, toConnectError } from "../errors.js";
import { authorizationHeader, dpopHeader } from "../headers.js";
import { type MethodPolicy, methodName } from "../policy/method-policy.js";
import { askForAuth } from "./ask-for-auth.js";
import { retryAfterUnauthenticated } from "./retry.js";

/** Which credentials a transport holds, and how it uses them. */
export interface AuthOptions {
  /** For the methods that users call: all that are neither public nor internal. */
  credentials?: Credentials | undefined;
  /** For internal methods: how this service proves that it is one. */
  internalCredentials?: Credentials | undefined;
  /**
   * Send credentials over plain http to other hosts than loopback. Only where
   * something else encrypts, such as the sidecar of a service mesh: everyone on
   * the way can read and use them. Default: false.
   */
  allowInsecureTransport?: boolean;
  /**
   * `if-available`: send `credentials` to public methods as well, to servers
   * that show more to those they know. A public call does not fail for want of
   * a credential. Default: `never`.
   */
  sendOnPublic?: "never" | "if-available";
}

/**
 * The credential of a single call, in place of the client's. Public methods do
 * not get it either, unless `sendOnPublic` says so.
 *
 * ```ts
 * const contextValues = createContextValues().set(callCredentials, Auth.jwt(other));
 * await users.deleteUser({ id }, { contextValues });
 * ```
 */
export const callCredentials: ContextKey<Credentials | undefined> = /*@__PURE__*/ createContextKey<
  Credentials | undefined
>(undefined, {
  description: "connectrpc-auth: credentials of a call",
});

/** What the interceptor knows beside the options of the user. */
export interface CredentialsInterceptorInit {
  readonly auth: AuthOptions;
  readonly policyOf: (method: DescMethod) => MethodPolicy;
  /** Throws `AuthError` where a credential must not go to this URL. */
  readonly checkTarget: (url: string) => void;
  /** Whether the transport sends methods without side effects as GET. */
  readonly useHttpGet: boolean;
}

/**
 * Attaches credentials to calls, by the policy of the method. It belongs
 * innermost: then no other interceptor sees what it attaches, and one that
 * retries gets a fresh credential each time. It holds no state.
 */
export function createCredentialsInterceptor(init: CredentialsInterceptorInit): Interceptor {
  return (next) => async (req) => {
    const policy = init.policyOf(req.method);
    const isPublic = policy.kind === "public";
    let credentials: Credentials | undefined;
    let presented: Presented | undefined;
    try {
      credentials = chooseCredentials(init.auth, policy, req);
      if (credentials !== undefined) {
        init.checkTarget(req.url);
        presented = await present(init, req, policy, credentials, { reason: "request" });
      }
    } catch (error) {
      if (!isPublic) {
        throw isAuthError(error) ? toConnectError(error) : error;
      }
    }
    if (credentials === undefined || presented === undefined) {
      return next(req);
    }
    const { auth, headers } = presented;
    if (callerSetOneOf(req, headers)) {
      return next(req);
    }
    let attempt = withHeaders(req, headers);
    if (req.stream) {
      return next(attempt);
    }
    const source = credentials;
    return retryAfterUnauthenticated(
      () => next(attempt),
      async (challenge) => {
        if (typeof source === "object" && "rejected" in source) {
          source.rejected?.(auth, challenge);
        }
        const fresh = await present(init, req, policy, source, {
          reason: "rejected",
          rejected: auth,
          ...(challenge && { challenge }),
        });
        if (sameCredential(headers, fresh.headers) || callerSetOneOf(req, fresh.headers)) {
          return false;
        }
        attempt = withHeaders(req, fresh.headers);
        return true;
      },
    );
  };
}

interface Presented {
  readonly auth: Auth;
  readonly headers: AuthHeaders;
}

async function present(
  init: CredentialsInterceptorInit,
  req: UnaryRequest | StreamRequest,
  policy: MethodPolicy,
  credentials: Credentials,
  why: Pick<AuthRequest, "reason" | "rejected" | "challenge">,
): Promise<Presented> {
  const { service, method, url, signal } = req;
  const auth = await askForAuth(credentials, { service, method, url, policy, signal, ...why });
  const isGet =
    init.useHttpGet &&
    method.methodKind === "unary" &&
    method.idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS;
  // interceptors of a client see POST also where GET goes over the wire
  const headers = await buildAuthHeaders(auth, { httpMethod: isGet ? "GET" : "POST", url });
  return { auth, headers };
}

/**
 * The request with a credential. A copy: the interceptors around this one hold
 * the request as it came, and still do when they log it, or call again, after
 * the answer.
 */
function withHeaders<R extends UnaryRequest | StreamRequest>(req: R, headers: AuthHeaders): R {
  const header = new Headers(req.header);
  for (const [name, value] of headers) {
    header.set(name, value);
  }
  return { ...req, header };
}

/** Whether the caller brought a header of the credential for this call. Then the caller wins. */
function callerSetOneOf(req: UnaryRequest | StreamRequest, headers: AuthHeaders): boolean {
  return [...headers.keys()].some((name) => req.header.has(name));
}

/** Proofs differ each time, so they do not count. */
function sameCredential(a: AuthHeaders, b: AuthHeaders): boolean {
  return (
    a.size === b.size &&
    [...a].every(([name, value]) => name === dpopHeader || b.get(name) === value)
  );
}

function chooseCredentials(
  auth: AuthOptions,
  policy: MethodPolicy,
  req: UnaryRequest | StreamRequest,
): Credentials | undefined {
  const forCall = req.contextValues.get(callCredentials);
  if (policy.kind === "public") {
    return auth.sendOnPublic === "if-available" ? (forCall ?? auth.credentials) : undefined;
  }
  const option = policy.kind === "internal" ? "internalCredentials" : "credentials";
  const credentials = forCall ?? auth[option];
  if (credentials === undefined && !req.header.has(authorizationHeader)) {
    throw new AuthError(
      "credentials_missing",
      `${methodName(req.method)} needs \`${option}\`, which this client was made without`,
    );
  }
  return credentials;
}
