import http from "node:http";
import { Code, ConnectError } from "@connectrpc/connect";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { listenOnLoopback } from "../../example/loopback.js";
import {
  type AuthInterceptor,
  createIntrospectionAuthInterceptor,
  type IntrospectionAuthInterceptorOptions,
} from "../../src/server/index.js";
import { useFakeTime, useRealTime } from "../support/fake-time.js";
import {
  answerWithFault,
  createFaultPlan,
  type Fault,
  sendJson,
} from "../support/faulty-server.js";
import { incomingCall } from "../support/incoming-call.js";
import { watchSecrets } from "../support/secrets.js";

const clientId = "orders-api";
const clientSecret = "the secret of the API";
const active = { active: true, sub: "alice", aud: clientId };
const leftAlone = "introspection: the endpoint failed and is not asked again yet";
const url = "https://issuer.test/introspect";

const secrets = watchSecrets();
secrets.hide(clientSecret);
secrets.hide("secret-token");

function createInterceptor(options: Partial<IntrospectionAuthInterceptorOptions>) {
  return createIntrospectionAuthInterceptor({
    introspectionEndpoint: url,
    clientId,
    clientSecret,
    ...options,
  });
}

function call(interceptor: AuthInterceptor, token = "secret-token", signal?: AbortSignal) {
  return interceptor.authenticate({
    ...incomingCall({ authorization: `Bearer ${token}` }),
    ...(signal && { signal }),
  });
}

/** The code of the refusal and its reason, or who was identified. */
async function outcome(attempt: ReturnType<typeof call>): Promise<string> {
  try {
    return (await attempt)?.subject ?? "nobody";
  } catch (error) {
    expect.assert(secrets.watch(error) instanceof ConnectError);
    expect.assert(error instanceof ConnectError && error.cause instanceof Error);
    expect(error.rawMessage).toBe(
      error.code === Code.Unavailable
        ? "credentials cannot be verified at the moment"
        : "invalid token",
    );
    return `${Code[error.code]}: ${error.cause.message}`;
  }
}

