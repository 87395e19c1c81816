import { vi } from "vitest";
import type { BasicAuth, LoginResult } from "../../src/index.js";

type Login = (basic: BasicAuth, signal: AbortSignal) => LoginResult | Promise<LoginResult>;
type Refresh = (refreshToken: string, signal: AbortSignal) => LoginResult | Promise<LoginResult>;

/** The two functions of a login server in this process: token-1 and refresh-1, then token-2 and so on, for an hour each. */
export function createLoginServer() {
  let n = 0;
  const next = async (): Promise<LoginResult> => {
    n++;
    return { access_token: `token-${n}`, refresh_token: `refresh-${n}`, expires_in: 3600 };
  };
  return {
    next,
    login: vi.fn<Login>(next),
    refresh: vi.fn<Refresh>(next),
  };
}

/** A promise that the test settles. */
export function createHeld<T>() {
  let release = (_value: T) => {};
  let fail = (_error: unknown) => {};
  const promise = new Promise<T>((resolve, reject) => {
    release = resolve;
    fail = reject;
  });
  promise.catch(() => {});
  return { promise, release, fail };
}
