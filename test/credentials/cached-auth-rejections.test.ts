import { Code, ConnectError } from "@connectrpc/connect";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Auth, type AuthRequest, cachedAuth } from "../../src/index.js";
import { authRequest } from "../support/auth-request.js";
import { useFakeTime, useRealTime } from "../support/fake-time.js";
import { createUserApi } from "../support/user-api.js";

const start = new Date("2026-01-01T00:00:00Z").getTime();
const second = 1000;

beforeEach(() => useFakeTime(start));
afterEach(useRealTime);

/** Gives token-1, token-2 and so on, and keeps why it was asked. */
function createProvider() {
  const asked: AuthRequest[] = [];
  const given: Auth[] = [];
  return {
    asked,
    given,
    provide: (request: AuthRequest): Auth => {
      asked.push(request);
      const auth = Auth.bearer(`token-${asked.length}`);
      given.push(auth);
      return auth;
    },
    reasons: () => asked.map(({ reason }) => reason),
  };
}

describe("a refused token", () => {
  test("is replaced once, however many calls are refused with it", async () => {
    const { provide, asked } = createProvider();
    const api = createUserApi();
    const client = api.clientWith(cachedAuth(provide));
    await client.whoAmI({});
    api.revoked.add("Bearer token-1");
    await Promise.all(Array.from({ length: 100 }, () => client.whoAmI({})));
    expect(asked).toHaveLength(2);
    await client.whoAmI({});
    expect(asked).toHaveLength(2);
    expect(api.arrived.at(-1)).toBe("Bearer token-2");
  });

  test("stays replaced where a late answer refuses it again", async () => {
    const { provide, given } = createProvider();
    const credentials = cachedAuth(provide);
    const old = await credentials.getAuth(authRequest());
    credentials.rejected(old, undefined);
    const renewed = await credentials.getAuth(authRequest());
    vi.advanceTimersByTime(60 * second);
    credentials.rejected(old, undefined);
    expect(credentials.getAuth(authRequest())).toBe(renewed);
    expect(given).toHaveLength(2);
  });

  test("forces a fetch every 10 s at most, and fails the calls in between", async () => {
    const { asked, provide } = createProvider();
    const api = createUserApi();
    const client = api.clientWith(cachedAuth(provide));
    const revokeAll = () => {
      for (let n = 1; n <= 10; n++) {
        api.revoked.add(`Bearer token-${n}`);
      }
    };
    revokeAll();
    for (let at = 0; at < 25 * second; at += 500) {
      const error = await client.whoAmI({}).catch(ConnectError.from);
      expect(error).toMatchObject({
        code: Code.Unauthenticated,
        rawMessage: "token refused",
        cause: { name: "AuthError", code: "credentials_refused", sent: true },
      });
      vi.advanceTimersByTime(500);
    }
    // the first, and those forced at 0, 10 and 20 s
    expect(asked).toHaveLength(4);
  });

  test("of another cache, or of nobody, changes nothing", async () => {
    const { provide, asked } = createProvider();
    const credentials = cachedAuth(provide);
    const auth = await credentials.getAuth(authRequest());
    credentials.rejected(Auth.bearer("token-1"), undefined);
    expect(credentials.getAuth(authRequest())).toBe(auth);
    expect(asked).toHaveLength(1);
  });

  test("is replaced for its key alone", async () => {
    const { provide, asked } = createProvider();
    const credentials = cachedAuth(provide, { key: ({ url }) => [url] });
    const a = await credentials.getAuth(authRequest({ url: "a" }));
    const b = await credentials.getAuth(authRequest({ url: "b" }));
    credentials.rejected(a, undefined);
    expect(credentials.getAuth(authRequest({ url: "b" }))).toBe(b);
    expect(await credentials.getAuth(authRequest({ url: "a" }))).not.toBe(a);
    expect(asked).toHaveLength(3);
  });

  test("that lacks scopes is still good for other calls", async () => {
    const { provide, asked } = createProvider();
    const credentials = cachedAuth(provide);
    const auth = await credentials.getAuth(authRequest());
    const params = new Map([
      ["error", "insufficient_scope"],
      ["scope", "users:write"],
    ]);
    credentials.rejected(auth, { scheme: "bearer", params });
    expect(credentials.getAuth(authRequest())).toBe(auth);
    expect(asked).toHaveLength(1);
  });
});

describe("a provider", () => {
  test("is told why it is asked: by the call that was refused", async () => {
    const { provide, asked, given, reasons } = createProvider();
    const api = createUserApi();
    api.revoked.add("Bearer token-1");
    await api.clientWith(cachedAuth(provide)).whoAmI({});
    expect(reasons()).toEqual(["request", "rejected"]);
    expect(asked[1]?.rejected).toBe(given[0]);
    expect(asked[1]?.challenge?.params.get("error")).toBe("invalid_token");
  });

  test("is told so by any other call that comes first", async () => {
    const { provide, asked, given, reasons } = createProvider();
    const credentials = cachedAuth(provide);
    const old = await credentials.getAuth(authRequest());
    // as of a stream, which is not sent again
    credentials.rejected(old, undefined);
    await credentials.getAuth(authRequest());
    expect(reasons()).toEqual(["request", "rejected"]);
    expect(asked[1]?.rejected).toBe(given[0]);
  });

  test("is told so until it has another token", async () => {
    const { provide, asked, given, reasons } = createProvider();
    let isDown = false;
    const credentials = cachedAuth((request) => {
      const auth = provide(request);
      return isDown ? Promise.reject(new Error("down")) : auth;
    });
    const old = await credentials.getAuth(authRequest());
    credentials.rejected(old, undefined);
    isDown = true;
    await expect(credentials.getAuth(authRequest())).rejects.toMatchObject({
      code: "credentials_failed",
    });
    vi.advanceTimersByTime(2 * second);
    isDown = false;
    await credentials.getAuth(authRequest());
    vi.advanceTimersByTime(300 * second);
    await credentials.getAuth(authRequest());
    expect(reasons()).toEqual(["request", "rejected", "rejected", "request"]);
    expect(asked[2]?.rejected).toBe(given[0]);
    expect(asked[3]).not.toHaveProperty("rejected");
  });

  test("that is a source is told of refused tokens, and may fail to listen", async () => {
    const { provide, given } = createProvider();
    const told: unknown[] = [];
    const api = createUserApi();
    api.revoked.add("Bearer token-1");
    const client = api.clientWith(
      cachedAuth({
        getAuth: provide,
        async rejected(auth, challenge) {
          told.push(auth, challenge?.params.get("error"));
          throw new Error("the store is down");
        },
      }),
    );
    await client.whoAmI({});
    expect(told).toEqual([given[0], "invalid_token"]);
    expect(api.arrived).toEqual(["Bearer token-1", "Bearer token-2"]);
  });
});