describe("an endpoint over HTTP", () => {
  const faults = createFaultPlan();
  let asked: number;
  let server: Awaited<ReturnType<typeof listenOnLoopback>>;
  beforeEach(async () => {
    vi.useFakeTimers({ toFake: ["Date"] });
    asked = 0;
    server = await listenOnLoopback(
      http.createServer((req, res) => {
        asked += 1;
        req.resume();
        answerWithFault(faults.next(), req, res, () => sendJson(res, active));
      }),
    );
  });
  afterEach(async () => {
    vi.useRealTimers();
    faults.set(undefined);
    await server.close();
  });
  const connect = (options: Partial<IntrospectionAuthInterceptorOptions> = {}) =>
    createInterceptor({ introspectionEndpoint: `${server.baseUrl}/introspect?key=1`, ...options });
  const wrongClient =
    "it does not accept this server; check clientId, the secret or key, and clientAuthentication";
  const status = (code: number, more: { headers?: Record<string, string>; body?: string } = {}) =>
    ({ type: "status", status: code, ...more }) as const;

  test.each<{ name: string; fault: Fault; reason: string; requests?: number }>([
    { name: "answers 401", fault: status(401), reason: `HTTP 401: ${wrongClient}` },
    {
      name: "answers 401 with a challenge",
      fault: status(401, { headers: { "www-authenticate": 'Bearer realm="secret-token"' } }),
      reason: `HTTP 401: ${wrongClient}`,
    },
    {
      name: "answers invalid_client",
      fault: status(400, { body: '{"error":"invalid_client"}' }),
      reason: `HTTP 400: ${wrongClient}`,
    },
    { name: "answers 429", fault: status(429), reason: "HTTP 429" },
    { name: "answers 503", fault: status(503), reason: "HTTP 503" },
  ])(
    "that $name leaves everybody without a judge, and is left alone",
    async ({ fault, reason }) => {
      const interceptor = connect();
      faults.set(fault);
      expect(await outcome(call(interceptor))).toBe(
        `Unavailable: introspection: ${server.baseUrl}/introspect answered ${reason}`,
      );
      faults.set(undefined);
      expect(await outcome(call(interceptor, "other"))).toBe(`Unavailable: ${leftAlone}`);
      expect(asked).toBe(1);
      vi.setSystemTime(Date.now() + 5000);
      expect(await outcome(call(interceptor))).toBe("alice");
    },
  );

  test.each<{ name: string; fault: Fault; reason: string }>([
    { name: "answers 400", fault: status(400), reason: "answered HTTP 400" },
    {
      name: "answers with an error that shows the token",
      fault: status(400, { body: '{"error":"secret-token"}' }),
      reason: "answered HTTP 400",
    },
    {
      name: "answers 403, as a firewall does",
      fault: status(403),
      reason: `answered HTTP 403: ${wrongClient}`,
    },
    { name: "answers 404", fault: status(404), reason: "answered HTTP 404" },
    { name: "answers 500", fault: status(500), reason: "answered HTTP 500" },
    {
      name: "answers 500 and that the token is active",
      fault: status(500, { body: JSON.stringify(active) }),
      reason: "answered HTTP 500",
    },
    {
      name: "answers with a page",
      fault: status(200, { body: "<html>secret-token</html>" }),
      reason: "answered with something that is no JSON object",
    },
    {
      name: "answers with a list",
      fault: { type: "body", json: [active] },
      reason: "answered with something that is no JSON object",
    },
    {
      name: "answers with true",
      fault: { type: "body", json: true },
      reason: "answered with something that is no JSON object",
    },
    {
      name: "answers with nothing",
      fault: status(200),
      reason: "answered with something that is no JSON object",
    },
    {
      name: "answers without end",
      fault: { type: "stream", bytes: Number.POSITIVE_INFINITY },
      reason: "answered with more than 256 KiB",
    },
    {
      name: "redirects",
      fault: { type: "redirect", location: "http://127.0.0.1:1/secret-token" },
      reason: "redirects, which is not followed",
    },
    {
      name: "redirects with 302",
      fault: { type: "redirect", location: "/introspect", status: 302 },
      reason: "redirects, which is not followed",
    },
  ])("that $name leaves that token without a judge, and no other", async ({ fault, reason }) => {
    const interceptor = connect();
    faults.set(fault);
    expect(await outcome(call(interceptor))).toBe(
      `Unavailable: introspection: ${server.baseUrl}/introspect ${reason}`,
    );
    faults.set(undefined);
    expect(await outcome(call(interceptor, "other"))).toBe("alice");
    // it is not asked about the same one with each call
    expect(await outcome(call(interceptor))).toContain(reason);
    expect(asked).toBe(2);
    vi.setSystemTime(Date.now() + 1000);
    expect(await outcome(call(interceptor))).toBe("alice");
  });

  test("that does not judge such tokens refuses them", async () => {
    const interceptor = connect();
    faults.set(status(400, { body: '{"error":"unsupported_token_type"}' }));
    expect(await outcome(call(interceptor, "e30.e30.e30"))).toBe(
      "Unauthenticated: token: of a kind that the authorization server does not judge",
    );
    faults.set(undefined);
    expect(await outcome(call(interceptor))).toBe("alice");
  });

  test.each<{ name: string; fault: Fault; reason: RegExp; requests: number }>([
    {
      name: "is silent",
      fault: { type: "hang" },
      reason: /: no answer from \S+\/introspect in time$/,
      requests: 1,
    },
    {
      name: "stops in the middle",
      fault: { type: "stall" },
      reason: /: no answer from \S+\/introspect in time$/,
      requests: 1,
    },
    {
      name: "resets connections",
      fault: { type: "reset" },
      reason: /: no answer from \S+\/introspect(: \w+)?$/,
      requests: 2,
    },
  ])("that $name is left alone", async ({ fault, reason, requests }) => {
    const interceptor = connect({ timeoutMs: 100 });
    faults.set(fault);
    expect(await outcome(call(interceptor))).toMatch(reason);
    faults.set(undefined);
    expect(await outcome(call(interceptor, "other"))).toBe(`Unavailable: ${leftAlone}`);
    expect(asked).toBe(requests);
    vi.setSystemTime(Date.now() + 5000);
    expect(await outcome(call(interceptor))).toBe("alice");
  });

  test("that resets one connection is asked once more, and nobody notices", async () => {
    faults.set((n) => (n === 1 ? { type: "reset" } : undefined));
    expect(await outcome(call(connect()))).toBe("alice");
    expect(asked).toBe(2);
  });

  test("that is gone is left alone", async () => {
    const interceptor = connect();
    await server.close();
    expect(await outcome(call(interceptor))).toBe(
      `Unavailable: introspection: no answer from ${server.baseUrl}/introspect: ECONNREFUSED`,
    );
    expect(await outcome(call(interceptor, "other"))).toBe(`Unavailable: ${leftAlone}`);
    server = await listenOnLoopback(http.createServer());
  });

  test("that is gone leaves known tokens working until they have to be asked about", async () => {
    const interceptor = connect();
    expect(await outcome(call(interceptor))).toBe("alice");
    faults.set({ type: "status", status: 503 });
    expect(await outcome(call(interceptor, "other"))).toContain("HTTP 503");
    vi.setSystemTime(Date.now() + 29_999);
    expect(await outcome(call(interceptor))).toBe("alice");
    vi.setSystemTime(Date.now() + 1);
    expect(await outcome(call(interceptor))).toContain("HTTP 503");
  });

  test("that wants to be left alone is, for as long as it says but 10 s at most", async () => {
    const interceptor = connect();
    faults.set(status(429, { headers: { "retry-after": "4" } }));
    await outcome(call(interceptor));
    vi.setSystemTime(Date.now() + 3_000);
    expect(await outcome(call(interceptor))).toBe(`Unavailable: ${leftAlone}`);
    faults.set(status(503, { headers: { "retry-after": "3600" } }));
    vi.setSystemTime(Date.now() + 2_000);
    expect(await outcome(call(interceptor))).toContain("HTTP 503");
    faults.set(undefined);
    // requests take real time, which counts
    vi.setSystemTime(Date.now() + 9_000);
    expect(await outcome(call(interceptor))).toBe(`Unavailable: ${leftAlone}`);
    vi.setSystemTime(Date.now() + 2_000);
    expect(await outcome(call(interceptor))).toBe("alice");
  });
});

