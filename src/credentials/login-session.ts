import { AuthError, isAuthError } from "../errors.js";
import { createSteadyClock } from "../steady-clock.js";
import type { Auth, BasicAuth } from "./auth.js";
import type { AuthRequest } from "./auth-provider.js";
import { LoginRefusal } from "./login-refusal.js";
import type { Exchanged, LoginResult } from "./login-result.js";
import { obtain } from "./obtain.js";
import { lifetimeOf } from "./token-lifetime.js";

/** The request that `authProvider` is told of, with the signal of the login. */
export type RequestFor = (signal: AbortSignal) => AuthRequest;

/** What a login came to. */
export interface Tokens {
  readonly auth: Auth;
  /** `undefined` where `authProvider` gave another credential than a password. */
  readonly result?: LoginResult;
}

/** What a session does, one at a time. All throw `AuthError`, or why the signal aborted. */
export interface LoginSteps {
  /** Who logs in. */
  provide(request: RequestFor, signal: AbortSignal): Promise<Auth>;
  login(basic: BasicAuth, signal: AbortSignal): Promise<Exchanged>;
  refresh: ((refreshToken: string, signal: AbortSignal) => Promise<Exchanged>) | undefined;
  /** Stores new tokens. */
  save(session: LoginSession, result: LoginResult, signal: AbortSignal): Promise<void>;
  /** A token came that the cache did not ask for: it is to ask now, and `take` has it. */
  offer(session: LoginSession): void;
}

/** The tokens of one user, from the first login until all is forgotten. */
export interface LoginSession {
  /** What the cache asks for: a new token. The signal aborts when it waits no more. */
  take(request: RequestFor, signal: AbortSignal): Promise<Auth>;
  login(request: RequestFor): Promise<LoginResult>;
  refresh(refreshToken: string | undefined): Promise<LoginResult>;
  readonly type: Auth["type"];
}

/** What is under way. */
interface Flight {
  readonly done: Promise<Tokens>;
  /** The refresh token it uses. `undefined`: it is a login. */
  refreshing: string | undefined;
  /** Whether `refresh()` began it: it ends without a login. */
  readonly isByHand: boolean;
  /** Whether the cache waits for it. */
  isTaken: boolean;
}

/** For so long a refused password is not sent again: it would count as one more attempt on the account. */
const refusedForMs = 5 * 60_000;

/** A refresh is left alone for so many times `timeoutMs`: its answer may hold the only valid refresh token. */
const patience = 6;

