import { AuthError } from "../errors.js";
import { AuthClientError } from "./auth-client-error.js";
import { maxTimeoutMs } from "./oauth-options.js";
import type { RefreshTokenOptions } from "./refresh-token.js";
import { parseResource } from "./scopes.js";
import type { IssuedToken, TokenEndpoint, TokenResponse } from "./token-endpoint.js";
import { unlessAborted } from "./unless-aborted.js";

/** The refresh token of one user, from the first grant until it is forgotten. */
export interface RefreshSession {
  /** The next access token for these scopes. Who asks while one is on its way waits for that. */
  request(scopes: readonly string[]): Promise<IssuedToken>;
  /** Forgets all: what is on its way is neither stored nor used. */
  end(): void;
}

/** A request is left alone for so many times `timeoutMs`: its answer may hold the only valid refresh token. */
const patience = 3;

/** Makes a session. One grant is under way at a time, so that no refresh token is sent twice. */
export function createRefreshSession(
  { refreshToken: given, onTokens, timeoutMs = 10_000, resource }: RefreshTokenOptions,
  endpoint: TokenEndpoint,
): RefreshSession {
  const resources = parseResource(resource);
  /** The token that the server sent in place of another one, perhaps with an answer that was refused. */
  let rotated: { readonly from: string; readonly to: string } | undefined;
  let unsaved: TokenResponse | undefined;
  let isOver = false;
  const running = new Map<string, Promise<IssuedToken>>();
  let last: Promise<unknown> = Promise.resolve();

  const checkGoesOn = () => {
    if (isOver) {
      throw new AuthError("credentials_missing", "signed out before the token came");
    }
  };
  const save = async () => {
    if (unsaved && onTokens) {
      try {
        await unlessAborted(AbortSignal.timeout(timeoutMs), onTokens(unsaved));
      } catch (cause) {
        throw new AuthError("credentials_failed", "onTokens could not store the tokens", cause);
      }
    }
    unsaved = undefined;
  };
  const take = async () => {
    if (typeof given !== "function") {
      return rotated?.to ?? checkToken(given);
    }
    const signal = AbortSignal.timeout(timeoutMs);
    try {
      const stored = checkToken(await unlessAborted(signal, given()));
      // one that was used up, since its answer was refused and not stored
      return stored === rotated?.from ? rotated.to : stored;
    } catch (error) {
      throw signal.aborted
        ? new AuthClientError("timeout", `refreshToken returned nothing within ${timeoutMs} ms`)
        : error;
    }
  };
  const refresh = async (scopes: readonly string[]) => {
    checkGoesOn();
    await save();
    checkGoesOn();
    const token = await take();
    checkGoesOn();
    const issued = await endpoint.request(
      { type: "refresh_token", scopes, resources, parameters: [["refresh_token", token]] },
      AbortSignal.timeout(Math.min(timeoutMs * patience, maxTimeoutMs)),
      (to) => {
        // a function may go on returning the one from before several refused answers
        rotated = { from: rotated?.to === token ? rotated.from : token, to };
      },
    );
    checkGoesOn();
    unsaved = { ...issued.response, refresh_token: issued.response.refresh_token ?? token };
    await save();
    checkGoesOn();
    return issued;
  };

  return {
    request(scopes) {
      const key = scopes.join(" ");
      // calls that come when others had no more time wait for the same answer
      let issued = running.get(key);
      if (!issued) {
        // one after the other: each request may use up the refresh token
        issued = last.then(() => refresh(scopes)).finally(() => running.delete(key));
        running.set(key, issued);
        last = issued.catch(() => {});
      }
      return issued;
    },
    end() {
      isOver = true;
      rotated = undefined;
      unsaved = undefined;
    },
  };
}

/** Throws `TypeError` for what cannot be a refresh token. */
export function checkToken(token: string): string {
  if (typeof token !== "string" || token === "") {
    throw new TypeError("refreshToken must be a string that is not empty");
  }
  return token;
}
