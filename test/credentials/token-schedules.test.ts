import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import fc from "fast-check";
import { afterEach, expect, test, vi } from "vitest";
import { Auth, AuthError, type AuthRequest, cachedAuth } from "../../src/index.js";
import { inMemory } from "../../src/testing/index.js";
import { createUserServiceClient } from "../gen/acme/user/v1/user_auth.js";
import { UserService } from "../gen/acme/user/v1/user_pb.js";
import { setWallClock, useFakeTime, useRealTime } from "../support/fake-time.js";

const start = new Date("2026-01-01T00:00:00Z").getTime();
const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;

/** What the issuer does with the requests to come. */
type Issuer =
  | { type: "gives"; lifetimeMs: number | undefined; afterMs: number }
  | { type: "gives what has expired" }
  | { type: "fails"; afterMs: number; retryAfterMs: number | undefined }
  | { type: "hangs" };

type Step =
  | { do: "wait"; ms: number }
  | { do: "call"; key: Key; abortAfterMs: number | undefined; timeoutMs: number | undefined }
  | { do: "issuer"; issuer: Issuer }
  | { do: "revoke all" }
  | { do: "set the wall clock"; byMs: number };
type Key = "deleteUser" | "whoAmI";

const soon = fc.constantFrom(0, 1, 100, second, 5 * second);
const issuer: fc.Arbitrary<Issuer> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant("gives" as const),
      lifetimeMs: fc.constantFrom(undefined, 1, 100, 10 * second, minute, hour),
      afterMs: soon,
    }),
  },
  fc.record({ type: fc.constant("gives what has expired" as const) }),
  fc.record({
    type: fc.constant("fails" as const),
    afterMs: soon,
    retryAfterMs: fc.constantFrom(undefined, undefined, 0, 3 * second, 20 * minute),
  }),
  fc.record({ type: fc.constant("hangs" as const) }),
);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("call" as const),
      key: fc.constantFrom("deleteUser" as const, "whoAmI" as const),
      abortAfterMs: fc.option(soon, { nil: undefined, freq: 4 }),
      timeoutMs: fc.option(fc.constantFrom(10, second, 5 * second), { nil: undefined, freq: 4 }),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant("wait" as const),
      ms: fc.oneof(
        soon,
        // the moments at which a token is stale, or has just expired
        fc.constantFrom(10 * second, 30 * second, minute - 1, minute),
        fc.integer({ min: 1, max: 6 * minute }),
      ),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("issuer" as const), issuer }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("revoke all" as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("set the wall clock" as const),
      byMs: fc.constantFrom(-25 * hour, -hour, -second, second, hour, 25 * hour),
    }),
  },
);

/** A request to the issuer, in the time of the cache. */
interface Fetch {
  readonly startedAt: number;
  endedAt?: number;
  /** How long the token lives that came. */
  lifetimeMs?: number;
  retryAfterMs?: number | undefined;
}

