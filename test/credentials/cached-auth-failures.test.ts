import { type CallOptions, Code, ConnectError } from "@connectrpc/connect";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Auth, AuthError, cachedAuth } from "../../src/index.js";
import { authRequest } from "../support/auth-request.js";
import { useFakeTime, useRealTime } from "../support/fake-time.js";
import { createUserApi } from "../support/user-api.js";

const start = new Date("2026-01-01T00:00:00Z").getTime();
const second = 1000;
const minute = 60 * second;

beforeEach(() => {
  useFakeTime(start);
  // the backoff is as it stands in the table, without jitter
  vi.spyOn(Math, "random").mockReturnValue(0.5);
});
afterEach(useRealTime);

const down = () => Promise.reject(new ConnectError("down", Code.Unavailable));
const unavailable = {
  name: "ConnectError",
  code: Code.Unavailable,
  rawMessage: "the credential could not be obtained",
  cause: {
    name: "AuthError",
    code: "credentials_unavailable",
    message: "the credential could not be obtained",
    sent: false,
  },
};

describe("a failure", () => {
  test("reaches all who wait, each with an error of its own, and is repeated in the backoff", async () => {
    const provide = vi.fn<() => Promise<Auth>>(down);
    const api = createUserApi();
    const client = api.clientWith(cachedAuth(provide));
    const ask = () => client.whoAmI({}).catch(ConnectError.from);
    const errors = await Promise.all(Array.from({ length: 20 }, ask));
    await vi.advanceTimersByTimeAsync(999);
    errors.push(await ask());
    for (const error of errors) {
      expect(error).toMatchObject(unavailable);
    }
    expect(new Set(errors.map((error) => (error as ConnectError).cause)).size).toBe(21);
    expect(provide).toHaveBeenCalledTimes(1);

    await vi.advanceTimersByTimeAsync(1);
    provide.mockReturnValueOnce(Promise.resolve(Auth.bearer("token")));
    await client.whoAmI({});
    expect(provide).toHaveBeenCalledTimes(2);
    expect(api.arrived).toEqual(["Bearer token"]);
  });

  test("says of each call whether that was sent", async () => {
    let fail = () => {};
    const failing = new Promise<never>((_resolve, reject) => {
      fail = () => reject(new ConnectError("down", Code.Unavailable));
    });
    const provide = vi.fn<() => Promise<Auth>>(() => failing);
    provide.mockReturnValueOnce(Promise.resolve(Auth.bearer("revoked")));
    const api = createUserApi();
    api.revoked.add("Bearer revoked");
    const client = api.clientWith(cachedAuth(provide));
    const ask = () => client.whoAmI({}).catch(ConnectError.from);
    const refused = ask();
    await vi.waitUntil(() => provide.mock.calls.length === 2);
    const waiting = ask();
    fail();
    expect(await refused).toMatchObject({
      ...unavailable,
      cause: { ...unavailable.cause, sent: true },
    });
    expect(await waiting).toMatchObject(unavailable);
    expect(provide).toHaveBeenCalledTimes(2);
    expect(api.arrived).toEqual(["Bearer revoked"]);
  });

  test("of Retry-After is repeated when that says", async () => {
    const provide = vi.fn<() => Promise<Auth>>(() =>
      Promise.reject(new AuthError("credentials_unavailable", "busy", undefined, 30 * second)),
    );
    const { getAuth } = cachedAuth(provide);
    const ask = async () => getAuth(authRequest());
    await expect(ask()).rejects.toMatchObject({ message: "busy" });
    vi.advanceTimersByTime(30 * second - 1);
    await expect(ask()).rejects.toMatchObject({ message: "busy" });
    expect(provide).toHaveBeenCalledTimes(1);
    vi.advanceTimersByTime(1);
    await expect(ask()).rejects.toMatchObject({ message: "busy" });
    expect(provide).toHaveBeenCalledTimes(2);
  });

  test.each<{ name: string; auth: unknown; code: string; message: string }>([
    ...[undefined, null, "", "token", 0, {}].map((auth) => ({
      name: JSON.stringify(auth) ?? "undefined",
      auth,
      code: "credentials_invalid",
      message: "not a credential, such as Auth.jwt(token)",
    })),
    {
      name: "an empty token",
      auth: Auth.jwt(""),
      code: "credentials_invalid",
      message: "the token is empty",
    },
    {
      name: "a token with a line break",
      auth: Auth.jwt("s3cr3t\r\nx: y"),
      code: "credentials_invalid",
      message: "the token is over 8192 bytes or has a wrong character",
    },
    {
      name: "a password",
      auth: Auth.basic("user", "s3cr3t"),
      code: "credentials_invalid",
      message: "a password is for passwordLogin()",
    },
    {
      name: "an expired token",
      auth: Auth.jwt("s3cr3t", { expiresAt: new Date(start - 1) }),
      code: "credentials_failed",
      message: "the token had expired when it came",
    },
    {
      name: "a token that expires now",
      auth: Auth.jwt("s3cr3t", { expiresAt: new Date(start) }),
      code: "credentials_failed",
      message: "the token had expired when it came",
    },
    {
      name: "an expiry that is no date",
      auth: Auth.jwt("s3cr3t", { expiresAt: new Date("soon") }),
      code: "credentials_failed",
      message: "the token had expired when it came",
    },
    {
      name: "an expiry that is text",
      auth: { type: "jwt", token: "s3cr3t", expiresAt: "soon" },
      code: "credentials_failed",
      message: "the token had expired when it came",
    },
  ])("is $name, once and not in a loop", async ({ auth, code, message }) => {
    const provide = vi.fn(async () => auth as Auth);
    const api = createUserApi();
    const client = api.clientWith(cachedAuth(provide));
    for (let i = 0; i < 3; i++) {
      const error = await client.whoAmI({}).catch(ConnectError.from);
      expect(error).toMatchObject({
        code: Code.Unauthenticated,
        rawMessage: message,
        cause: { name: "AuthError", code, message, sent: false },
      });
    }
    expect(provide).toHaveBeenCalledTimes(1);
    expect(api.arrived).toEqual([]);
  });

  test("is a key that cannot be made, which leaves the others alone", async () => {
    const { getAuth } = cachedAuth(() => Auth.bearer("t"), {
      key: ({ url }) => {
        if (url === "bad") {
          throw new TypeError("no key");
        }
        return [url];
      },
    });
    const client = createUserApi().clientWith({
      getAuth: (request) => getAuth({ ...request, url: "bad" }),
    });
    await expect(client.whoAmI({})).rejects.toMatchObject({
      code: Code.Unauthenticated,
      cause: { code: "credentials_failed", cause: new TypeError("no key") },
    });
    expect(await getAuth(authRequest())).toMatchObject({ token: "t" });
  });
});

