import { Code, ConnectError } from "@connectrpc/connect";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import {
  Auth,
  type AuthProvider,
  type CachedAuthOptions,
  cachedAuth,
  type TransportOptions,
} from "../../src/index.js";
import { createUserServiceClient } from "../gen/acme/user/v1/user_auth.js";
import { authRequest } from "../support/auth-request.js";
import { setWallClock, useFakeTime, useRealTime } from "../support/fake-time.js";
import { createUserApi } from "../support/user-api.js";

const start = new Date("2026-01-01T00:00:00Z").getTime();
const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;

beforeEach(() => useFakeTime(start));
afterEach(useRealTime);

/** Gives token-1, token-2 and so on. */
function tokens() {
  let n = 0;
  return vi.fn((): Auth | Promise<Auth> => Auth.bearer(`token-${++n}`));
}
/** Gives a token when the test says so. */
function heldToken() {
  let release = (_auth: Auth) => {};
  const held = new Promise<Auth>((resolve) => {
    release = resolve;
  });
  return { provide: vi.fn(() => held), release };
}

describe("many calls", () => {
  test("share one token, ten thousand that come first included", async () => {
    const { provide, release } = heldToken();
    const { getAuth } = cachedAuth(provide);
    const calls = Array.from({ length: 10_000 }, () => getAuth(authRequest()));
    await vi.advanceTimersByTimeAsync(second);
    const auth = Auth.bearer("token");
    release(auth);
    const answers = await Promise.all(calls);
    expect(answers.every((answer) => answer === auth)).toBe(true);
    expect(provide).toHaveBeenCalledTimes(1);
    expect(getAuth(authRequest())).toBe(auth);
  });

  test("go on where the first of them is aborted, which fails alone", async () => {
    const { provide, release } = heldToken();
    const api = createUserApi();
    const client = api.clientWith(cachedAuth(provide));
    const controller = new AbortController();
    const first = client.whoAmI({}, { signal: controller.signal }).catch(ConnectError.from);
    const others = Array.from({ length: 49 }, () => client.whoAmI({}));
    await vi.advanceTimersByTimeAsync(second);
    controller.abort();
    expect(await first).toMatchObject({ code: Code.Canceled });
    release(Auth.bearer("token"));
    await Promise.all(others);
    expect(api.arrived).toEqual(Array(49).fill("Bearer token"));
    expect(provide).toHaveBeenCalledTimes(1);
  });

  test("go on where all of them are aborted, and the next one has the token", async () => {
    const { provide, release } = heldToken();
    const api = createUserApi();
    const client = api.clientWith(cachedAuth(provide));
    const controller = new AbortController();
    const { signal } = controller;
    const calls = [client.whoAmI({}, { signal }), client.deleteUser({}, { signal })];
    await vi.advanceTimersByTimeAsync(second);
    controller.abort();
    for (const settled of await Promise.allSettled(calls)) {
      expect(settled).toMatchObject({ status: "rejected", reason: { code: Code.Canceled } });
    }
    release(Auth.bearer("token"));
    await client.whoAmI({});
    expect(provide).toHaveBeenCalledTimes(1);
  });

  test("of several clients and transports share it too", async () => {
    const provide = tokens();
    const credentials = cachedAuth(provide);
    const apis = [createUserApi(), createUserApi()];
    const clients = apis.flatMap((api) => [
      api.clientWith(credentials),
      api.clientWith(credentials),
    ]);
    await Promise.all(clients.map((client) => client.whoAmI({})));
    await Promise.all(clients.map((client) => client.deleteUser({})));
    for (const { arrived } of apis) {
      expect(arrived).toEqual(Array(4).fill("Bearer token-1"));
    }
    expect(provide).toHaveBeenCalledTimes(1);
  });
});

