import type { DescMethod } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import type { ContextKey, Interceptor } from "@connectrpc/connect";
import { askForAuth, isConstant } from "../credentials/ask-for-auth.js";
import type { Auth } from "../credentials/auth.js";
import {
  type AuthHeaders,
  buildAuthHeaders,
  dpopOf,
  noCredential,
  staticHeaders,
} from "../credentials/auth-headers.js";
import type { AuthRequest, Credentials } from "../credentials/auth-provider.js";
import { isSameAuth } from "../credentials/is-same-auth.js";
import { obtain } from "../credentials/obtain.js";
import { AuthError, toCallError } from "../errors.js";
import { authorizationHeader, dpopNonceHeader, gatewaySecretHeader } from "../headers.js";
import { type MethodPolicy, methodName } from "../policy/method-policy.js";
import { type Call, keepRequest, sendAndRetry } from "./retry.js";
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
  allowInsecureTransport?: boolean | undefined;
  /**
   * `if-available`: send `credentials` to public methods as well, to servers
   * that show more to those they know. A public call does not fail for want of
   * a credential: it goes without where none comes within a second, and where
   * the server refuses it. Default: `never`.
   */
  sendOnPublic?: "never" | "if-available" | undefined;
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
export const callCredentials: ContextKey<Credentials> = {
  id: /*@__PURE__*/ Symbol(),
  defaultValue: ofClient,
};

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
    const { service, method, url } = req;
    const policy = init.policyOf(method);
    const isPublic = policy.kind === "public";
    const source = chooseCredentials(init.auth, policy, req);
    if (!source) {
      return next(req);
    }

    const signal = isPublic ? AbortSignal.timeout(1000) : req.signal;
    let nonce: string | null | undefined;
    let auth: Auth = ofClient;
    let headers: AuthHeaders = staticHeaders(auth);
    const present = async () => {
      // interceptors of a client see POST also where GET goes over the wire
      const isGet =
        init.useHttpGet &&
        !req.stream &&
        method.idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS;
      const htm = isGet ? "GET" : "POST";
      headers = await buildAuthHeaders(auth, { htm, url, nonce }, signal);
    };
    const ask = async (why: Pick<AuthRequest, "reason" | "rejected" | "challenge">) => {
      init.checkTarget(url);
      auth = await askForAuth(source, { service, method, url, policy, signal, ...why });
      await present();
    };
    try {
      await ask({ reason: "request" });
    } catch (error) {
      if (!isPublic) {
        throw toCallError(error, false);
      }
      return next(req);
    }
    if (callerSet(req, headers)) {
      return next(req);
    }

    const isDpop = dpopOf(auth);
    // the other streams have sent messages that are gone. A constant is not sent
    // again, so that the first message of a stream need not be waited for
    const isRepeatable =
      !req.stream ||
      (method.methodKind === "server_streaming" && (!isConstant(source) || isDpop !== undefined));
    const call = req.stream && isRepeatable ? await keepRequest(req) : req;
    // one retry, and before and after it one more for a nonce
    let isRenewed = false;
    let hasNonce = false;
    return await sendAndRetry(
      () => next(withHeaders(call, headers)),
      isRepeatable,
      isDpop ? "dpop" : "bearer",
      (header) => {
        nonce = header.get(dpopNonceHeader);
        try {
          dpopOf(auth)?.onNonce?.(nonce, url);
        } catch {
          // the server has answered, and that counts
        }
      },
      async (challenge, mayRepeat) => {
        const rejected = auth;
        const wantsNonce = challenge?.params.get("error") === "use_dpop_nonce";
        if (!wantsNonce) {
          try {
            await obtain(
              signal,
              () => "rejected" in source && source.rejected?.(rejected, challenge),
            );
          } catch {
            // it could not forget the credential, and is asked for another next
          }
        }
        if (!mayRepeat || (wantsNonce ? hasNonce : isRenewed)) {
          return false;
        }
        hasNonce = wantsNonce;
        if (wantsNonce) {
          if (nonce === null) {
            throw new AuthError("credentials_refused", "no DPoP-Nonce came: CORS must expose it");
          }
          await present();
          return true;
        }
        isRenewed = true;
        try {
          await ask({ reason: "rejected", rejected, challenge });
          if (!callerSet(req, headers) && !isSameAuth(auth, rejected)) {
            return true;
          }
        } catch (error) {
          if (!isPublic) {
            throw error;
          }
        }
        auth = ofClient;
        headers = staticHeaders(auth);
        return isPublic;
      },
    );
  };
}

/**
 * Whether the caller brought a header of the credential for this call. Then the
 * caller wins. The secret of a gateway vouches for all `x-auth-` headers.
 */
function callerSet({ header }: Call, headers: AuthHeaders): boolean {
  return (
    [...headers.keys()].some((name) => header.has(name)) ||
    (headers.has(gatewaySecretHeader) &&
      [...header.keys()].some((name) => name.startsWith("x-auth-")))
  );
}

function chooseCredentials(
  auth: AuthOptions,
  policy: MethodPolicy,
  req: Call,
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
    const message = `${methodName(req.method)} needs a client with \`${option}\``;
    throw toCallError(new AuthError("credentials_missing", message), false);
  }
  return credentials;
}
