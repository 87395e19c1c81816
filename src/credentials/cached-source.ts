import { methodName } from "../policy/method-policy.js";
import type { Auth } from "./auth.js";
import { emit } from "./auth-event.js";
import type { AuthRequest, CredentialSource } from "./auth-provider.js";
import { type Challenge, missingScopes } from "./challenge.js";
import { isSameAuth } from "./is-same-auth.js";
import { createTokenCache, type FetchAuth, type TokenCacheOptions } from "./token-cache.js";

/** A credential source that keeps what it got. One serves any number of clients. */
export interface CachedAuth extends CredentialSource {
  rejected(auth: Auth, challenge: Challenge | undefined): void;
  /** Forgets all it keeps: when a user signs out, say. */
  clear(): void;
}

/** Which token a call needs, and how to get it. Calls with the same key share it. */
export interface WantedToken {
  readonly key: string;
  readonly fetch: FetchAuth;
}

/** Makes the source that all cached credentials are. */
export function createCachedSource(
  options: TokenCacheOptions,
  wantedFor: (request: AuthRequest) => WantedToken | Promise<WantedToken>,
  skewMs?: number,
): CachedAuth {
  const { onEvent } = options;
  const cache = createTokenCache(options, skewMs);
  const get = ({ key, fetch }: WantedToken) => cache.get(key, fetch);
  const retried = async (
    { method, rejected }: AuthRequest,
    answer: Auth | Promise<Auth>,
  ): Promise<Auth> => {
    const auth = await answer;
    if (!rejected || !isSameAuth(auth, rejected)) {
      emit(onEvent, { type: "retry", method: methodName(method) });
    }
    return auth;
  };
  return {
    getAuth(request) {
      const wanted = wantedFor(request);
      const auth = wanted instanceof Promise ? wanted.then(get) : get(wanted);
      return request.reason === "rejected" ? retried(request, auth) : auth;
    },
    rejected(auth, challenge) {
      // a code, and nothing that a server may have put the token into
      const [error] = /^[a-z_]+$/.exec(challenge?.params.get("error") ?? "") ?? [];
      emit(onEvent, { type: "token_refused", error });
      // a token that is good for less than the call needs is still good
      if (!missingScopes(challenge)) {
        cache.reject(auth);
      }
    },
    clear: cache.clear,
  };
}