describe("a token", () => {
  const exp = (ms: number) => {
    const claims = JSON.stringify({ exp: (Date.now() + ms) / second });
    return `e30.${Buffer.from(claims).toString("base64url")}.c2ln`;
  };

  test.each<{ name: string; auth: () => Auth; lifetimeMs: number }>([
    {
      name: "its expiresAt",
      auth: () => Auth.bearer("t", { expiresAt: new Date(Date.now() + minute) }),
      lifetimeMs: minute,
    },
    { name: "the exp of a JWT", auth: () => Auth.jwt(exp(hour)), lifetimeMs: hour },
    { name: "5 minutes", auth: () => Auth.bearer("t"), lifetimeMs: 5 * minute },
    { name: "5 minutes if malformed", auth: () => Auth.jwt("a.b.c"), lifetimeMs: 5 * minute },
  ])("is kept until 30 s before the end of $name", async ({ auth, lifetimeMs }) => {
    const provide = vi.fn(auth);
    const { getAuth } = cachedAuth(provide);
    const first = await getAuth(authRequest());
    const quarter = lifetimeMs / 4;
    vi.advanceTimersByTime(quarter - 1);
    expect(getAuth(authRequest())).toBe(first);
    expect(provide).toHaveBeenCalledTimes(1);
    // nobody calls while it could be renewed ahead
    vi.advanceTimersByTime(lifetimeMs - 30 * second - quarter + 1);
    expect(await getAuth(authRequest())).not.toBe(first);
    expect(provide).toHaveBeenCalledTimes(2);
  });

  test("is renewed in the background, once, while calls go on with it", async () => {
    const { provide, release } = heldToken();
    const old = Auth.bearer("old");
    provide.mockReturnValueOnce(Promise.resolve(old));
    const { getAuth } = cachedAuth(provide);
    await getAuth(authRequest());
    vi.advanceTimersByTime(4 * minute);
    for (let i = 0; i < 25; i++) {
      expect(getAuth(authRequest())).toBe(old);
      await vi.advanceTimersByTimeAsync(100);
    }
    expect(provide).toHaveBeenCalledTimes(2);
    const renewed = Auth.bearer("new");
    release(renewed);
    await vi.advanceTimersByTimeAsync(0);
    expect(getAuth(authRequest())).toBe(renewed);
  });

  test("is fetched by no timer", async () => {
    const provide = tokens();
    await cachedAuth(provide).getAuth(authRequest());
    await vi.advanceTimersByTimeAsync(hour);
    expect(provide).toHaveBeenCalledTimes(1);
    expect(vi.getTimerCount()).toBe(0);
  });

  test.each([
    { name: "set back an hour", jumps: [-hour] },
    { name: "set forward an hour", jumps: [hour] },
    { name: "set back and forward", jumps: [-hour, hour] },
    { name: "set forward and back", jumps: [hour, -hour] },
  ])("is not served for longer where the wall clock is $name", async ({ jumps }) => {
    const provide = tokens();
    const { getAuth } = cachedAuth(provide);
    const first = await getAuth(authRequest());
    for (const jump of jumps) {
      setWallClock(jump);
      getAuth(authRequest());
    }
    await vi.advanceTimersByTimeAsync(5 * minute);
    expect(await getAuth(authRequest())).not.toBe(first);
  });

  test.each([-hour, hour])("lives as long where it comes after a jump of %d ms", async (jump) => {
    const provide = tokens();
    const credentials = cachedAuth(provide);
    await credentials.getAuth(authRequest());
    setWallClock(jump);
    credentials.clear();
    const next = await credentials.getAuth(authRequest());
    vi.advanceTimersByTime(3 * minute);
    expect(credentials.getAuth(authRequest())).toBe(next);
    expect(provide).toHaveBeenCalledTimes(2);
  });

  test("that is none is not kept", async () => {
    const provide = vi.fn(() => Auth.none());
    const { getAuth } = cachedAuth(provide);
    await Promise.all([getAuth(authRequest()), getAuth(authRequest())]);
    expect(provide).toHaveBeenCalledTimes(1);
    vi.advanceTimersByTime(1);
    await getAuth(authRequest());
    expect(provide).toHaveBeenCalledTimes(2);
  });

  test("that was cleared is fetched anew, also where it comes only then", async () => {
    const { provide, release } = heldToken();
    const credentials = cachedAuth(provide);
    const waiting = credentials.getAuth(authRequest());
    await vi.advanceTimersByTimeAsync(second);
    credentials.clear();
    const mine = Auth.bearer("of-the-next-user");
    provide.mockReturnValueOnce(Promise.resolve(mine));
    expect(await credentials.getAuth(authRequest())).toBe(mine);
    const theirs = Auth.bearer("of-who-signed-out");
    release(theirs);
    expect(await waiting).toBe(theirs);
    expect(credentials.getAuth(authRequest())).toBe(mine);
    credentials.clear();
    await credentials.getAuth(authRequest());
    expect(provide).toHaveBeenCalledTimes(3);
  });
});

