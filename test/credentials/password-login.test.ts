import { inspect } from "node:util";
import { Code, ConnectError } from "@connectrpc/connect";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import {
  Auth,
  AuthError,
  type AuthEvent,
  type AuthProvider,
  type LoginResult,
  type PasswordLogin,
  type PasswordLoginOptions,
  passwordLogin,
} from "../../src/index.js";
import { authRequest } from "../support/auth-request.js";
import { useFakeTime, useRealTime } from "../support/fake-time.js";
import { createHeld, createLoginServer } from "../support/login-server.js";
import { createUserApi } from "../support/user-api.js";

const start = new Date("2026-01-01T00:00:00Z").getTime();
const second = 1000;
const minute = 60 * second;
const alice = Auth.basic("alice", "s3cr3t");

beforeEach(() => {
  useFakeTime(start);
  vi.spyOn(Math, "random").mockReturnValue(0.5);
});
afterEach(useRealTime);

/** Credentials of alice on a login server and an API in this process. */
function setUp(options: Partial<PasswordLoginOptions> = {}) {
  const { login, refresh, next } = createLoginServer();
  const credentials = passwordLogin({ authProvider: alice, login, refresh, ...options });
  const api = createUserApi();
  const client = api.clientWith(credentials);
  const call = () => client.whoAmI({});
  const failure = () => call().catch(ConnectError.from);
  const calls = (n: number) => Promise.all(Array.from({ length: n }, call));
  return { login, refresh, next, credentials, api, client, call, failure, calls };
}

function failedCall(code: "credentials_failed" | "credentials_unavailable", message: string) {
  return {
    name: "ConnectError",
    code: code === "credentials_failed" ? Code.Unauthenticated : Code.Unavailable,
    rawMessage: message,
    cause: { name: "AuthError", code, message, sent: false },
  };
}
const notObtained = "the credential could not be obtained";
const down = () => Promise.reject(new ConnectError("down", Code.Unavailable));
const refuse = () => Promise.reject(new ConnectError("refused", Code.Unauthenticated));

describe("a password", () => {
  test("is exchanged for a token before the first call, and calls carry the token", async () => {
    const { login, refresh, api, calls } = setUp();
    await calls(1);
    await calls(2);
    expect(api.arrived).toEqual(Array(3).fill("Bearer token-1"));
    expect(login.mock.calls).toEqual([[alice, expect.any(AbortSignal)]]);
    expect(refresh).not.toHaveBeenCalled();
  });

  test("is exchanged once for a thousand calls that come first", async () => {
    const { login, api, calls } = setUp();
    await calls(1000);
    expect(api.arrived).toEqual(Array(1000).fill("Bearer token-1"));
    expect(login).toHaveBeenCalledTimes(1);
  });

  test("is exchanged once for several clients and transports", async () => {
    const { login, credentials } = setUp();
    const apis = [createUserApi(), createUserApi()];
    const clients = apis.flatMap((api) => [
      api.clientWith(credentials),
      api.clientWith(credentials),
    ]);
    await Promise.all(clients.map((client) => client.whoAmI({})));
    for (const { arrived } of apis) {
      expect(arrived).toEqual(["Bearer token-1", "Bearer token-1"]);
    }
    expect(login).toHaveBeenCalledTimes(1);
  });

  test("is asked for once for each login, of a function that is told of the call", async () => {
    const authProvider = vi.fn<AuthProvider>(async () => alice);
    const { login, calls } = setUp({ authProvider, refresh: undefined });
    await calls(10);
    await vi.advanceTimersByTimeAsync(60 * minute);
    await calls(10);
    expect(login).toHaveBeenCalledTimes(2);
    expect(authProvider.mock.calls.map(([{ method, reason }]) => [method.name, reason])).toEqual([
      ["WhoAmI", "request"],
      ["WhoAmI", "request"],
    ]);
  });

  test("that is refused fails all who wait, and is sent again after five minutes", async () => {
    const { login, failure } = setUp();
    login.mockImplementation(refuse);
    const errors = await Promise.all(Array.from({ length: 50 }, failure));
    for (let n = 0; n < 4; n++) {
      await vi.advanceTimersByTimeAsync(minute);
      errors.push(await failure());
    }
    await vi.advanceTimersByTimeAsync(minute - 1);
    errors.push(await failure());
    for (const error of errors) {
      expect(error).toMatchObject(failedCall("credentials_failed", notObtained));
    }
    expect(login).toHaveBeenCalledTimes(1);
    await vi.advanceTimersByTimeAsync(minute);
    await failure();
    expect(login).toHaveBeenCalledTimes(2);
    await vi.advanceTimersByTimeAsync(4 * minute);
    await failure();
    expect(login).toHaveBeenCalledTimes(2);
  });

  test.each<{ name: string; again: (credentials: PasswordLogin) => unknown }>([
    { name: "login()", again: (credentials) => credentials.login() },
    { name: "clear()", again: (credentials) => credentials.clear() },
  ])("that is refused is sent again after $name", async ({ again }) => {
    const { login, credentials, api, call, failure } = setUp();
    login.mockImplementationOnce(refuse);
    expect(await failure()).toMatchObject(failedCall("credentials_failed", notObtained));
    await again(credentials);
    await call();
    expect(login).toHaveBeenCalledTimes(2);
    expect(api.arrived).toEqual(["Bearer token-1"]);
  });

  test("that is refused again by login() is not sent by the calls after it", async () => {
    const { login, credentials, failure } = setUp();
    login.mockImplementation(refuse);
    for (let n = 0; n < 2; n++) {
      await expect(credentials.login()).rejects.toMatchObject({
        code: "credentials_failed",
        message: notObtained,
      });
    }
    expect(await failure()).toMatchObject(failedCall("credentials_failed", notObtained));
    expect(login).toHaveBeenCalledTimes(2);
  });

  test("that a function gives again is not sent again, another one or that of another user is", async () => {
    const authProvider = vi.fn<AuthProvider>(() => Auth.basic("alice", "old"));
    const { login, failure } = setUp({ authProvider });
    login.mockImplementation(refuse);
    await failure();
    const sent = [Auth.basic("alice", "old"), Auth.basic("alice", "new"), Auth.basic("bob", "new")];
    for (const basic of sent) {
      authProvider.mockReturnValueOnce(basic);
      await vi.advanceTimersByTimeAsync(10 * second);
      expect(await failure()).toMatchObject(failedCall("credentials_failed", notObtained));
    }
    expect(authProvider).toHaveBeenCalledTimes(4);
    expect(login.mock.calls.map(([basic]) => basic)).toEqual(sent);
  });

  test.each([
    { name: "a plain error", error: new Error("HTTP 500") },
    { name: "what is down", error: new AuthError("credentials_unavailable", "down") },
  ])("is sent again after the backoff where the login fails with $name", async ({ error }) => {
    const { login, call, failure } = setUp({ maxAttempts: 1 });
    login.mockRejectedValueOnce(error);
    await failure();
    await vi.advanceTimersByTimeAsync(999);
    await failure();
    expect(login).toHaveBeenCalledTimes(1);
    await vi.advanceTimersByTimeAsync(1);
    await call();
    expect(login).toHaveBeenCalledTimes(2);
  });

  test.each([
    { name: "no user", basic: Auth.basic("", "p") },
    { name: "no password", basic: Auth.basic("alice", JSON.parse("null")) },
  ])("that is none is an error: $name", async ({ basic }) => {
    const message = "a login needs a user name and a password";
    expect(() => setUp({ authProvider: basic })).toThrow(new TypeError(`authProvider: ${message}`));
    const { login, failure } = setUp({ authProvider: () => basic });
    expect(await failure()).toMatchObject({
      code: Code.Unauthenticated,
      cause: { code: "credentials_invalid", message },
    });
    expect(login).not.toHaveBeenCalled();
  });
});

