import type { DescMethod } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import {
  type ContextKey,
  createContextKey,
  type Interceptor,
  type StreamRequest,
  type UnaryRequest,
} from "@connectrpc/connect";
import { askForAuth } from "../credentials/ask-for-auth.js";
import type { Auth } from "../credentials/auth.js";
import {
  type AuthHeaders,
  buildAuthHeaders,
  noCredential,
  staticHeaders,
} from "../credentials/auth-headers.js";
import type { AuthRequest, Credentials } from "../credentials/auth-provider.js";
import type { Challenge } from "../credentials/challenge.js";
import { AuthError, toCallError } from "../errors.js";
import { authorizationHeader, gatewaySecretHeader } from "../headers.js";
import { type MethodPolicy, methodName } from "../policy/method-policy.js";
import { retryAfterUnauthenticated } from "./retry.js";
import { withHeaders } from "./with-headers.js";

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

/** Says that a call has no credential of its own. */
const ofClient: Auth = { type: "none" };

/**
 * The credential of a single call, in place of the client's. Public methods do
 * not get it either, unless `sendOnPublic` says so.
 *
 * ```ts
 * const contextValues = createContextValues().set(callCredentials, Auth.jwt(other));
 * await users.deleteUser({ id }, { contextValues });
 * ```
 */
export const callCredentials: ContextKey<Credentials> =
  /*@__PURE__*/ createContextKey<Credentials>(ofClient);

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
    let first: Presented | undefined;
    try {
      const source = chooseCredentials(init.auth, policy, req);
      first = source && (await present(init, req, policy, source, { reason: "request" }));
    } catch (error) {
      if (policy.kind !== "public") {
        throw toCallError(error, false);
      }
    }
    if (first === undefined || callerSet(req, first)) {
      return next(req);
    }
    const { source, auth: rejected } = first;
    let attempt = withHeaders(req, first.headers);
    if (req.stream) {
      return next(attempt);
    }
    // awaiting takes fewer turns than returning the promise
    return await retryAfterUnauthenticated(
      () => next(attempt),
      async (challenge) => {
        tellRejected(source, rejected, challenge);
        try {
          const why = { reason: "rejected", rejected, challenge } as const;
          const fresh = await present(init, req, policy, source, why);
          attempt = withHeaders(req, fresh.headers);
          return !isSame(fresh.auth, rejected) && !callerSet(req, fresh);
        } catch (error) {
          throw toCallError(error, true);
        }
      },
    );
  };
}

interface Presented {
  readonly source: Credentials;
  readonly auth: Auth;
  readonly headers: AuthHeaders;
}

async function present(
  init: CredentialsInterceptorInit,
  { service, method, url, signal }: UnaryRequest | StreamRequest,
  policy: MethodPolicy,
  source: Credentials,
  why: Pick<AuthRequest, "reason" | "rejected" | "challenge">,
): Promise<Presented> {
  init.checkTarget(url);
  const auth = await askForAuth(source, { service, method, url, policy, signal, ...why });
  // interceptors of a client see POST also where GET goes over the wire
  const isGet =
    init.useHttpGet &&
    method.methodKind === "unary" &&
    method.idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS;
  const target = { htm: isGet ? "GET" : "POST", url };
  return { source, auth, headers: await buildAuthHeaders(auth, target, signal) };
}

/** What a credential source makes of it must not change the answer to the call. */
async function tellRejected(
  source: Credentials,
  auth: Auth,
  challenge: Challenge | undefined,
): Promise<void> {
  try {
    await ("rejected" in source && source.rejected?.(auth, challenge));
  } catch {
    // it could not forget the credential, and is asked for another next
  }
}

/**
 * Whether the caller brought a header of the credential for this call. Then the
 * caller wins. The secret of a gateway vouches for all `x-auth-` headers.
 */
function callerSet({ header }: UnaryRequest | StreamRequest, { headers }: Presented): boolean {
  return (
    [...headers.keys()].some((name) => header.has(name)) ||
    (headers.has(gatewaySecretHeader) &&
      [...header.keys()].some((name) => name.startsWith("x-auth-")))
  );
}

/** Proofs differ each time, so they do not count. */
function isSame(a: Auth, b: Auth): boolean {
  return String([...staticHeaders(a)]) === String([...staticHeaders(b)]);
}

function chooseCredentials(
  auth: AuthOptions,
  policy: MethodPolicy,
  req: UnaryRequest | StreamRequest,
): Credentials | undefined {
  const isPublic = policy.kind === "public";
  if (isPublic && auth.sendOnPublic !== "if-available") {
    return undefined;
  }
  const ofCall = req.contextValues.get(callCredentials);
  if (ofCall !== ofClient) {
    // undefined is not for "as the client": it may be a user who is not signed in
    return ofCall ?? noCredential;
  }
  const option = policy.kind === "internal" ? "internalCredentials" : "credentials";
  const credentials = auth[option];
  if (credentials === undefined && !isPublic && !req.header.has(authorizationHeader)) {
    throw new AuthError(
      "credentials_missing",
      `${methodName(req.method)} needs a client with \`${option}\``,
    );
  }
  return credentials;
}