/** Makes a session. One step is under way at a time, so that no refresh token is sent twice. */
export function createLoginSession(
  steps: LoginSteps,
  firstType: Auth["type"],
  { timeoutMs, now }: { readonly timeoutMs: number; readonly now: () => Date },
): LoginSession {
  const clock = createSteadyClock(now);
  let type = firstType;
  let refreshToken: string | undefined;
  let flight: Flight | undefined;
  /** A token that the cache has yet to take. */
  let ready: Auth | undefined;
  /** What could not be stored yet. */
  let unsaved: LoginResult | undefined;

  let refused: { basic: BasicAuth; error: LoginRefusal; until: number } | undefined;

  const save = async (signal: AbortSignal) => {
    if (unsaved) {
      await steps.save(session, unsaved, signal);
      unsaved = undefined;
    }
  };
  const keep = async (came: Exchanged, used?: string): Promise<Tokens> => {
    const isUsable = "auth" in came;
    refreshToken = isUsable ? came.result.refresh_token || used : came.refreshToken;
    unsaved = came.result;
    if (isUsable) {
      type = came.auth.type;
    }
    await save(AbortSignal.timeout(timeoutMs));
    if (!isUsable) {
      throw came.error;
    }
    return came;
  };
  const logIn = async (request: RequestFor): Promise<Tokens> => {
    const signal = AbortSignal.timeout(timeoutMs);
    await save(signal);
    const auth = await steps.provide(request, signal);
    type = auth.type;
    if (auth.type !== "basic") {
      return { auth };
    }
    if (refused && clock() < refused.until && isSame(auth, refused.basic)) {
      throw refused.error;
    }
    return keep(await exchangePassword(auth, signal));
  };
  const exchangePassword = async (basic: BasicAuth, signal: AbortSignal) => {
    try {
      return await steps.login(basic, signal);
    } catch (error) {
      if (error instanceof LoginRefusal) {
        refused = { basic, error, until: clock() + refusedForMs };
      }
      throw error;
    }
  };
  const refreshWith = async (used: string): Promise<Tokens> => {
    const signal = AbortSignal.timeout(timeoutMs * patience);
    await save(signal);
    let came: Exchanged | undefined;
    try {
      came = await steps.refresh?.(used, signal);
    } catch (error) {
      if (error instanceof LoginRefusal && refreshToken === used) {
        refreshToken = undefined;
      }
      throw error;
    }
    if (!came) {
      throw new AuthError("credentials_missing", "passwordLogin has no `refresh`: log in");
    }
    return keep(came, used);
  };
  const renew = async (request: RequestFor) => {
    if (steps.refresh && refreshToken !== undefined) {
      try {
        return await refreshWith(refreshToken);
      } catch (error) {
        if (refreshToken !== undefined) {
          throw error;
        }
      }
      // refused for good
      if (flight) {
        flight.refreshing = undefined;
      }
    }
    return logIn(request);
  };

  const begin = (
    refreshing: string | undefined,
    work: () => Promise<Tokens>,
    isByHand = false,
  ): Flight => {
    const run = async () => {
      try {
        const tokens = await work();
        ready = tokens.auth;
        if (!own.isTaken) {
          steps.offer(session);
        }
        return tokens;
      } catch (error) {
        throw toAuthError(error);
      } finally {
        flight = undefined;
      }
    };
    const own: Flight = { refreshing, isByHand, isTaken: false, done: run() };
    // perhaps nobody waits any more when it fails
    own.done.catch(() => {});
    flight = own;
    return own;
  };
  /** Waits for what is under way if that will do, else until it is over, and begins. */
  const runNow = async (willDo: (under: Flight) => boolean, start: () => Flight) => {
    const signal = AbortSignal.timeout(timeoutMs);
    try {
      while (flight && !willDo(flight)) {
        const { done } = flight;
        await obtain(signal, () => done.catch(() => {}));
      }
      const { done } = flight ?? start();
      const { result } = await obtain(signal, () => done);
      if (!result) {
        throw new AuthError("credentials_missing", "authProvider gave no password to log in with");
      }
      return result;
    } catch (error) {
      throw toAuthError(error);
    }
  };
  const toAuthError = (error: unknown) =>
    isAuthError(error)
      ? error
      : new AuthError("credentials_unavailable", `no token within ${timeoutMs} ms`, error);

  const session: LoginSession = {
    async take(request, signal) {
      const offered = ready;
      ready = undefined;
      if (offered && lifetimeOf(offered, now().getTime()) > 0) {
        return offered;
      }
      for (;;) {
        const under = flight ?? begin(steps.refresh && refreshToken, () => renew(request));
        under.isTaken = true;
        try {
          const { auth } = await under.done;
          // else the cache waits no more, and takes it next time
          if (!signal.aborted) {
            ready = undefined;
          }
          return auth;
        } catch (error) {
          if (!under.isByHand || !isNoUse(error)) {
            throw error;
          }
        }
      }
    },
    login(request) {
      refused = undefined;
      return runNow(
        ({ refreshing }) => refreshing === undefined,
        () => begin(undefined, () => logIn(request)),
      );
    },
    refresh: (given) =>
      runNow(
        ({ refreshing }) => refreshing !== undefined && refreshing === (given ?? refreshing),
        () => {
          const used = given ?? refreshToken;
          if (!used) {
            throw new AuthError("credentials_missing", "there is no refresh token: log in");
          }
          return begin(used, () => refreshWith(used), true);
        },
      ),
    get type() {
      return type;
    },
  };
  return session;
}

function isSame(a: BasicAuth, b: BasicAuth): boolean {
  return a.user === b.user && a.password === b.password;
}

/** Whether a refresh failed because it can have none with that token. */
function isNoUse(error: unknown): boolean {
  return (
    error instanceof LoginRefusal || (isAuthError(error) && error.code === "credentials_missing")
  );
}
