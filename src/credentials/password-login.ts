import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { AuthError, checkOption } from "../errors.js";
import { checkKnownOptions } from "../known-options.js";
import { type MethodPolicy, methodName } from "../policy/method-policy.js";
import type { Auth, BasicAuth } from "./auth.js";
import { staticHeaders } from "./auth-headers.js";
import type { AuthProvider, AuthRequest } from "./auth-provider.js";
import { type CachedAuth, createCachedSource } from "./cached-source.js";
import {
  createLoginEndpoint,
  type LoginEndpointOptions,
  type LoginFields,
} from "./login-endpoint.js";
import { toRefusal } from "./login-refusal.js";
import { type LoginResult, readExchanged } from "./login-result.js";
import { createLoginSession, type LoginSteps } from "./login-session.js";
import { obtain } from "./obtain.js";
import { checkRetryOptions, type RetryOptions, retryTransient } from "./retry-transient.js";
import type { TokenCacheOptions } from "./token-cache.js";

/** Options of `passwordLogin`. */
export interface PasswordLoginOptions
  extends TokenCacheOptions,
    RetryOptions,
    Pick<LoginEndpointOptions, "fetch" | "fields"> {
  /**
   * Who logs in: `Auth.basic(user, password)`, or a function that is asked for it
   * before each login. Any other credential is used as it is.
   */
  readonly authProvider: Auth | AuthProvider;
  /**
   * Exchanges the password for a token: a URL to which `{ user, password }` is
   * posted as JSON (https, http only on loopback), or a function, which may call
   * a public method of the client that has these credentials. Pass the signal on:
   * it aborts after `timeoutMs`. It refuses as `refresh` does.
   */
  readonly login:
    | string
    | URL
    | ((basic: BasicAuth, signal: AbortSignal) => LoginResult | Promise<LoginResult>);
  /**
   * Exchanges the refresh token for the next one: a URL to which
   * `{ refresh_token }` is posted, or a function. That throws `AuthError`
   * `credentials_failed`, or what a method that refuses throws, where the refresh
   * token is refused: there is no login after a plain `Error`. Default: none, and
   * then each new token takes a login.
   */
  readonly refresh?:
    | string
    | URL
    | ((refreshToken: string, signal: AbortSignal) => LoginResult | Promise<LoginResult>)
    | undefined;
  /**
   * Stores new tokens. Nobody gets one before this has resolved; where it throws,
   * calls fail, and it is called with the same result again before the next
   * request. Default: they are kept in memory only.
   */
  readonly onTokens?: ((result: LoginResult) => void | Promise<void>) | undefined;
}

/** Credentials that begin with a password. */
export interface PasswordLogin extends CachedAuth {
  /** Logs in now, or waits for the login that is under way. Calls use its token from then on. */
  login(): Promise<LoginResult>;
  /**
   * Refreshes now, with this refresh token, from storage say, or the one at hand.
   * Calls use what comes from then on. Never logs in.
   */
  refreshToken(token?: string): Promise<LoginResult>;
  /**
   * What kind of credential there is: `basic` where `authProvider` gave a password
   * and there was no login yet, then that of the token, `jwt` or `bearer`. `none`
   * where `authProvider` is a function that has not been asked.
   */
  getAuthType(): Auth["type"];
}

/**
 * Exchanges a user name and password for a token before the first call, and the
 * token for the next one in time: by `refresh` with the refresh token, and by
 * `login` where there is none or it is refused. If `refresh` fails in another
 * way, there is no login in its place. Calls carry the token, never the password.
 *
 * - Tokens are kept, renewed and backed off from as by `cachedAuth`, for any
 *   number of clients; one login or refresh is under way at a time, and it goes
 *   on when a call that waits is aborted.
 * - What is down is asked again, `maxAttempts` times in all. A password that was
 *   refused is not sent again for five minutes, except by `login()`. `timeoutMs` covers `authProvider` and `login` with all their
 *   attempts, and `onTokens`. Calls wait for a refresh that long, too.
 * - Calls fail with `AuthError` `credentials_failed` where the login is refused, and
 *   `credentials_unavailable` where it is down. What your functions throw is the cause.
 *
 * Throws `TypeError` for an unknown option, and for a URL that is neither https
 * nor loopback.
 *
 * ```ts
 * const credentials: PasswordLogin = passwordLogin({
 *   authProvider: async () => Auth.basic("alice", await askPassword()),
 *   login: "https://api.acme.dev/v1/api/auth/login",
 *   refresh: "https://api.acme.dev/v1/api/auth/refresh",
 * });
 * const users = createUserServiceClient(createConnectTransport, { baseUrl }, { credentials });
 * ```
 */