describe("a login that hangs", () => {
  test("costs a call its own deadline, and no other call", async () => {
    const { login, next, client, call, api } = setUp();
    const held = createHeld<LoginResult>();
    login.mockReturnValueOnce(held.promise);
    const late = client.whoAmI({}, { timeoutMs: second }).catch(ConnectError.from);
    const other = call();
    await vi.advanceTimersByTimeAsync(second);
    expect(await late).toMatchObject({ code: Code.DeadlineExceeded });
    held.release(await next());
    await other;
    expect(api.arrived).toEqual(["Bearer token-1"]);
  });

  test("goes on for the other 49 where the first call is aborted", async () => {
    const { login, next, client, calls, api } = setUp();
    const held = createHeld<LoginResult>();
    login.mockReturnValueOnce(held.promise);
    const controller = new AbortController();
    const first = client.whoAmI({}, { signal: controller.signal }).catch(ConnectError.from);
    const others = calls(49);
    await vi.advanceTimersByTimeAsync(second);
    controller.abort();
    expect(await first).toMatchObject({ code: Code.Canceled });
    expect(login.mock.calls[0]?.[1].aborted).toBe(false);
    held.release(await next());
    await others;
    expect(api.arrived).toEqual(Array(49).fill("Bearer token-1"));
    expect(login).toHaveBeenCalledTimes(1);
  });

  test("fails after timeoutMs, which aborts its signal, and is repeated after the backoff", async () => {
    const { login, failure, call, credentials } = setUp({ timeoutMs: 2 * second });
    login.mockReturnValueOnce(new Promise(() => {}));
    const failed = failure();
    const own = credentials.login().catch((error) => error);
    await vi.advanceTimersByTimeAsync(2 * second);
    const message = "no token within 2000 ms";
    expect(await failed).toMatchObject(failedCall("credentials_unavailable", message));
    expect(await own).toMatchObject({ code: "credentials_unavailable", message });
    expect(login.mock.calls[0]?.[1].aborted).toBe(true);
    await vi.advanceTimersByTimeAsync(second);
    await call();
    expect(login).toHaveBeenCalledTimes(2);
  });
});