describe("what was answered", () => {
  let asked: string[];
  let answer: object;
  const fetch: IntrospectionAuthInterceptorOptions["fetch"] = async (_url, { body }) => {
    asked.push(new URLSearchParams(String(body)).get("token") ?? "");
    return Response.json(answer);
  };
  beforeEach(() => {
    vi.useFakeTimers({ now: 1_800_000_000_000, toFake: ["Date"] });
    asked = [];
    answer = active;
  });
  afterEach(() => {
    vi.useRealTimers();
  });
  const pass = (ms: number) => vi.setSystemTime(Date.now() + ms);

  test("is remembered for 30 s where the token is accepted", async () => {
    const interceptor = createInterceptor({ fetch });
    await call(interceptor);
    answer = { active: false };
    pass(29_999);
    expect(await outcome(call(interceptor))).toBe("alice");
    pass(1);
    expect(await outcome(call(interceptor))).toBe("Unauthenticated: token: not active");
    expect(asked).toHaveLength(2);
  });

  test("is remembered no longer than the token is valid", async () => {
    answer = { ...active, exp: 1_800_000_010 };
    const interceptor = createInterceptor({ fetch });
    await call(interceptor);
    pass(9_999);
    await call(interceptor);
    expect(asked).toHaveLength(1);
    pass(1);
    await call(interceptor);
    expect(asked).toHaveLength(2);
  });

  test("is remembered for 5 s where the token is refused", async () => {
    answer = { active: false };
    const interceptor = createInterceptor({ fetch });
    for (let i = 0; i < 100; i++) {
      expect(await outcome(call(interceptor))).toBe("Unauthenticated: token: not active");
    }
    expect(asked).toHaveLength(1);
    answer = active;
    pass(4_999);
    expect(await outcome(call(interceptor))).toBe("Unauthenticated: token: not active");
    pass(1);
    expect(await outcome(call(interceptor))).toBe("alice");
  });

  test("is remembered no longer than the ttl where the token is refused", async () => {
    answer = { active: false };
    const interceptor = createInterceptor({ fetch, cache: { ttl: 100 } });
    await outcome(call(interceptor));
    answer = active;
    pass(100);
    expect(await outcome(call(interceptor))).toBe("alice");
  });

  test("is remembered for as many refused tokens as the cache holds", async () => {
    answer = { active: false };
    const interceptor = createInterceptor({ fetch, cache: { ttl: 30_000, maxSize: 2 } });
    for (const token of ["a", "b", "c", "c", "b", "a"]) {
      await outcome(call(interceptor, token));
    }
    expect(asked).toEqual(["a", "b", "c", "a"]);
  });

  test("is not pushed out by refused tokens where the token is accepted", async () => {
    const interceptor = createInterceptor({ fetch, cache: { ttl: 30_000, maxSize: 2 } });
    await call(interceptor);
    answer = { active: false };
    for (let i = 0; i < 100; i++) {
      await outcome(call(interceptor, `random-${i}`));
    }
    expect(await outcome(call(interceptor))).toBe("alice");
  });

  test("is not remembered without a cache", async () => {
    const interceptor = createInterceptor({ fetch, cache: false });
    await call(interceptor);
    answer = { active: false };
    expect(await outcome(call(interceptor))).toBe("Unauthenticated: token: not active");
    answer = active;
    expect(await outcome(call(interceptor))).toBe("alice");
    expect(asked).toHaveLength(3);
  });

  test("completes each refusal by itself", async () => {
    answer = { active: false };
    const interceptor = createInterceptor({ fetch });
    const errors = [];
    for (let i = 0; i < 3; i++) {
      errors.push(await secrets.failure(call(interceptor)));
    }
    expect(new Set(errors).size).toBe(3);
    const challenges = errors.map((error) =>
      ConnectError.from(error).metadata.get("www-authenticate"),
    );
    expect(challenges).toEqual(Array.from({ length: 3 }, () => 'Bearer error="invalid_token"'));
  });
});