describe("a provider that hangs", () => {
  const hang = () => new Promise<Auth>(() => {});

  test("costs a call its own deadline, and the others 10 s", async () => {
    const provide = vi.fn(hang);
    const client = createUserApi().clientWith(cachedAuth(provide));
    const ended: string[] = [];
    const ask = (name: string, options: CallOptions = {}) =>
      client.whoAmI({}, options).catch((error) => {
        ended.push(`${name} after ${Date.now() - start} ms`);
        return ConnectError.from(error);
      });
    const impatient = ask("impatient", { timeoutMs: 500 });
    const patient = [ask("patient"), ask("as patient", { timeoutMs: minute })];
    await vi.advanceTimersByTimeAsync(9_999);
    expect(ended).toEqual(["impatient after 500 ms"]);
    expect(await impatient).toMatchObject({ code: Code.DeadlineExceeded });
    await vi.advanceTimersByTimeAsync(1);
    expect(ended.slice(1)).toEqual(["patient after 10000 ms", "as patient after 10000 ms"]);
    for (const error of await Promise.all(patient)) {
      expect(error).toMatchObject({
        code: Code.Unavailable,
        rawMessage: "no token within 10000 ms",
        cause: {
          code: "credentials_unavailable",
          message: "no token within 10000 ms",
          sent: false,
          cause: { name: "TimeoutError" },
        },
      });
    }
    expect(provide).toHaveBeenCalledTimes(1);
  });

  test("is told that its time is over, and what it answers then is not used", async () => {
    let release = (_auth: Auth) => {};
    const late = new Promise<Auth>((resolve) => {
      release = resolve;
    });
    const signals: AbortSignal[] = [];
    const { getAuth } = cachedAuth(
      ({ signal }) => {
        signals.push(signal);
        return signals.length === 1 ? late : Auth.bearer("second");
      },
      { timeoutMs: 50 },
    );
    const first = expect(getAuth(authRequest())).rejects.toMatchObject({
      code: "credentials_unavailable",
      message: "no token within 50 ms",
    });
    await vi.advanceTimersByTimeAsync(50);
    await first;
    expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
    release(Auth.bearer("late"));
    await vi.advanceTimersByTimeAsync(second);
    expect(await getAuth(authRequest())).toMatchObject({ token: "second" });
  });

  test("costs nothing while the token at hand is fresh", async () => {
    const provide = vi.fn(hang);
    const token = Auth.bearer("token", { expiresAt: new Date(start + minute) });
    provide.mockReturnValueOnce(Promise.resolve(token));
    const { getAuth } = cachedAuth(provide);
    await getAuth(authRequest());
    vi.advanceTimersByTime(15 * second);
    expect(getAuth(authRequest())).toBe(token);
    expect(provide).toHaveBeenCalledTimes(2);
    await vi.advanceTimersByTimeAsync(14 * second);
    expect(getAuth(authRequest())).toBe(token);
  });

  test("delays a call with a stale token by a second, and those after it not at all", async () => {
    const provide = vi.fn(hang);
    const token = Auth.bearer("token", { expiresAt: new Date(start + minute) });
    provide.mockReturnValueOnce(Promise.resolve(token));
    const { getAuth } = cachedAuth(provide);
    await getAuth(authRequest());
    await vi.advanceTimersByTimeAsync(40 * second);
    let served: unknown;
    const waiting = Promise.resolve(getAuth(authRequest())).then((auth) => {
      served = auth;
    });
    await vi.advanceTimersByTimeAsync(second - 1);
    expect(served).toBeUndefined();
    await vi.advanceTimersByTimeAsync(1);
    await waiting;
    expect(served).toBe(token);
    await vi.advanceTimersByTimeAsync(1);
    expect(getAuth(authRequest())).toBe(token);
    // one that begins with the token, and ends without
    await vi.advanceTimersByTimeAsync(59.5 * second - 41 * second);
    expect(provide).toHaveBeenCalledTimes(2);
    const tooLate = expect(getAuth(authRequest())).rejects.toMatchObject({
      code: "credentials_unavailable",
    });
    expect(provide).toHaveBeenCalledTimes(3);
    await vi.advanceTimersByTimeAsync(10 * second);
    await tooLate;
  });
});