/** A world with one cache, an issuer and an API, that notes what must not happen. */
function createWorld() {
  const violations: string[] = [];
  /** By token: when it expires, by a clock that nobody sets. */
  const issued = new Map<string, { readonly endsAt: number; isRevoked: boolean }>();
  const fetches = new Map<Key, Fetch[]>();
  let behaviour: Issuer = { type: "gives", lifetimeMs: minute, afterMs: 0 };
  /** How many requests of a key came earlier than the life of a token asks for. */
  const forced = new Map<Key, number>();

  // the clock that the cache sees: it never goes back, and follows the wall clock forward
  let ahead = Number.NEGATIVE_INFINITY;
  const now = () => {
    ahead = Math.max(ahead, Date.now() - performance.now());
    return new Date();
  };
  const cacheTime = () => performance.now() + ahead;

  const note = (key: Key): Fetch => {
    const earlier = fetches.get(key) ?? [];
    fetches.set(key, earlier);
    const last = earlier.at(-1);
    const startedAt = cacheTime();
    if (last) {
      const { endedAt = Number.POSITIVE_INFINITY, lifetimeMs, retryAfterMs } = last;
      const idleMs = startedAt - endedAt;
      if (endedAt > startedAt) {
        violations.push(`two requests at once for ${key}`);
      } else if (lifetimeMs === undefined) {
        const failures = earlier.length - 1 - earlier.findLastIndex((f) => f.lifetimeMs);
        const backoffMs = Math.min(0.8 * second * 1.6 ** (failures - 1), 2 * minute);
        const leastMs = Math.min(retryAfterMs || backoffMs, 5 * minute);
        if (idleMs < leastMs - 1e-6) {
          violations.push(`request ${idleMs} ms after failure ${failures} of ${key}`);
        }
      } else if (idleMs < lifetimeMs / 4 - 1e-6) {
        const sinceMs = startedAt - (earlier[0]?.startedAt ?? startedAt);
        const count = (forced.get(key) ?? 0) + 1;
        forced.set(key, count);
        if (count > 1 + sinceMs / (10 * second)) {
          violations.push(`${count} requests forced within ${sinceMs} ms`);
        }
      }
    }
    const fetch: Fetch = { startedAt };
    earlier.push(fetch);
    return fetch;
  };

  const provide = async ({ method, signal }: AuthRequest): Promise<Auth> => {
    const fetch = note(method.localName === "whoAmI" ? "whoAmI" : "deleteUser");
    const does = behaviour;
    signal.addEventListener("abort", () => {
      fetch.endedAt ??= cacheTime();
    });
    if (does.type === "hangs") {
      return new Promise(() => {});
    }
    if (does.type === "gives what has expired") {
      fetch.endedAt = cacheTime();
      return Auth.bearer("expired", { expiresAt: new Date(Date.now() - 1) });
    }
    await new Promise((resolve) => setTimeout(resolve, does.afterMs));
    fetch.endedAt = cacheTime();
    if (does.type === "fails") {
      fetch.retryAfterMs = does.retryAfterMs;
      throw new AuthError("credentials_unavailable", "down", undefined, does.retryAfterMs);
    }
    fetch.lifetimeMs = does.lifetimeMs ?? 5 * minute;
    const token = `token-${issued.size}`;
    issued.set(token, { endsAt: performance.now() + fetch.lifetimeMs, isRevoked: false });
    return Auth.bearer(
      token,
      does.lifetimeMs === undefined ? {} : { expiresAt: new Date(Date.now() + does.lifetimeMs) },
    );
  };

  const tokenOf = (header: Headers) =>
    issued.get(header.get("authorization")?.replace("Bearer ", "") ?? "");
  /** Sees calls as they leave. */
  const innermost: Interceptor = (next) => (req) => {
    const token = tokenOf(req.header);
    if (!token || performance.now() >= token.endsAt) {
      violations.push(`sent with ${token ? "an expired" : "no"} token`);
    }
    return next(req);
  };
  const answer = (_: unknown, { requestHeader }: { requestHeader: Headers }) => {
    if (tokenOf(requestHeader)?.isRevoked) {
      throw new ConnectError("revoked", Code.Unauthenticated);
    }
    return {};
  };
  const api = inMemory(({ service }) => {
    service(UserService, { deleteUser: answer, whoAmI: answer });
  });
  const client = createUserServiceClient(
    ({ interceptors = [], ...options }) =>
      api({ ...options, interceptors: [...interceptors, innermost] }),
    { baseUrl: "https://api.test" },
    { credentials: cachedAuth(provide, { key: ({ method }) => [method.localName], now }) },
  );

  const calls = new Set<Promise<unknown>>();
  const codes = new Set<Code | "ok">();
  async function call(key: Key, timeoutMs?: number, signal?: AbortSignal): Promise<unknown> {
    const options = {
      ...(timeoutMs !== undefined && { timeoutMs }),
      ...(signal !== undefined && { signal }),
    };
    const error = await client[key]({}, options).then(
      () => undefined,
      (reason: unknown) => ConnectError.from(reason),
    );
    codes.add(error?.code ?? "ok");
    return error;
  }
  return {
    violations,
    calls,
    codes,
    call,
    async take(step: Step) {
      switch (step.do) {
        case "wait":
          return vi.advanceTimersByTimeAsync(step.ms);
        case "call": {
          const controller = new AbortController();
          if (step.abortAfterMs !== undefined) {
            setTimeout(() => controller.abort(), step.abortAfterMs);
          }
          const called = call(step.key, step.timeoutMs, controller.signal);
          calls.add(called);
          called.then(() => calls.delete(called));
          // it gets its token before the next step, if there is one
          return vi.advanceTimersByTimeAsync(0);
        }
        case "issuer":
          behaviour = step.issuer;
          return;
        case "revoke all":
          for (const token of issued.values()) {
            token.isRevoked = true;
          }
          return;
        case "set the wall clock":
          return setWallClock(step.byMs);
      }
    },
  };
}

afterEach(useRealTime);

test("keeps to the rules over any schedule", async () => {
  const unhandled: unknown[] = [];
  const onUnhandled = (reason: unknown) => unhandled.push(reason);
  process.on("unhandledRejection", onUnhandled);
  const seen = new Set<Code | "ok">();
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), async (steps) => {
      useFakeTime(start);
      const world = createWorld();
      try {
        for (const each of steps) {
          await world.take(each);
        }
        // all that hangs is over
        await vi.advanceTimersByTimeAsync(11 * second);
        expect(world.calls.size).toBe(0);
        expect(vi.getTimerCount()).toBe(0);
        // the longest backoff is over as well, and the issuer is back
        await world.take({ do: "issuer", issuer: { type: "gives", lifetimeMs: hour, afterMs: 0 } });
        await vi.advanceTimersByTimeAsync(5 * minute);
        const last = [world.call("deleteUser"), world.call("whoAmI")];
        await vi.advanceTimersByTimeAsync(second);
        expect(await Promise.all(last)).toEqual([undefined, undefined]);
        expect(world.violations).toEqual([]);
        for (const code of world.codes) {
          seen.add(code);
        }
      } finally {
        useRealTime();
      }
    }),
    { numRuns: 300 },
  );
  // a rejection is unhandled only when the microtasks are done
  await new Promise((resolve) => setImmediate(resolve));
  process.off("unhandledRejection", onUnhandled);
  expect(unhandled).toEqual([]);
  // the schedules are worth their name
  expect([...seen].sort()).toEqual(
    ["ok", Code.Canceled, Code.DeadlineExceeded, Code.Unavailable, Code.Unauthenticated].sort(),
  );
});

test("does not keep a process alive that has nothing else to do", async () => {
  const module = fileURLToPath(new URL("../../src/index.ts", import.meta.url));
  // a timer that held the process would end the wait, and print
  const program = `
    import { Auth, cachedAuth } from ${JSON.stringify(module)};
    const signal = new AbortController().signal;
    const fresh = cachedAuth(() => Auth.bearer("token"));
    console.log((await fresh.getAuth({ signal })).type);
    const hanging = cachedAuth(() => new Promise(() => {}), { timeoutMs: 1000 });
    hanging.getAuth({ signal }).catch(() => console.log("waited"));
  `;
  const { stdout } = await promisify(execFile)(process.execPath, [
    "--import=tsx",
    "--input-type=module",
    "--eval",
    program,
  ]);
  expect(stdout).toBe("bearer\n");
});