describe("many calls", () => {
  /** Requests that wait for their answer. */
  let held: {
    readonly token: string;
    answer(response: Response): void;
    readonly signal: unknown;
  }[];
  const fetch: IntrospectionAuthInterceptorOptions["fetch"] = (_url, { body, signal }) =>
    new Promise((resolve) => {
      const token = new URLSearchParams(String(body)).get("token") ?? "";
      held.push({ token, answer: resolve, signal });
    });
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  const answerAll = () => {
    for (const { answer } of held.splice(0)) {
      answer(Response.json(active));
    }
  };
  beforeEach(() => {
    held = [];
  });

  test("with the same token at once make one request", async () => {
    const interceptor = createInterceptor({ fetch });
    const calls = Array.from({ length: 100 }, () => outcome(call(interceptor)));
    await settle();
    expect(held).toHaveLength(1);
    answerAll();
    expect(new Set(await Promise.all(calls))).toEqual(new Set(["alice"]));
  });

  test("with other tokens each make 64 requests at once, and 1,024 wait", async () => {
    const interceptor = createInterceptor({ fetch });
    const calls = Array.from({ length: 2000 }, (_, i) => outcome(call(interceptor, `random-${i}`)));
    await settle();
    expect(held).toHaveLength(64);
    let atOnce = 0;
    let requests = 0;
    while (held.length > 0) {
      atOnce = Math.max(atOnce, held.length);
      requests += held.length;
      answerAll();
      await settle();
    }
    expect([atOnce, requests]).toEqual([64, 64 + 1024]);
    const outcomes = await Promise.all(calls);
    expect(outcomes.slice(0, 1088).every((one) => one === "alice")).toBe(true);
    expect(new Set(outcomes.slice(1088))).toEqual(
      new Set(["Unavailable: introspection: too many tokens at once"]),
    );
  });

  test("wait for their turn as long as for an answer, and make room when they go", async () => {
    useFakeTime(1_800_000_000_000);
    try {
      const interceptor = createInterceptor({ fetch, maxConcurrentRequests: 1, timeoutMs: 1000 });
      const first = outcome(call(interceptor, "first"));
      const waiting = Array.from({ length: 16 }, (_, i) => outcome(call(interceptor, `w-${i}`)));
      await vi.advanceTimersByTimeAsync(900);
      expect(await outcome(call(interceptor, "beyond"))).toBe(
        "Unavailable: introspection: too many tokens at once",
      );
      held[0]?.answer(Response.json(active));
      expect(await first).toBe("alice");
      expect(held.map(({ token }) => token)).toEqual(["first", "w-0"]);
      await vi.advanceTimersByTimeAsync(100);
      expect(new Set(await Promise.all(waiting.slice(1)))).toEqual(
        new Set(["Unavailable: introspection: no turn in time"]),
      );
      const next = outcome(call(interceptor, "next"));
      await vi.advanceTimersByTimeAsync(799);
      held[1]?.answer(Response.json(active));
      expect(await waiting[0]).toBe("alice");
      await vi.advanceTimersByTimeAsync(0);
      held[2]?.answer(Response.json(active));
      expect(await next).toBe("alice");
      expect(held.map(({ token }) => token)).toEqual(["first", "w-0", "next"]);
    } finally {
      useRealTime();
    }
  });

  test("that end leave the request to those that wait for it", async () => {
    const interceptor = createInterceptor({ fetch });
    const leaving = new AbortController();
    const first = outcome(call(interceptor, "secret-token", leaving.signal));
    const second = outcome(call(interceptor));
    await settle();
    leaving.abort(new ConnectError("the client went away", Code.Canceled));
    expect(await first).toBe("Unavailable: the call ended before its credential was judged");
    const third = outcome(call(interceptor));
    await settle();
    expect(held).toHaveLength(1);
    answerAll();
    expect([await second, await third]).toEqual(["alice", "alice"]);
  });

  test("that have ended ask nothing", async () => {
    const interceptor = createInterceptor({ fetch });
    const signal = AbortSignal.abort();
    expect(await outcome(call(interceptor, "secret-token", signal))).toBe(
      "Unavailable: the call ended before its credential was judged",
    );
    expect(held).toEqual([]);
  });
});

