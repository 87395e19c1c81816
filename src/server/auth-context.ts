import { AsyncLocalStorage } from "node:async_hooks";
import {
  Code,
  ConnectError,
  type ContextKey,
  type ContextValues,
  type Interceptor,
} from "@connectrpc/connect";

/** Who is calling: what authentication found out. */
export interface AuthContext {
  /** The caller's identifier: a user id, the name of a service. */
  readonly subject: string;
  /** The caller's display name. */
  readonly name?: string;
  readonly roles: readonly string[];
  readonly scopes: readonly string[];
  /** What else the credential says: the claims of a JWT. */
  readonly claims: Readonly<Record<string, unknown>>;
  /** How the caller was authenticated: `jwt`, `gateway`. */
  readonly type: string;
  /** When the credential stops being valid. */
  readonly expiresAt?: Date;
}

/**
 * Where an identity is kept in Connect's context values: in handlers,
 * `context.values.get(authContextKey)`. `undefined`: nobody was authenticated.
 */
export const authContextKey: ContextKey<AuthContext | undefined> = {
  // of the registry, so that two copies of this package mean the same
  id: Symbol.for("connectrpc-auth: identity of the caller"),
  defaultValue: undefined,
};

type Storage = AsyncLocalStorage<AuthContext | undefined>;

const storageKey: unique symbol = Symbol.for("connectrpc-auth: storage of the identity");

/** One for all copies of this package that a process has loaded. */
function storage(): Storage {
  const shared: typeof globalThis & { [storageKey]?: Storage } = globalThis;
  shared[storageKey] ??= new AsyncLocalStorage();
  return shared[storageKey];
}

/** Runs a function, and what it starts, as this caller. */
export function runInContext<T>(context: AuthContext | undefined, fn: () => T): T {
  return storage().run(context, fn);
}

/**
 * Who is calling, in a handler and in whatever it calls. `undefined` on public
 * methods, and where no authentication ran.
 */
export function getAuthContext(): AuthContext | undefined {
  return storage().getStore();
}

/** Who is calling. Throws `Unauthenticated` where nobody was authenticated. */
export function requireAuthContext(): AuthContext {
  const context = getAuthContext();
  if (context === undefined) {
    throw new ConnectError("missing credentials", Code.Unauthenticated);
  }
  return context;
}

type AnyFn = ReturnType<Interceptor>;
type Request = Parameters<AnyFn>[0];
type Response = Awaited<ReturnType<AnyFn>>;

/**
 * Goes on with a call as this caller, up to the last message of a stream.
 * `ownContextValues`: those that the call alone has, see `ownValues`.
 */
export function runAs(
  context: AuthContext | undefined,
  next: AnyFn,
  req: Request,
  ownContextValues: ContextValues,
): Promise<Response> {
  const contextValues = ownContextValues.set(authContextKey, context);
  const response = runInContext(context, () => next({ ...req, contextValues }));
  return req.stream
    ? response.then((res) =>
        res.stream ? { ...res, message: iterateAs(context, res.message) } : res,
      )
    : response;
}

/**
 * Context values that are written to here, and read from `given` where they are
 * not. An adapter may give the same object to every call, and what is true of
 * one call must not be read in another.
 */
export function ownValues(given: ContextValues): ContextValues {
  return new OwnValues(given);
}

class OwnValues implements ContextValues {
  readonly #own = new Map<symbol, unknown>();
  readonly #given: ContextValues;

  constructor(given: ContextValues) {
    this.#given = given;
  }

  get<T>(key: ContextKey<T>): T {
    // what is there under this key was set with it
    return this.#own.has(key.id) ? (this.#own.get(key.id) as T) : this.#given.get(key);
  }

  set<T>(key: ContextKey<T>, value: T): this {
    this.#own.set(key.id, value);
    return this;
  }

  delete(key: ContextKey<unknown>): this {
    this.#own.set(key.id, key.defaultValue);
    return this;
  }
}

/** The body of a streaming handler runs when its messages are read, so each read needs the context. */
function iterateAs<T>(
  context: AuthContext | undefined,
  messages: AsyncIterable<T>,
): AsyncIterable<T> {
  return {
    [Symbol.asyncIterator]() {
      const it = runInContext(context, () => messages[Symbol.asyncIterator]());
      const within: AsyncIterator<T> = { next: () => runInContext(context, () => it.next()) };
      if (it.throw) {
        const raise = it.throw.bind(it);
        within.throw = (error) => runInContext(context, () => raise(error));
      }
      if (it.return) {
        const finish = it.return.bind(it);
        within.return = () => runInContext(context, () => finish());
      }
      return within;
    },
  };
}