describe("an issuer that is down for as long as a token of 60 s lives", () => {
  test("fails no call before the end, all after it, and none from when it is back", async () => {
    let isDown = false;
    const provide = vi.fn(async () =>
      isDown ? down() : Auth.bearer("t", { expiresAt: new Date(Date.now() + minute) }),
    );
    const client = createUserApi().clientWith(cachedAuth(provide));
    const call = async () => {
      const error = await client.whoAmI({}).then(
        () => undefined,
        (reason: unknown) => ConnectError.from(reason),
      );
      return error;
    };
    expect(await call()).toBeUndefined();
    isDown = true;
    /** When the provider was asked, in milliseconds from the start. */
    const asked: number[] = [];
    for (let at = 0; at < 120 * second; at += 100) {
      const before = provide.mock.calls.length;
      const error = await call();
      if (provide.mock.calls.length > before) {
        asked.push(at);
      }
      if (at < minute) {
        expect(error).toBeUndefined();
      } else {
        expect(error).toMatchObject(unavailable);
      }
      await vi.advanceTimersByTimeAsync(100);
    }
    // from 15 s on with waits of 1, 1.6, 2.56, 4.1, 6.55, 10.49, 16.78, 26.84 s and 42.95 s,
    // rounded up to the next call
    expect(asked).toEqual([15_000, 16_000, 17_600, 20_200, 24_300, 30_900, 41_400, 58_200, 85_100]);

    isDown = false;
    for (let at = 120 * second; at < 128_100; at += 100) {
      expect(await call()).toMatchObject(unavailable);
      await vi.advanceTimersByTimeAsync(100);
    }
    expect(provide).toHaveBeenCalledTimes(1 + asked.length);
    expect(await call()).toBeUndefined();
    expect(provide).toHaveBeenCalledTimes(2 + asked.length);
  });
});