describe("a silent endpoint", () => {
  let asked: number;
  let isSilent: boolean;
  const fetch: IntrospectionAuthInterceptorOptions["fetch"] = async () => {
    asked += 1;
    return isSilent ? new Promise(() => {}) : Response.json(active);
  };
  beforeEach(() => {
    useFakeTime(1_800_000_000_000);
    vi.spyOn(Math, "random").mockReturnValue(0.5);
    asked = 0;
    isSilent = true;
  });
  afterEach(useRealTime);

  const later = (ms: number) => vi.advanceTimersByTimeAsync(ms);

  test("costs the first call 5 s, and then one call after each backoff", async () => {
    const interceptor = createInterceptor({ fetch, maxConcurrentRequests: 1 });
    const first = outcome(call(interceptor, "first"));
    await later(4999);
    expect(asked).toBe(1);
    await later(1);
    expect(await first).toBe(`Unavailable: introspection: no answer from ${url} in time`);

    // 1 s × 1.6ⁿ, 10 s at most
    for (const backoffMs of [1000, 1600, 2560, 4096, 6553.6, 10_000, 10_000]) {
      await later(backoffMs - 1);
      expect(await outcome(call(interceptor, `${backoffMs}`))).toBe(`Unavailable: ${leftAlone}`);
      await later(2);
      const before = asked;
      const probe = outcome(call(interceptor, `probe-${backoffMs}`));
      await later(0);
      // the others do not wait with it
      expect(await outcome(call(interceptor, `other-${backoffMs}`))).toBe(
        `Unavailable: ${leftAlone}`,
      );
      expect(asked).toBe(before + 1);
      await later(5000);
      expect(await probe).toContain("in time");
    }
    isSilent = false;
    await later(10_001);
    expect(await outcome(call(interceptor, "back"))).toBe("alice");
    expect(await outcome(call(interceptor, "again"))).toBe("alice");

    // it begins anew
    isSilent = true;
    const next = outcome(call(interceptor, "next"));
    await later(5000);
    expect(await next).toContain("in time");
    isSilent = false;
    await later(1001);
    expect(await outcome(call(interceptor, "last"))).toBe("alice");
  });

  test("counts once for requests that fail together", async () => {
    const interceptor = createInterceptor({ fetch });
    const calls = Array.from({ length: 50 }, (_, i) => outcome(call(interceptor, `${i}`)));
    await later(5000);
    await Promise.all(calls);
    isSilent = false;
    await later(1001);
    expect(await outcome(call(interceptor, "back"))).toBe("alice");
  });

  test("refuses those that wait for their turn when it is noticed", async () => {
    const interceptor = createInterceptor({ fetch, maxConcurrentRequests: 1 });
    const first = outcome(call(interceptor, "first"));
    await later(2500);
    const waiting = outcome(call(interceptor, "waiting"));
    await later(2500);
    expect(await first).toContain("in time");
    expect(await waiting).toBe(`Unavailable: ${leftAlone}`);
    expect(asked).toBe(1);
  });

  test("is none where it is silent about one token only", async () => {
    const interceptor = createInterceptor({ fetch });
    const poison = outcome(call(interceptor, "poison"));
    await later(2500);
    isSilent = false;
    expect(await outcome(call(interceptor, "good"))).toBe("alice");
    await later(2500);
    expect(await poison).toContain("in time");
    expect(await outcome(call(interceptor, "another"))).toBe("alice");
  });
});