describe("keys", () => {
  test("are lists, not text", async () => {
    let key: readonly string[] = [];
    const provide = tokens();
    const { getAuth } = cachedAuth(provide, { key: () => key });
    const keys = [["a", "b"], ["a,b"], ["a:b"], ["a b"], ['a","b'], ["a", "b", ""], ["b", "a"], []];
    const seen = new Set<Auth>();
    for (key of keys) {
      seen.add(await getAuth(authRequest()));
    }
    expect(seen.size).toBe(keys.length);
    for (key of keys) {
      seen.add(await getAuth(authRequest()));
    }
    expect(seen.size).toBe(keys.length);
    expect(provide).toHaveBeenCalledTimes(keys.length);
  });

  test("come from the request", async () => {
    const provide = tokens();
    const api = createUserApi();
    const client = api.clientWith(
      cachedAuth(provide, {
        key: ({ policy }) => ("scopes" in policy ? [...(policy.scopes ?? [])] : []),
      }),
    );
    for (let i = 0; i < 2; i++) {
      await client.deleteUser({});
      await client.whoAmI({});
    }
    const both = ["Bearer token-1", "Bearer token-2"];
    expect(api.arrived).toEqual([...both, ...both]);
  });

  test("are 1,000 at most: the one used longest ago makes room", async () => {
    let key = 0;
    const provide = vi.fn(() => Auth.bearer(`token-of-${key}`));
    const { getAuth } = cachedAuth(provide, { key: () => [`${key}`] });
    const asksFor = async (wanted: number) => {
      key = wanted;
      const before = provide.mock.calls.length;
      await getAuth(authRequest());
      return provide.mock.calls.length > before;
    };
    for (let i = 0; i < 1000; i++) {
      await asksFor(i);
    }
    expect(await asksFor(0)).toBe(false);
    expect(await asksFor(1000)).toBe(true);
    expect(await asksFor(0)).toBe(false);
    expect(await asksFor(2)).toBe(false);
    expect(await asksFor(1)).toBe(true);
    expect(provide).toHaveBeenCalledTimes(1002);
  });

  test("fail apart: one in its backoff holds up no other", async () => {
    let key = "down";
    const { getAuth } = cachedAuth(
      () => (key === "down" ? Promise.reject(new Error("down")) : Auth.bearer("t")),
      { key: () => [key] },
    );
    await expect(getAuth(authRequest())).rejects.toMatchObject({ code: "credentials_failed" });
    key = "up";
    expect(await getAuth(authRequest())).toMatchObject({ token: "t" });
  });
});

describe("cachedAuth", () => {
  test.each<{ name: string; options: unknown; message: string }>([
    {
      name: "an unknown option",
      options: { ttl: 5 },
      message: 'cachedAuth has no option "ttl"',
    },
    {
      name: "a function, which was to be the key",
      options: () => ["key"],
      message: "cachedAuth takes a function or a source, and options",
    },
    {
      name: "null",
      options: null,
      message: "cachedAuth takes a function or a source, and options",
    },
  ])("rejects $name", ({ options, message }) => {
    expect(() => cachedAuth(tokens(), options as CachedAuthOptions)).toThrow(
      new TypeError(message),
    );
  });

  test.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 32])(
    "rejects a timeoutMs of %d",
    (timeoutMs) => {
      expect(() => cachedAuth(tokens(), { timeoutMs })).toThrow(
        new TypeError(`timeoutMs ${timeoutMs} must be a whole number above 0`),
      );
    },
  );

  test.each<{ name: string; provider: unknown }>([
    { name: "nothing", provider: undefined },
    { name: "a token", provider: "token" },
    { name: "a credential, which needs no cache", provider: Auth.jwt("token") },
  ])("rejects $name in place of a provider", ({ provider }) => {
    expect(() => cachedAuth(provider as AuthProvider)).toThrow(
      new TypeError("cachedAuth takes a function or a source, and options"),
    );
  });

  test("is a credential of any transport", async () => {
    const api = createUserApi();
    const options: TransportOptions = { baseUrl: "https://api.test" };
    const client = createUserServiceClient(api.createTransport, options, {
      credentials: cachedAuth({ getAuth: tokens() }),
    });
    await client.whoAmI({});
    await client.whoAmI({});
    expect(api.arrived).toEqual(["Bearer token-1", "Bearer token-1"]);
  });
});