describe("a token that expires", () => {
  test("is refreshed once by a hundred calls, and the newest refresh token is kept", async () => {
    const { login, refresh, api, calls } = setUp();
    for (let n = 1; n <= 3; n++) {
      await calls(100);
      await vi.advanceTimersByTimeAsync(60 * minute);
    }
    expect(api.arrived).toEqual(
      ["Bearer token-1", "Bearer token-2", "Bearer token-3"].flatMap((sent) =>
        Array(100).fill(sent),
      ),
    );
    expect(refresh.mock.calls.map(([token]) => token)).toEqual(["refresh-1", "refresh-2"]);
    expect(login).toHaveBeenCalledTimes(1);
  });

  test("is refreshed in the background while it is valid", async () => {
    const { refresh, next, api, call } = setUp();
    await call();
    await vi.advanceTimersByTimeAsync(55 * minute);
    const held = createHeld<LoginResult>();
    refresh.mockReturnValueOnce(held.promise);
    await call();
    held.release(await next());
    await vi.advanceTimersByTimeAsync(0);
    await call();
    expect(api.arrived).toEqual(["Bearer token-1", "Bearer token-1", "Bearer token-2"]);
  });

  test("keeps the refresh token where none comes with the next", async () => {
    const { refresh, call } = setUp();
    refresh.mockImplementation(() => ({ access_token: "t", refresh_token: "", expires_in: 3600 }));
    for (let n = 0; n < 3; n++) {
      await call();
      await vi.advanceTimersByTimeAsync(60 * minute);
    }
    expect(refresh.mock.calls.map(([token]) => token)).toEqual(["refresh-1", "refresh-1"]);
  });

  test.each([
    { name: "there is no refresh token", result: { access_token: "t", expires_in: 3600 } },
    { name: "there is no refresh", options: { refresh: undefined } },
  ])("is followed by a login where $name", async ({ result, options = {} }) => {
    const { login, refresh, api, call } = setUp(options);
    if (result) {
      login.mockReturnValueOnce(result);
    }
    await call();
    await vi.advanceTimersByTimeAsync(60 * minute);
    await call();
    expect(login).toHaveBeenCalledTimes(2);
    expect(refresh).not.toHaveBeenCalled();
    expect(api.arrived[1]).toBe(result ? "Bearer token-1" : "Bearer token-2");
  });

  test("is followed by a login where the refresh token is refused for good, which is not sent again", async () => {
    const { login, refresh, api, calls } = setUp();
    refresh.mockImplementation(refuse);
    await calls(1);
    await vi.advanceTimersByTimeAsync(60 * minute);
    login.mockImplementationOnce(refuse);
    await expect(calls(10)).rejects.toMatchObject(failedCall("credentials_failed", notObtained));
    await vi.advanceTimersByTimeAsync(5 * minute);
    await calls(10);
    expect(api.arrived).toEqual(["Bearer token-1", ...Array(10).fill("Bearer token-2")]);
    expect(refresh).toHaveBeenCalledTimes(1);
  });

  const notSent = new ConnectError("no token", Code.Unauthenticated);
  notSent.cause = new AuthError("credentials_failed", "no token");

  test.each<{ name: string; error: Error }>([
    ...[Code.Unauthenticated, Code.InvalidArgument, Code.PermissionDenied, Code.NotFound].map(
      (code) => ({ name: Code[code], error: new ConnectError("refused", code) }),
    ),
    { name: "an AuthError", error: new AuthError("credentials_failed", "refused") },
  ])("is followed by a login where refresh refuses with $name", async ({ error }) => {
    const { login, refresh, api, call } = setUp();
    await call();
    await vi.advanceTimersByTimeAsync(60 * minute);
    refresh.mockRejectedValueOnce(error);
    await call();
    expect([login.mock.calls.length, refresh.mock.calls.length]).toEqual([2, 1]);
    expect(api.arrived).toEqual(["Bearer token-1", "Bearer token-2"]);
  });

  test.each<{ name: string; error: Error; message?: string }>([
    { name: "a plain error", error: new Error("HTTP 503") },
    { name: "a code", error: Object.assign(new Error("connect"), { code: "ECONNREFUSED" }) },
    { name: "a mistake", error: new TypeError("x is undefined") },
    { name: "Internal", error: new ConnectError("bug", Code.Internal) },
    { name: "a method that is missing", error: new ConnectError("404", Code.Unimplemented) },
    { name: "a call that was not sent", error: notSent, message: "no token" },
  ])(
    "is not followed by a login where refresh fails with $name, and keeps the refresh token",
    async ({ error, message = notObtained }) => {
      const { login, refresh, api, call, failure } = setUp();
      await call();
      await vi.advanceTimersByTimeAsync(60 * minute);
      refresh.mockRejectedValueOnce(error);
      expect(await failure()).toMatchObject(failedCall("credentials_failed", message));
      expect(await failure()).toMatchObject(failedCall("credentials_failed", message));
      await vi.advanceTimersByTimeAsync(second);
      await call();
      expect(refresh.mock.calls.map(([token]) => token)).toEqual(["refresh-1", "refresh-1"]);
      expect(login).toHaveBeenCalledTimes(1);
      expect(api.arrived).toEqual(["Bearer token-1", "Bearer token-2"]);
    },
  );

  test("is not followed by a login where refresh is down, and serves while it is valid", async () => {
    const { login, refresh, api, call, failure } = setUp();
    await call();
    refresh.mockImplementation(down);
    await vi.advanceTimersByTimeAsync(58 * minute);
    await call();
    await vi.advanceTimersByTimeAsync(2 * minute);
    const failed = failure();
    await vi.advanceTimersByTimeAsync(second);
    expect(await failed).toMatchObject(failedCall("credentials_unavailable", notObtained));
    refresh.mockImplementation(() => ({ access_token: "back" }));
    await vi.advanceTimersByTimeAsync(minute);
    await call();
    expect(api.arrived).toEqual(["Bearer token-1", "Bearer token-1", "Bearer back"]);
    expect(login).toHaveBeenCalledTimes(1);
    expect(new Set(refresh.mock.calls.map(([token]) => token))).toEqual(new Set(["refresh-1"]));
  });

  test("takes a refresh that answers late, instead of sending the refresh token twice", async () => {
    const { login, refresh, next, api, call, failure } = setUp();
    await call();
    await vi.advanceTimersByTimeAsync(60 * minute);
    const held = createHeld<LoginResult>();
    refresh.mockReturnValueOnce(held.promise);
    for (let n = 0; n < 2; n++) {
      const failed = failure();
      await vi.advanceTimersByTimeAsync(10 * second);
      expect(await failed).toMatchObject(
        failedCall("credentials_unavailable", "no token within 10000 ms"),
      );
      await vi.advanceTimersByTimeAsync(second);
    }
    held.release(await next());
    await vi.advanceTimersByTimeAsync(2 * second);
    await call();
    expect(api.arrived).toEqual(["Bearer token-1", "Bearer token-2"]);
    expect(refresh).toHaveBeenCalledTimes(1);
    expect(login).toHaveBeenCalledTimes(1);
  });

  test("does not take a late answer that has expired meanwhile", async () => {
    const { refresh, api, call, failure } = setUp();
    await call();
    await vi.advanceTimersByTimeAsync(60 * minute);
    const held = createHeld<LoginResult>();
    refresh.mockReturnValueOnce(held.promise);
    const failed = failure();
    await vi.advanceTimersByTimeAsync(10 * second);
    expect(await failed).toMatchObject({ code: Code.Unavailable });
    held.release({ access_token: "late", refresh_token: "late-refresh", expires_in: 60 });
    await vi.advanceTimersByTimeAsync(10 * minute);
    await call();
    expect(refresh.mock.calls.map(([token]) => token)).toEqual(["refresh-1", "late-refresh"]);
    expect(api.arrived).toEqual(["Bearer token-1", "Bearer token-2"]);
  });
});

