import { AuthError, checkOption, isAuthError } from "../errors.js";
import { askForAuth, isConstant } from "./ask-for-auth.js";
import { Auth, isAuthenticated } from "./auth.js";
import { staticHeaders } from "./auth-headers.js";
import type { AuthRequest, CredentialSource, Credentials } from "./auth-provider.js";
import type { Challenge } from "./challenge.js";
import { isSameAuth } from "./is-same-auth.js";

/**
 * The first of several credentials that is available. One that fails, or is
 * `Auth.none()`, makes it go on to the next. If a server refuses one that has
 * nothing new to offer, the call is made once more with the next; the call after
 * that begins with the first again.
 *
 * If none is available, the `AuthError` lists the reasons; its cause is an
 * `AggregateError`. Its code is `credentials_unavailable` where that is the code
 * of one of them, so that trying again may help, `credentials_missing` where all
 * are missing, else `credentials_failed`.
 *
 * Throws `TypeError` without credentials, and for a constant one that cannot be sent.
 *
 * ```ts
 * const credentials = firstAvailable(() => sessionOfUser() ?? Auth.none(), Auth.header("x-api-key", key));
 * ```
 */
export function firstAvailable(...credentials: Credentials[]): CredentialSource {
  checkCredentials("firstAvailable", credentials);
  const owners = new WeakMap<Auth, Credentials>();
  return {
    async getAuth(request) {
      const { rejected } = request;
      const owner = rejected && owners.get(rejected);
      const errors: unknown[] = [];
      let hasNothingNew = false;
      for (const source of credentials) {
        try {
          const own = source === owner ? request : withoutRejection(request);
          const auth = await askForAuth(source, own);
          staticHeaders(auth); // throws for what could not be sent
          const isRefused = rejected !== undefined && isSameAuth(auth, rejected);
          if (isAuthenticated(auth) && !isRefused) {
            owners.set(auth, source);
            return auth;
          }
          hasNothingNew ||= isRefused;
          errors.push(new AuthError("credentials_missing", isRefused ? "refused" : "none"));
        } catch (error) {
          if (request.signal.aborted) {
            throw error;
          }
          errors.push(error);
        }
      }
      if (rejected && hasNothingNew) {
        // the server's answer says more than ours
        return rejected;
      }
      throw noneAvailable(errors);
    },
    rejected: (auth, challenge) => tell(owners.get(auth), auth, challenge),
  };
}

/**
 * Several credentials at once, as `Auth.all()`: an API key and a user's token,
 * say. If one fails, the call fails. No two of them may use the same header. If a
 * server refuses them, all are asked for another one.
 *
 * Throws `TypeError` without credentials, and for constant ones that cannot be sent.
 *
 * ```ts
 * const credentials = together(Auth.header("x-api-key", key), passwordLogin(options));
 * ```
 */
export function together(...credentials: Credentials[]): CredentialSource {
  checkCredentials("together", credentials);
  checkOption("together", () => staticHeaders(Auth.all(...credentials.filter(isConstant))));
  const combine = createCombiner();
  const partsOf = (auth: Auth | undefined) =>
    auth?.type === "all" && auth === combine(auth.auths) ? auth.auths : [];
  return {
    async getAuth(request) {
      const refused = partsOf(request.rejected);
      return combine(
        await Promise.all(
          credentials.map((source, at) => {
            const rejected = refused[at];
            return askForAuth(
              source,
              rejected ? { ...request, rejected } : withoutRejection(request),
            );
          }),
        ),
      );
    },
    async rejected(auth, challenge) {
      await Promise.allSettled(
        partsOf(auth).map(async (part, at) => tell(credentials[at], part, challenge)),
      );
    },
  };
}

function checkCredentials(name: string, credentials: readonly Credentials[]): void {
  if (credentials.length === 0) {
    throw new TypeError(`${name} takes at least one credential`);
  }
  credentials.forEach((source, at) => {
    if (isConstant(source)) {
      checkOption(`${name}: credential ${at + 1}`, () => staticHeaders(source));
    }
  });
}

/** What a source is asked whose credential was not the refused one. */
function withoutRejection(request: AuthRequest): AuthRequest {
  const { rejected: _, challenge: __, ...rest } = request;
  return { ...rest, reason: "request" };
}

/** Returns what the source does, which may be a promise. */
function tell(
  source: Credentials | undefined,
  auth: Auth,
  challenge: Challenge | undefined,
): unknown {
  return source && "rejected" in source ? source.rejected?.(auth, challenge) : undefined;
}

function noneAvailable(errors: readonly unknown[]): AuthError {
  const known = errors.filter(isAuthError);
  const code =
    known.find(({ code }) => code === "credentials_unavailable")?.code ??
    (known.every(({ code }) => code === "credentials_missing")
      ? "credentials_missing"
      : "credentials_failed");
  const reasons = known.map(({ message }, at) => `${at + 1}: ${message}`).join("; ");
  return new AuthError(
    code,
    `no credential is available (${reasons})`,
    new AggregateError(errors, "no credential is available"),
  );
}

interface Node {
  readonly next: WeakMap<Auth, Node>;
  all?: Auth;
}

/** Makes `Auth.all()` of the same parts once: the headers are made ready once for each object. */
function createCombiner(): (auths: readonly Auth[]) => Auth {
  const root: Node = { next: new WeakMap() };
  return (auths) => {
    let node = root;
    for (const auth of auths) {
      let next = node.next.get(auth);
      if (!next) {
        next = { next: new WeakMap() };
        node.next.set(auth, next);
      }
      node = next;
    }
    node.all ??= Auth.all(...auths);
    return node.all;
  };
}