export function passwordLogin(options: PasswordLoginOptions): PasswordLogin {
  checkKnownOptions("passwordLogin", options, optionNames);
  checkRetryOptions(options);
  const { authProvider, onTokens, timeoutMs = 10_000, now = () => new Date() } = options;
  if (typeof authProvider !== "function") {
    checkOption("authProvider", () => checkProvided(authProvider));
  }
  const login = toFunction("login", options.login, options, ({ user, password }: BasicAuth) => ({
    user,
    password,
  }));
  const refresh =
    options.refresh === undefined
      ? undefined
      : toFunction("refresh", options.refresh, options, (refresh_token: string) => ({
          refresh_token,
        }));

  let isAsking = false;
  const ask = <T>(signal: AbortSignal, call: () => T | Promise<T>) =>
    retryTransient(signal, options, () => {
      isAsking = true;
      try {
        return call();
      } finally {
        isAsking = false;
      }
    });
  const exchange = (signal: AbortSignal, call: () => unknown) =>
    ask(signal, async () => {
      const start = now().getTime();
      return readExchanged(await call(), start);
    });
  const steps: LoginSteps = {
    provide: async (request, signal) =>
      checkProvided(
        typeof authProvider === "function"
          ? await ask(signal, () => authProvider(request(signal)))
          : authProvider,
      ),
    login: (basic, signal) => exchange(signal, () => login(basic, signal)),
    refresh: refresh && ((token, signal) => exchange(signal, () => refresh(token, signal))),
    async save(from, result, signal) {
      try {
        // the tokens of a user who signed out meanwhile are not stored
        await (from === session && obtain(signal, async () => onTokens?.(result)));
      } catch (cause) {
        throw new AuthError("credentials_failed", "onTokens could not store the tokens", cause);
      }
    },
    offer(from) {
      if (from === session) {
        source.clear();
        Promise.resolve(source.getAuth(withoutCall(AbortSignal.timeout(timeoutMs)))).catch(
          () => {},
        );
      }
    },
  };
  const newSession = () =>
    createLoginSession(steps, typeof authProvider === "function" ? "none" : authProvider.type, {
      timeoutMs,
      now,
    });
  let session = newSession();
  const source = createCachedSource(options, (request) => ({
    key: "",
    fetch: (cacheSignal) => session.take((signal) => ({ ...request, signal }), cacheSignal),
  }));

  return {
    ...source,
    getAuth(request) {
      const auth = source.getAuth(request);
      if (isAsking && auth instanceof Promise) {
        auth.catch(() => {});
        throw new AuthError(
          "credentials_failed",
          `the login calls ${methodName(request.method)}, which waits for the login: use a public method`,
        );
      }
      return auth;
    },
    clear() {
      session = newSession();
      source.clear();
    },
    login: () => session.login(withoutCall),
    refreshToken: (token) => session.refresh(token),
    getAuthType: () => session.type,
  };
}

const optionNames: Record<keyof PasswordLoginOptions, true> = {
  authProvider: true,
  login: true,
  refresh: true,
  onTokens: true,
  fields: true,
  fetch: true,
  maxAttempts: true,
  initialBackoffMs: true,
  maxBackoffMs: true,
  onEvent: true,
  now: true,
  timeoutMs: true,
};

function checkProvided(auth: Auth): Auth {
  if (auth?.type !== "basic") {
    staticHeaders(auth); // throws for what could not be sent
  } else if (typeof auth.user !== "string" || !auth.user || typeof auth.password !== "string") {
    throw new AuthError("credentials_invalid", "a login needs a user name and a password");
  }
  return auth;
}

/** The function, or the one that a URL stands for. */
function toFunction<T>(
  option: string,
  target: string | URL | ((given: T, signal: AbortSignal) => unknown),
  options: LoginEndpointOptions,
  toBody: (given: T) => LoginFields,
): (given: T, signal: AbortSignal) => unknown {
  if (typeof target === "function") {
    return async (given, signal) => {
      try {
        return await target(given, signal);
      } catch (error) {
        throw toRefusal(error);
      }
    };
  }
  if (typeof target !== "string" && !(target instanceof URL)) {
    throw new TypeError(`${option} must be a URL or a function`);
  }
  const post = createLoginEndpoint(option, target, options);
  return (given, signal) => post(toBody(given), signal);
}

/** What `authProvider` is told when `login()` asks: there is no call. */
function withoutCall(signal: AbortSignal): AuthRequest {
  const none = (): never => {
    throw new AuthError("credentials_invalid", "login() is for no call that authProvider can read");
  };
  return {
    get service(): DescService {
      return none();
    },
    get method(): DescMethod {
      return none();
    },
    get url(): string {
      return none();
    },
    get policy(): MethodPolicy {
      return none();
    },
    reason: "request",
    signal,
  };
}