describe("a token that the API rejects", () => {
  test("is refreshed, once for a hundred calls", async () => {
    const { login, refresh, api, calls } = setUp();
    await calls(1);
    api.revoked.add("Bearer token-1");
    await calls(100);
    expect(api.arrived.filter((sent) => sent === "Bearer token-2")).toHaveLength(100);
    expect([login.mock.calls.length, refresh.mock.calls.length]).toEqual([1, 1]);
  });

  test("is followed by a login where the refresh token is refused, too", async () => {
    const { login, refresh, api, calls } = setUp();
    await calls(1);
    api.revoked.add("Bearer token-1");
    refresh.mockImplementation(refuse);
    await calls(1);
    expect(api.arrived).toEqual(["Bearer token-1", "Bearer token-1", "Bearer token-2"]);
    expect([login.mock.calls.length, refresh.mock.calls.length]).toEqual([2, 1]);
  });
});

describe("what is down", () => {
  const unavailable = new AuthError("credentials_unavailable", "down");

  test.each([
    { name: "Unavailable", error: new ConnectError("down", Code.Unavailable) },
    { name: "DeadlineExceeded", error: new ConnectError("slow", Code.DeadlineExceeded) },
    { name: "ResourceExhausted", error: new ConnectError("busy", Code.ResourceExhausted) },
    { name: "an AuthError that says so", error: unavailable },
    { name: "fetch", error: new TypeError("fetch failed") },
    { name: "fetch under Connect", error: ConnectError.from(new TypeError("Failed to fetch")) },
  ])("is asked three times in all, after 200 and 400 ms less jitter: $name", async ({ error }) => {
    const { login, call } = setUp();
    login.mockRejectedValueOnce(error).mockRejectedValueOnce(error);
    const succeeds = call();
    await vi.advanceTimersByTimeAsync(150);
    expect(login).toHaveBeenCalledTimes(2);
    await vi.advanceTimersByTimeAsync(299);
    expect(login).toHaveBeenCalledTimes(2);
    await vi.advanceTimersByTimeAsync(1);
    await succeeds;
    expect(login).toHaveBeenCalledTimes(3);

    const other = setUp();
    other.login.mockRejectedValue(error);
    const fails = other.failure();
    await vi.advanceTimersByTimeAsync(450);
    expect(await fails).toMatchObject({
      code: Code.Unavailable,
      cause: { code: "credentials_unavailable" },
    });
    expect(other.login).toHaveBeenCalledTimes(3);
  });

  test("may be asked otherwise, and may be authProvider or refresh", async () => {
    const authProvider = vi.fn<AuthProvider>(() => alice);
    const { login, refresh, call } = setUp({
      authProvider,
      maxAttempts: 2,
      initialBackoffMs: 8000,
      maxBackoffMs: 4000,
    });
    authProvider.mockRejectedValueOnce(unavailable);
    const exchanged = call();
    await vi.advanceTimersByTimeAsync(3 * second);
    await exchanged;
    expect([authProvider.mock.calls.length, login.mock.calls.length]).toEqual([2, 1]);
    await vi.advanceTimersByTimeAsync(60 * minute);
    refresh.mockRejectedValueOnce(unavailable);
    const refreshed = call();
    await vi.advanceTimersByTimeAsync(3 * second);
    await refreshed;
    expect(refresh.mock.calls.map(([token]) => token)).toEqual(["refresh-1", "refresh-1"]);
  });

  test("leaves no timer when the call has failed", async () => {
    const { login, failure } = setUp({
      timeoutMs: 500,
      initialBackoffMs: 8000,
      maxBackoffMs: 8000,
    });
    login.mockRejectedValue(unavailable);
    const failed = failure();
    await vi.advanceTimersByTimeAsync(499);
    expect(vi.getTimerCount()).toBeGreaterThan(0);
    await vi.advanceTimersByTimeAsync(1);
    expect(await failed).toMatchObject(
      failedCall("credentials_unavailable", "no token within 500 ms"),
    );
    expect(vi.getTimerCount()).toBe(0);
    expect(login).toHaveBeenCalledTimes(1);
  });

  test("is left alone for as long as it says, by the backoff if that is long", async () => {
    const { login, failure, call } = setUp();
    login
      .mockRejectedValueOnce(new AuthError("credentials_unavailable", "busy", undefined, 1500))
      .mockRejectedValueOnce(new AuthError("credentials_unavailable", "busy", undefined, minute));
    const failed = failure();
    await vi.advanceTimersByTimeAsync(1499);
    expect(login).toHaveBeenCalledTimes(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(await failed).toMatchObject(failedCall("credentials_unavailable", "busy"));
    await vi.advanceTimersByTimeAsync(minute - 1);
    expect(await failure()).toMatchObject(failedCall("credentials_unavailable", "busy"));
    expect(login).toHaveBeenCalledTimes(2);
    await vi.advanceTimersByTimeAsync(1);
    await call();
  });

  test.each([
    new ConnectError("refused", Code.Unauthenticated),
    new ConnectError("no such user", Code.NotFound),
    new ConnectError("?", Code.Unknown),
    new AuthError("credentials_failed", "refused"),
    new TypeError("x is undefined"),
  ])("is not what fails with $message", async (error) => {
    const { login, failure } = setUp();
    login.mockRejectedValue(error);
    expect(await failure()).toMatchObject({
      code: Code.Unauthenticated,
      cause: { code: "credentials_failed" },
    });
    expect(login).toHaveBeenCalledTimes(1);
  });
});

describe("onTokens", () => {
  test("has stored the tokens before any call continues", async () => {
    const stored = createHeld<void>();
    const onTokens = vi.fn(() => stored.promise);
    const { credentials, api, calls } = setUp({ onTokens });
    const waiting = calls(10);
    const own = credentials.login();
    await vi.advanceTimersByTimeAsync(second);
    expect(api.arrived).toEqual([]);
    expect(onTokens.mock.calls).toEqual([
      [{ access_token: "token-1", refresh_token: "refresh-1", expires_in: 3600 }],
    ]);
    stored.release();
    await waiting;
    expect(await own).toMatchObject({ access_token: "token-1" });
    expect(api.arrived).toHaveLength(10);
  });

  test("gets what it could not store again, before the refresh token is used", async () => {
    const order: string[] = [];
    const onTokens = vi.fn(({ refresh_token }: LoginResult) => {
      order.push(`store ${refresh_token}`);
    });
    onTokens.mockImplementationOnce(() => {
      throw new Error("disk full");
    });
    const { refresh, next, credentials, api, call, failure } = setUp({ onTokens });
    refresh.mockImplementation((token) => {
      order.push(`send ${token}`);
      return next();
    });
    const message = "onTokens could not store the tokens";
    expect(await failure()).toMatchObject(failedCall("credentials_failed", message));
    await vi.advanceTimersByTimeAsync(second);
    await call();
    await credentials.refreshToken();
    expect(order).toEqual([
      "store refresh-1",
      "send refresh-1",
      "store refresh-2",
      "send refresh-2",
      "store refresh-3",
    ]);
    expect(api.arrived).toEqual(["Bearer token-2"]);
  });
});

describe("login()", () => {
  test("logs in, resolves with what came, and calls use it from then on", async () => {
    const { login, credentials, api, call } = setUp();
    expect(await credentials.login()).toEqual({
      access_token: "token-1",
      refresh_token: "refresh-1",
      expires_in: 3600,
    });
    await call();
    expect(await credentials.login()).toMatchObject({ access_token: "token-2" });
    await call();
    expect(api.arrived).toEqual(["Bearer token-1", "Bearer token-2"]);
    expect(login).toHaveBeenCalledTimes(2);
  });

  test("joins the login that is under way, whoever began it", async () => {
    const { login, credentials, api, call } = setUp();
    const results = await Promise.all([credentials.login(), credentials.login(), call()]);
    expect(results[1]).toBe(results[0]);
    expect([login.mock.calls.length, api.arrived]).toEqual([1, ["Bearer token-1"]]);
    credentials.clear();
    const [, result] = await Promise.all([call(), credentials.login()]);
    expect(result).toMatchObject({ access_token: "token-2" });
    expect(login).toHaveBeenCalledTimes(2);
  });

  test("joins the login that a refused refresh is followed by", async () => {
    const { login, refresh, next, credentials, call } = setUp();
    await call();
    await vi.advanceTimersByTimeAsync(60 * minute);
    refresh.mockImplementationOnce(refuse);
    const held = createHeld<LoginResult>();
    login.mockReturnValueOnce(held.promise);
    const waiting = call();
    await vi.advanceTimersByTimeAsync(0);
    const result = credentials.login();
    held.release(await next());
    await waiting;
    expect(await result).toMatchObject({ access_token: "token-2" });
    expect(login).toHaveBeenCalledTimes(2);
  });

  test("waits for a refresh that is under way", async () => {
    const { login, refresh, credentials, next, call } = setUp();
    await call();
    const held = createHeld<LoginResult>();
    refresh.mockReturnValueOnce(held.promise);
    const refreshed = credentials.refreshToken();
    const result = credentials.login();
    await vi.advanceTimersByTimeAsync(second);
    expect(login).toHaveBeenCalledTimes(1);
    held.release(await next());
    expect(await refreshed).toMatchObject({ access_token: "token-2" });
    expect(await result).toMatchObject({ access_token: "token-3" });
  });

  test("does not wait for the backoff, and ends it", async () => {
    const { login, credentials, call, failure } = setUp();
    login.mockImplementationOnce(refuse);
    await failure();
    await credentials.login();
    await call();
    expect(login).toHaveBeenCalledTimes(2);
  });

  test("that fails leaves the token that calls use", async () => {
    const { login, credentials, api, call } = setUp();
    await call();
    login.mockImplementationOnce(refuse);
    await expect(credentials.login()).rejects.toMatchObject({
      name: "AuthError",
      code: "credentials_failed",
      message: notObtained,
    });
    await call();
    expect(api.arrived).toEqual(["Bearer token-1", "Bearer token-1"]);
  });

  test("is for no call that authProvider could read", async () => {
    const { credentials } = setUp({ authProvider: ({ url }) => Auth.basic(url, "p") });
    await expect(credentials.login()).rejects.toMatchObject({
      code: "credentials_invalid",
      message: "login() is for no call that authProvider can read",
    });
  });
});

describe("refreshToken()", () => {
  test("refreshes with the token at hand, and calls use what comes from then on", async () => {
    const { refresh, credentials, api, call } = setUp();
    await call();
    expect(await credentials.refreshToken()).toEqual({
      access_token: "token-2",
      refresh_token: "refresh-2",
      expires_in: 3600,
    });
    await call();
    expect(api.arrived).toEqual(["Bearer token-1", "Bearer token-2"]);
    expect(refresh.mock.calls.map(([token]) => token)).toEqual(["refresh-1"]);
  });

  test("takes one from storage in place of a login", async () => {
    const { login, refresh, credentials, api, call } = setUp();
    await credentials.refreshToken("stored");
    await call();
    expect(refresh.mock.calls.map(([token]) => token)).toEqual(["stored"]);
    expect([login.mock.calls.length, api.arrived]).toEqual([0, ["Bearer token-1"]]);
  });

  test("sends a refresh token once, however many ask", async () => {
    const { refresh, credentials, call, calls } = setUp();
    await call();
    await vi.advanceTimersByTimeAsync(60 * minute);
    await Promise.all([
      credentials.refreshToken(),
      calls(10),
      credentials.refreshToken("refresh-1"),
      credentials.refreshToken(),
    ]);
    expect(refresh).toHaveBeenCalledTimes(1);
    await Promise.all([credentials.refreshToken("other"), credentials.refreshToken("another")]);
    expect(refresh.mock.calls.map(([token]) => token)).toEqual(["refresh-1", "other", "another"]);
  });

  test("never logs in, and forgets a token that is refused", async () => {
    const { login, refresh, credentials, call } = setUp();
    await call();
    refresh.mockImplementationOnce(refuse);
    await expect(credentials.refreshToken()).rejects.toMatchObject({
      code: "credentials_failed",
      message: notObtained,
    });
    await expect(credentials.refreshToken()).rejects.toMatchObject({
      code: "credentials_missing",
      message: "there is no refresh token: log in",
    });
    expect([login.mock.calls.length, refresh.mock.calls.length]).toEqual([1, 1]);
  });

  test("that is refused fails no call that waits: those log in", async () => {
    const { login, refresh, credentials, api, calls } = setUp();
    refresh.mockImplementationOnce(refuse);
    const refused = expect(credentials.refreshToken("stored")).rejects.toMatchObject({
      code: "credentials_failed",
      message: notObtained,
    });
    await calls(10);
    await refused;
    expect(api.arrived).toEqual(Array(10).fill("Bearer token-1"));
    expect([login.mock.calls.length, refresh.mock.calls.length]).toEqual([1, 1]);
  });

  test("rejects where there is no refresh", async () => {
    const { credentials } = setUp({ refresh: undefined });
    await expect(credentials.refreshToken("stored")).rejects.toMatchObject({
      code: "credentials_missing",
      message: "passwordLogin has no `refresh`: log in",
    });
  });
});

describe("another credential than a password", () => {
  test.each([Auth.jwt("a.b.c"), Auth.bearer("t"), Auth.session("t")])(
    "is used as it is: $type",
    async (auth) => {
      const { login, credentials, api, call } = setUp({ authProvider: async () => auth });
      await call();
      expect([api.arrived, credentials.getAuthType()]).toEqual([
        [`Bearer ${auth.token}`],
        auth.type,
      ]);
      await expect(credentials.login()).rejects.toMatchObject({
        code: "credentials_missing",
        message: "authProvider gave no password to log in with",
      });
      expect(login).not.toHaveBeenCalled();
    },
  );
});

describe("getAuthType()", () => {
  test.each<{ name: string; authProvider: PasswordLoginOptions["authProvider"]; want: string[] }>([
    { name: "a constant password", authProvider: alice, want: ["basic", "basic", "bearer"] },
    { name: "a function", authProvider: () => alice, want: ["none", "basic", "bearer"] },
  ])("tells what there is: $name", async ({ authProvider, want }) => {
    const { login, next, credentials } = setUp({ authProvider });
    const held = createHeld<LoginResult>();
    login.mockReturnValueOnce(held.promise);
    const types: string[] = [credentials.getAuthType()];
    const result = credentials.login();
    await vi.advanceTimersByTimeAsync(0);
    types.push(credentials.getAuthType());
    held.release(await next());
    await result;
    types.push(credentials.getAuthType());
    expect(types).toEqual(want);
    login.mockReturnValueOnce({ access_token: "a.b.c" });
    await credentials.login();
    expect(credentials.getAuthType()).toBe("jwt");
    credentials.clear();
    expect(credentials.getAuthType()).toBe(want[0]);
  });
});

describe("clear()", () => {
  test("forgets all, what is under way included", async () => {
    const onTokens = vi.fn();
    const { login, refresh, next, credentials, api, call } = setUp({ onTokens });
    const held = createHeld<LoginResult>();
    login.mockReturnValueOnce(held.promise);
    const before = call();
    await vi.advanceTimersByTimeAsync(0);
    credentials.clear();
    held.release(await next());
    await before;
    expect(onTokens).not.toHaveBeenCalled();
    await call();
    credentials.clear();
    await call();
    expect(api.arrived).toEqual(["Bearer token-1", "Bearer token-2", "Bearer token-3"]);
    expect([login.mock.calls.length, refresh.mock.calls.length]).toEqual([3, 0]);
  });

  test("is not undone by a login() that began before it", async () => {
    const { login, next, credentials } = setUp();
    const held = createHeld<LoginResult>();
    login.mockReturnValueOnce(held.promise);
    const result = credentials.login();
    await vi.advanceTimersByTimeAsync(0);
    credentials.clear();
    held.release(await next());
    expect(await result).toMatchObject({ access_token: "token-1" });
    expect(credentials.getAuthType()).toBe("basic");
    expect(login).toHaveBeenCalledTimes(1);
  });
});

describe("what a login answers", () => {
  const at = (ms: number) => new Date(start + ms);

  test.each<{ name: string; result: object; want: object }>([
    { name: "expires_in", result: { expires_in: 60 }, want: { expiresAt: at(minute) } },
    { name: "digits", result: { expires_in: "60" }, want: { expiresAt: at(minute) } },
    {
      name: "seconds since the epoch",
      result: { expires_at: start / 1000 + 60 },
      want: { expiresAt: at(minute) },
    },
    {
      name: "text",
      result: { expires_at: "2026-01-01T00:01:00Z" },
      want: { expiresAt: at(minute) },
    },
    { name: "a Date", result: { expires_at: at(minute) }, want: { expiresAt: at(minute) } },
    {
      name: "far away",
      result: { expires_in: 9e15 },
      want: { expiresAt: at(3650 * 1440 * minute) },
    },
    { name: "nothing", result: { token_type: "bearer", refresh_token: null }, want: {} },
  ])("says when the token expires: $name", async ({ result, want }) => {
    const { login, credentials } = setUp();
    login.mockReturnValueOnce({ access_token: "t", ...result });
    const auth = await credentials.getAuth(authRequest());
    expect(auth).toEqual({ type: "bearer", token: "t", ...want });
  });

  test.each<{ name: string; result: unknown; code?: string; message: string }>([
    { name: "undefined", result: undefined, message: "the login answered without an access_token" },
    { name: "no token", result: {}, message: "the login answered without an access_token" },
    {
      name: "an empty token",
      result: { access_token: "" },
      message: "the login answered without an access_token",
    },
    {
      name: "a refresh token that is none",
      result: { access_token: "t", refresh_token: 5 },
      message: "the login answered without an access_token",
    },
    {
      name: "a token of another type",
      result: { access_token: "t", token_type: "DPoP" },
      message: "the login answered with a token of another type than Bearer",
    },
    {
      name: "a token with a line break",
      result: { access_token: "s3cr3t\r\n" },
      code: "credentials_invalid",
      message: "the token is over 8192 bytes or has a wrong character",
    },
    ...[0, -1].map((expires_in) => ({
      name: `expires_in ${expires_in}`,
      result: { access_token: "t", expires_in },
      message: "the token had expired when it came",
    })),
    ...["60s", Number.NaN, true].map((expires_in) => ({
      name: `expires_in ${expires_in}`,
      result: { access_token: "t", expires_in },
      message: "the login answered with an expires_in or expires_at that is none",
    })),
    {
      name: "expires_at tomorrow",
      result: { access_token: "t", expires_at: "tomorrow" },
      message: "the login answered with an expires_in or expires_at that is none",
    },
  ])("is an error: $name", async ({ result, code = "credentials_failed", message }) => {
    const onTokens = vi.fn();
    const { login, failure } = setUp({ onTokens });
    login.mockReturnValue(result as LoginResult);
    expect(await failure()).toMatchObject({
      code: Code.Unauthenticated,
      cause: { code, message },
    });
    expect(login).toHaveBeenCalledTimes(1);
    expect(onTokens).not.toHaveBeenCalled();
  });
});

describe("a token that cannot be used", () => {
  const expired = { access_token: "t", refresh_token: "new", expires_in: 0 };

  test.each<{ name: string; answer: object; stored: unknown[] }>([
    { name: "an expired one", answer: expired, stored: [[expired]] },
    { name: "none at all", answer: { refresh_token: "new" }, stored: [] },
  ])("leaves the refresh token beside it in use: $name", async ({ answer, stored }) => {
    const onTokens = vi.fn();
    const { login, refresh, credentials, api, call, failure } = setUp({ onTokens });
    await call();
    await vi.advanceTimersByTimeAsync(60 * minute);
    onTokens.mockClear();
    refresh.mockReturnValueOnce(answer as LoginResult);
    const message =
      stored.length > 0
        ? "the token had expired when it came"
        : "the login answered without an access_token";
    expect(await failure()).toMatchObject(failedCall("credentials_failed", message));
    expect(onTokens.mock.calls).toEqual(stored);
    await vi.advanceTimersByTimeAsync(second);
    await call();
    await credentials.refreshToken();
    expect(refresh.mock.calls.map(([token]) => token)).toEqual(["refresh-1", "new", "refresh-2"]);
    expect(login).toHaveBeenCalledTimes(1);
    expect(api.arrived).toEqual(["Bearer token-1", "Bearer token-2"]);
  });

  test("of a login leaves it in use, too", async () => {
    const { login, refresh, credentials, call } = setUp();
    login.mockReturnValueOnce(expired);
    await expect(credentials.login()).rejects.toMatchObject({
      code: "credentials_failed",
      message: "the token had expired when it came",
    });
    await call();
    expect(refresh.mock.calls.map(([token]) => token)).toEqual(["new"]);
    expect(login).toHaveBeenCalledTimes(1);
  });

  test("keeps the refresh token in use where none comes with it", async () => {
    const { refresh, credentials } = setUp();
    await credentials.login();
    refresh.mockReturnValueOnce({ access_token: "t", expires_in: 0 });
    await expect(credentials.refreshToken()).rejects.toMatchObject({
      code: "credentials_failed",
      message: "the token had expired when it came",
    });
    await credentials.refreshToken();
    expect(refresh.mock.calls.map(([token]) => token)).toEqual(["refresh-1", "refresh-1"]);
  });
});

test("shows neither passwords nor tokens, and tells of tokens in events", async () => {
  const events: AuthEvent[] = [];
  const { credentials, login, refresh, calls, failure } = setUp({ onEvent: (e) => events.push(e) });
  await calls(1);
  await vi.advanceTimersByTimeAsync(60 * minute);
  refresh.mockImplementation(() => ({ access_token: "token-9 ", refresh_token: "refresh-9" }));
  login.mockImplementation(refuse);
  const errors = [
    await failure(),
    await credentials.login().catch((error) => error),
    await credentials.refreshToken("refresh-9").catch((error) => error),
  ];
  expect(events.map(({ type }) => type)).toEqual(["token_acquired", "token_failed"]);
  for (const shown of [credentials, ...errors, ...events]) {
    const text = `${inspect(shown, { depth: 10 })} ${JSON.stringify(shown)} ${shown}`;
    expect(text).not.toMatch(/s3cr3t|token-\d|refresh-\d/);
  }
});

test.each<{ name: string; options: object; message: string }>([
  {
    name: "an unknown option",
    options: { provider: alice },
    message:
      'passwordLogin has no option "provider"; there are authProvider, login, refresh, onTokens, fields, fetch, maxAttempts, initialBackoffMs, maxBackoffMs, onEvent, now, timeoutMs',
  },
  {
    name: "no authProvider",
    options: { authProvider: undefined },
    message: "authProvider: not a credential, such as Auth.jwt(token)",
  },
  { name: "no login", options: { login: undefined }, message: "login must be a URL or a function" },
  {
    name: "http beyond loopback",
    options: { login: "http://api.test/login?key=s3cr3t" },
    message: 'login "http://api.test/login" must be an https URL (http only on loopback)',
  },
  {
    name: "a path, where there is no page",
    options: { refresh: "/refresh" },
    message: 'refresh "/refresh" must be an https URL (http only on loopback)',
  },
  {
    name: "a password in a URL",
    options: { login: "https://alice:s3cr3t@api.test" },
    message: "login must be a URL without user name and password",
  },
  {
    name: "an unknown field",
    options: { login: "https://api.test", fields: { name: "email" } },
    message:
      'fields has no option "name"; there are user, password, access_token, refresh_token, expires_in, expires_at, token_type',
  },
  {
    name: "no attempt",
    options: { maxAttempts: 0 },
    message: "maxAttempts 0 must be a whole number of at least 1",
  },
  {
    name: "a negative backoff",
    options: { initialBackoffMs: -1 },
    message: "initialBackoffMs -1 must be a whole number of at least 0",
  },
])("passwordLogin rejects $name", ({ options, message }) => {
  expect(() => setUp(options)).toThrow(new TypeError(message));
});
