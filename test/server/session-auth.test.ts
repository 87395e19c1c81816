import { Code, ConnectError } from "@connectrpc/connect";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { staticHeaders } from "../../src/credentials/auth-headers.js";
import { Auth, createClientBearerInterceptor } from "../../src/index.js";
import {
  type AuthContext,
  createJwtAuthInterceptor,
  createServerAuth,
  createSessionAuthInterceptor,
  getAuthContext,
  type IncomingCall,
  type SessionAuthInterceptorOptions,
} from "../../src/server/index.js";
import { inMemory } from "../../src/testing/index.js";
import { createMatrixServiceClient } from "../gen/acme/matrix/v1/matrix_auth.js";
import { MatrixService } from "../gen/acme/matrix/v1/matrix_pb.js";
import { createUserServiceClient, UserServicePolicies } from "../gen/acme/user/v1/user_auth.js";
import { UserService } from "../gen/acme/user/v1/user_pb.js";
import { setWallClock, useFakeTime, useRealTime } from "../support/fake-time.js";
import { incomingCall } from "../support/incoming-call.js";
import { refusalOf } from "../support/refusal-of.js";
import { createTestToken, testSecret } from "../support/test-token.js";

type Options = SessionAuthInterceptorOptions<string>;

const identity = { subject: "alice", roles: [], scopes: [], claims: {}, type: "session" };
const noSession = {
  code: "Unauthenticated",
  message: "invalid credentials",
  reason: "verifySession: no such session",
};

/** Takes every token for that of a session, whose subject is the token. */
function sessionAuth(options: Partial<Options> = {}) {
  return createSessionAuthInterceptor<string>({
    verifySession: (token) => token,
    mapSession: (subject) => ({ ...identity, subject }),
    ...options,
  });
}

async function tokenIn(header: HeadersInit, options: Partial<Options> = {}) {
  return (await sessionAuth(options).authenticate(incomingCall(header)))?.subject;
}

describe("createSessionAuthInterceptor reads", () => {
  test.each<{ name: string; options?: Partial<Options>; header: HeadersInit; want: string }>([
    { name: "Authorization", header: { authorization: "Bearer abc" }, want: "abc" },
    { name: "the scheme in lower case", header: { authorization: "bearer abc" }, want: "abc" },
    { name: "a cookie", options: { cookie: "sid" }, header: { cookie: "sid=abc" }, want: "abc" },
    {
      name: "a cookie among others",
      options: { cookie: "sid" },
      header: { cookie: 'a="sid=x"; SID=upper; xsid=y; sid=abc; sid.0=z; b' },
      want: "abc",
    },
    {
      name: "a cookie without blanks before it, and with some around it",
      options: { cookie: "sid" },
      header: { cookie: "a=b;sid = abc\t;c=d" },
      want: "abc",
    },
    {
      name: "a cookie as it stands, not decoded",
      options: { cookie: "better-auth.session_token" },
      header: { cookie: "better-auth.session_token=abc.d%2Bf%3D=" },
      want: "abc.d%2Bf%3D=",
    },
    {
      name: "a cookie beside an Authorization that is for others",
      options: { cookie: "sid" },
      header: { cookie: "sid=abc", authorization: "Bearer x" },
      want: "abc",
    },
    { name: "a header", options: { header: "X-Sid" }, header: { "x-sid": "abc" }, want: "abc" },
    {
      name: "the header, where cookie and header are read",
      options: { cookie: "sid", header: "x-sid" },
      header: { "x-sid": "abc", cookie: "a=b" },
      want: "abc",
    },
    {
      name: "the cookie, where cookie and header are read",
      options: { cookie: "sid", header: "x-sid" },
      header: { cookie: "sid=abc" },
      want: "abc",
    },
    {
      name: "what extractToken finds",
      options: { extractToken: async ({ header }) => header.get("x-a")?.slice(2) },
      header: { "x-a": "s:abc" },
      want: "abc",
    },
    {
      name: "a token of 8 KiB in a cookie",
      options: { cookie: "sid" },
      header: { cookie: `sid=${"a".repeat(8192)}` },
      want: "a".repeat(8192),
    },
    {
      name: "a token of 8 KiB in a header",
      options: { header: "x-sid" },
      header: { "x-sid": "a".repeat(8192) },
      want: "a".repeat(8192),
    },
  ])("$name", async ({ options, header, want }) => {
    expect(await tokenIn(header, options)).toBe(want);
  });

  test.each([{ cookie: "better-auth.session_token" }, { header: "x-session" }, {}])(
    "every token that Auth.session() sends with %j",
    async (place) => {
      const character = fc.constantFrom(
        ...Array.from({ length: 94 }, (_, i) => String.fromCharCode(33 + i)).filter(
          (char) => !'",;\\'.includes(char),
        ),
      );
      await fc.assert(
        fc.asyncProperty(fc.string({ unit: character, minLength: 1 }), async (token) => {
          const sent = staticHeaders(Auth.session(token, place));
          expect(await tokenIn([...sent], place)).toBe(token);
        }),
      );
    },
  );

  test("the token that createClientBearerInterceptor sends", async () => {
    const factory = inMemory(
      (router) => {
        router.service(UserService, {
          whoAmI: () => ({ subject: getAuthContext()?.subject ?? "" }),
        });
      },
      { interceptors: [sessionAuth()] },
    );
    const client = createUserServiceClient(
      factory,
      {
        baseUrl: "https://api.test",
        interceptors: [createClientBearerInterceptor({ token: "abc" })],
      },
      { credentials: Auth.none() },
    );
    expect((await client.whoAmI({})).subject).toBe("abc");
  });
});

describe("createSessionAuthInterceptor finds no credential", () => {
  test.each<{ name: string; options?: Partial<Options>; header: HeadersInit }>([
    { name: "where there is none", header: {} },
    { name: "in another scheme", header: { authorization: "Basic YTpi" } },
    { name: "in a cookie that is not named", header: { cookie: "sid=abc" } },
    {
      name: "in Authorization where a cookie is named",
      options: { cookie: "sid" },
      header: { authorization: "Bearer abc" },
    },
    { name: "in another cookie", options: { cookie: "sid" }, header: { cookie: "SID=a; sid2=b" } },
    { name: "in the value of a cookie", options: { cookie: "sid" }, header: { cookie: "a=sid=b" } },
    { name: "in a cookie without a name", options: { cookie: "sid" }, header: { cookie: "sid" } },
    {
      name: "where extractToken finds null",
      options: { extractToken: () => null },
      header: { cookie: "sid=abc", "sec-fetch-site": "cross-site" },
    },
    {
      name: "where extractToken finds undefined",
      options: { extractToken: () => undefined },
      header: { cookie: "sid=abc", "sec-fetch-site": "cross-site" },
    },
  ])("$name", async ({ options, header }) => {
    const verifySession = vi.fn((token: string) => token);
    expect(await tokenIn(header, { verifySession, ...options })).toBeUndefined();
    expect(verifySession).not.toHaveBeenCalled();
  });

  test("in the URL", async () => {
    const call = incomingCall({});
    const url = `${call.url}?access_token=abc&sid=abc`;
    expect(await sessionAuth().authenticate({ ...call, url })).toBeUndefined();
    expect(await sessionAuth({ cookie: "sid" }).authenticate({ ...call, url })).toBeUndefined();
  });
});

describe("createSessionAuthInterceptor rejects", () => {
  const badCookie = "the cookie sid is empty, or has a character that no cookie has";
  test.each<{ name: string; options?: Partial<Options>; header: HeadersInit; reason: string }>([
    {
      name: "two cookies of the name",
      options: { cookie: "sid" },
      header: { cookie: "sid=abc; a=b; sid=def" },
      reason: "several cookies sid",
    },
    {
      name: "the same cookie twice",
      options: { cookie: "sid" },
      header: { cookie: "sid=abc; sid=abc" },
      reason: "several cookies sid",
    },
    {
      name: "an empty cookie beside a good one",
      options: { cookie: "sid" },
      header: { cookie: "sid=; sid=abc" },
      reason: "several cookies sid",
    },
    {
      name: "a cookie that other parsers take for the same",
      options: { cookie: "sid" },
      header: { cookie: "\u00a0sid=evil; sid=abc" },
      reason: "several cookies sid",
    },
    {
      name: "a cookie that only other parsers take for it",
      options: { cookie: "sid" },
      header: { cookie: "a=b; \u00a0sid=evil" },
      reason: badCookie,
    },
    {
      name: "an empty cookie",
      options: { cookie: "sid" },
      header: { cookie: "sid=" },
      reason: badCookie,
    },
    {
      name: "a blank cookie",
      options: { cookie: "sid" },
      header: { cookie: "sid= ; a=b" },
      reason: badCookie,
    },
    {
      name: "a cookie in quotes",
      options: { cookie: "sid" },
      header: { cookie: 'sid="abc"' },
      reason: badCookie,
    },
    {
      name: "a cookie with a blank",
      options: { cookie: "sid" },
      header: { cookie: "sid=a b" },
      reason: badCookie,
    },
    {
      name: "cookies joined by a comma",
      options: { cookie: "sid" },
      header: { cookie: "sid=a, sid=b" },
      reason: badCookie,
    },
    {
      name: "a cookie with a backslash",
      options: { cookie: "sid" },
      header: { cookie: "sid=a\\b" },
      reason: badCookie,
    },
    {
      name: "a cookie beyond ASCII",
      options: { cookie: "sid" },
      header: { cookie: "sid=\u00e9" },
      reason: badCookie,
    },
    {
      name: "a cookie above 8 KiB",
      options: { cookie: "sid" },
      header: { cookie: `sid=${"a".repeat(8193)}` },
      reason: "the cookie sid has more than 8192 bytes",
    },
    {
      name: "an empty header",
      options: { header: "x-sid" },
      header: { "x-sid": "" },
      reason: "x-sid is empty, or not exactly one token",
    },
    {
      name: "the header twice",
      options: { header: "x-sid" },
      header: [
        ["x-sid", "abc"],
        ["x-sid", "def"],
      ],
      reason: "x-sid is empty, or not exactly one token",
    },
    {
      name: "a header with a comma",
      options: { header: "x-sid" },
      header: { "x-sid": "abc,def" },
      reason: "x-sid is empty, or not exactly one token",
    },
    {
      name: "a header with a tab",
      options: { header: "x-sid" },
      header: { "x-sid": "a\tb" },
      reason: "x-sid is empty, or not exactly one token",
    },
    {
      name: "a header with a control character",
      options: { header: "x-sid" },
      header: { "x-sid": "a\u0001" },
      reason: "x-sid is empty, or not exactly one token",
    },
    {
      name: "a header above 8 KiB",
      options: { header: "x-sid" },
      header: { "x-sid": "a".repeat(8193) },
      reason: "x-sid has more than 8192 bytes",
    },
    {
      name: "a token in both places",
      options: { cookie: "sid", header: "x-sid" },
      header: { cookie: "sid=abc", "x-sid": "abc" },
      reason: "a session token in the cookie, and one in the header",
    },
    {
      name: "a bad cookie beside a good header",
      options: { cookie: "sid", header: "x-sid" },
      header: { cookie: "sid=", "x-sid": "abc" },
      reason: badCookie,
    },
    {
      name: "an empty token of extractToken",
      options: { extractToken: () => "" },
      header: {},
      reason: "extractToken: the credential is empty, or no text",
    },
    {
      name: "what is no text",
      options: { extractToken: () => JSON.parse("7") },
      header: {},
      reason: "extractToken: the credential is empty, or no text",
    },
    {
      name: "a token of extractToken above 8 KiB",
      options: { extractToken: () => "ä".repeat(4097) },
      header: {},
      reason: "extractToken: the credential has more than 8192 bytes",
    },
    {
      name: "a call where extractToken throws",
      options: {
        extractToken: () => {
          throw new Error("a secret");
        },
      },
      header: {},
      reason: "extractToken failed",
    },
  ])("$name", async ({ options, header, reason }) => {
    const verifySession = vi.fn((token: string) => token);
    const call = sessionAuth({ verifySession, ...options }).authenticate(incomingCall(header));
    expect(await refusalOf(call)).toEqual({
      code: "Unauthenticated",
      message: "invalid credentials",
      reason,
    });
    expect(verifySession).not.toHaveBeenCalled();
  });

  test.each(["Bearer", "Bearer a, Bearer b", "Bearer\tabc"])("%j", async (authorization) => {
    const call = sessionAuth().authenticate(incomingCall({ authorization }));
    expect(await refusalOf(call)).toEqual({
      code: "Unauthenticated",
      message: "invalid token",
      reason: "Authorization: Bearer without exactly one token",
    });
  });

  test("a cookie header of blanks in no time to speak of", async () => {
    // quadratic, it would take minutes
    const cookie = `sid=x${" \t".repeat(500_000)}y; ${"\t".repeat(500_000)}`;
    const call = sessionAuth({ cookie: "sid" }).authenticate(incomingCall({ cookie }));
    expect((await refusalOf(call)).reason).toBe(badCookie);
  });
});

describe("a session that verifySession", () => {
  const bearer = { authorization: "Bearer abc" };
  const broken = new TypeError("the token abc is no good");

  test.each<{ name: string; options: Partial<Options>; want: object; cause?: unknown }>([
    { name: "returns as null is none", options: { verifySession: () => null }, want: noSession },
    {
      name: "returns as undefined is none",
      options: { verifySession: async () => undefined },
      want: noSession,
    },
    {
      name: "throws at is none",
      options: {
        verifySession: () => {
          throw broken;
        },
      },
      want: { ...noSession, reason: "verifySession failed" },
      cause: broken,
    },
    {
      name: "rejects is none",
      options: { verifySession: () => Promise.reject(broken) },
      want: { ...noSession, reason: "verifySession failed" },
      cause: broken,
    },
    {
      name: "cannot look up may be one",
      options: {
        verifySession: () => Promise.reject(new ConnectError("store down", Code.Unavailable)),
      },
      want: { code: "Unavailable", message: "store down", reason: undefined },
    },
    {
      name: "forbids stays forbidden",
      options: {
        verifySession: () => Promise.reject(new ConnectError("banned", Code.PermissionDenied)),
      },
      want: { code: "PermissionDenied", message: "banned", reason: undefined },
    },
    {
      name: "fails at with another code is none",
      options: { verifySession: () => Promise.reject(new ConnectError("x", Code.NotFound)) },
      want: { ...noSession, reason: "verifySession failed" },
    },
    {
      name: "finds and mapSession cannot read is none",
      options: {
        mapSession: () => {
          throw broken;
        },
      },
      want: { ...noSession, reason: "mapSession failed" },
      cause: broken,
    },
    {
      name: "finds and mapSession makes no identity of is none",
      options: { mapSession: () => JSON.parse('{"subject":""}') },
      want: {
        ...noSession,
        reason: "the authentication returned something that is no identity",
      },
    },
    {
      name: "finds and mapSession makes nothing of is none",
      options: { mapSession: () => JSON.parse("null") },
      want: {
        ...noSession,
        reason: "the authentication returned something that is no identity",
      },
    },
    {
      name: "finds too late is over",
      options: { mapSession: () => ({ ...identity, expiresAt: new Date(Date.now() - 1) }) },
      want: { ...noSession, reason: 'mapSession: "expiresAt" has passed, or is no Date' },
    },
    {
      name: "finds with an invalid date is over",
      options: { mapSession: () => ({ ...identity, expiresAt: new Date(Number.NaN) }) },
      want: { ...noSession, reason: 'mapSession: "expiresAt" has passed, or is no Date' },
    },
    {
      name: "finds with a date that is text is over",
      options: {
        mapSession: () => ({ ...identity, ...JSON.parse('{"expiresAt":"2999-01-01T00:00:00Z"}') }),
      },
      want: { ...noSession, reason: 'mapSession: "expiresAt" has passed, or is no Date' },
    },
  ])("$name", async ({ options, want, cause }) => {
    const call = sessionAuth(options).authenticate(incomingCall(bearer));
    const error: unknown = await call.catch((thrown: unknown) => thrown);
    expect(await refusalOf(call)).toEqual(want);
    expect(error).not.toHaveProperty("message", expect.stringContaining("abc"));
    if (cause !== undefined) {
      expect(error).toHaveProperty("cause.cause", cause);
    }
  });

  test("finds is what mapSession gets, and makes the identity", async () => {
    const session = { user: { id: "u-1", admin: true }, expiresAt: new Date(Date.now() + 60_000) };
    const auth = createSessionAuthInterceptor({
      verifySession: async (token) => (token === "abc" ? session : null),
      mapSession: async ({ user, expiresAt }) => ({
        subject: user.id,
        roles: user.admin ? ["admin"] : [],
        scopes: [],
        claims: {},
        type: "cookie",
        expiresAt,
      }),
    });
    expect(await auth.authenticate(incomingCall(bearer))).toEqual({
      subject: "u-1",
      roles: ["admin"],
      scopes: [],
      claims: {},
      type: "cookie",
      expiresAt: session.expiresAt,
    });
    const other = auth.authenticate(incomingCall({ authorization: "Bearer def" }));
    expect(await refusalOf(other)).toEqual(noSession);
  });

  test("finds has the type that mapSession takes", () => {
    const verifySession = async () => (Math.random() < 2 ? { user: "u" } : null);
    expect(
      createSessionAuthInterceptor({
        verifySession,
        mapSession: ({ user }) => ({ ...identity, subject: user }),
      }),
    ).toBeTypeOf("function");
    createSessionAuthInterceptor({
      verifySession,
      // @ts-expect-error a session has no such property
      mapSession: ({ owner }): AuthContext => ({ ...identity, subject: owner }),
    });
    createSessionAuthInterceptor({
      // the other way round it is the same
      mapSession: (session) => ({ ...identity, subject: session.user }),
      verifySession: () => ({ user: "u" }),
    });
  });
});

describe("verifySession gets", () => {
  const all = {
    authorization: "Bearer in-authorization",
    cookie: "a=b",
    "x-sid": "in-header",
    "x-forwarded-for": "10.0.0.1",
  };
  test.each<{ name: string; options: Partial<Options>; header: HeadersInit; want: object }>([
    {
      name: "no cookie with a token of Authorization",
      options: {},
      header: { ...all, cookie: "sid=victim" },
      want: {
        authorization: "Bearer in-authorization",
        "x-sid": "in-header",
        "x-forwarded-for": "10.0.0.1",
      },
    },
    {
      name: "neither cookie nor Authorization with a token of the header",
      options: { cookie: "sid", header: "x-sid" },
      header: all,
      want: { "x-sid": "in-header", "x-forwarded-for": "10.0.0.1" },
    },
    {
      name: "no Authorization with a token of the cookie, but the other cookies",
      options: { cookie: "sid" },
      header: { authorization: all.authorization, cookie: "a=b; sid=c; d=e" },
      want: { cookie: "a=b; sid=c; d=e" },
    },
    {
      name: "everything with a token of extractToken",
      options: { extractToken: () => "abc" },
      header: all,
      want: all,
    },
  ])("$name", async ({ options, header, want }) => {
    const verifySession = vi.fn((token: string, _headers: Headers) => token);
    const call = incomingCall(header);
    const before = [...call.header];
    await sessionAuth({ ...options, verifySession }).authenticate(call);
    expect(Object.fromEntries(verifySession.mock.lastCall?.[1] ?? [])).toEqual(want);
    expect([...call.header]).toEqual(before);
  });

  test("a copy of the headers", async () => {
    const auth = sessionAuth({
      verifySession(token, headers) {
        headers.set("x-forwarded-for", "mallory");
        return token;
      },
    });
    const call = incomingCall(all);
    await auth.authenticate(call);
    expect(call.header.get("x-forwarded-for")).toBe("10.0.0.1");
  });
});

describe("a call with a cookie", () => {
  const own = "https://api.test";
  const allowedOrigins = ["https://app.test", "capacitor://localhost"];

  interface Case {
    readonly name: string;
    readonly header: Readonly<Record<string, string>>;
    readonly url?: string;
  }

  function authenticate(
    { header, url = own }: Omit<Case, "name">,
    options: Partial<Options> = { cookie: "sid" },
    requestMethod = "POST",
  ) {
    const verifySession = vi.fn((token: string) => token);
    const call: IncomingCall = {
      ...incomingCall({ cookie: "sid=abc", ...header }),
      url: `${url}/acme.user.v1.UserService/WhoAmI`,
      requestMethod,
    };
    const auth = sessionAuth({ verifySession, allowedOrigins, ...options });
    return { verifySession, identity: auth.authenticate(call) };
  }

  const passing: Case[] = [
    { name: "no browser", header: {} },
    { name: "the same origin", header: { "sec-fetch-site": "same-origin" } },
    {
      name: "the same origin behind a proxy with another name",
      header: { "sec-fetch-site": "same-origin", origin: "https://public.test" },
    },
    { name: "no page", header: { "sec-fetch-site": "none" } },
    {
      name: "an allowed origin of another site",
      header: { "sec-fetch-site": "cross-site", origin: "https://app.test" },
    },
    {
      name: "an allowed origin of the same site",
      header: { "sec-fetch-site": "same-site", origin: "https://app.test" },
    },
    { name: "an allowed origin without Sec-Fetch-Site", header: { origin: "https://app.test" } },
    { name: "an allowed app", header: { origin: "capacitor://localhost" } },
    { name: "the own origin without Sec-Fetch-Site", header: { origin: own } },
    {
      name: "the own origin where TLS ended before",
      header: { origin: own },
      url: "http://api.test",
    },
    {
      name: "the own origin with a port",
      header: { origin: "http://api.test:8080" },
      url: "http://API.test:8080",
    },
  ];
  test.each(passing)("passes from $name", async (call) => {
    const { identity } = authenticate(call);
    expect((await identity)?.subject).toBe("abc");
    expect((await authenticate(call, { extractToken: () => "abc" }).identity)?.subject).toBe("abc");
  });

  const refused: (Case & { reason: string })[] = [
    {
      name: "another site",
      header: { "sec-fetch-site": "cross-site" },
      reason: 'Sec-Fetch-Site is "cross-site", Origin missing',
    },
    {
      name: "the same site",
      header: { "sec-fetch-site": "same-site", origin: "https://other.test" },
      reason: 'Sec-Fetch-Site is "same-site", Origin "https://other.test"',
    },
    {
      name: "another site that says it is us",
      header: { "sec-fetch-site": "cross-site", origin: own },
      reason: 'Sec-Fetch-Site is "cross-site", Origin "https://api.test"',
    },
    {
      name: "a place that Sec-Fetch-Site has no word for",
      header: { "sec-fetch-site": "Same-Origin" },
      reason: 'Sec-Fetch-Site is "Same-Origin", Origin missing',
    },
    {
      name: "two places",
      header: { "sec-fetch-site": "same-origin, cross-site" },
      reason: 'Sec-Fetch-Site is "same-origin, cross-site", Origin missing',
    },
    {
      name: "nowhere",
      header: { "sec-fetch-site": "" },
      reason: 'Sec-Fetch-Site is "", Origin missing',
    },
    ...[
      "https://evil.test",
      "https://api.test.evil.test",
      "https://evil-api.test",
      "https://api.tes",
      "https://api.test:8443",
      "http://api.test",
      "null",
      "",
      "https://api.test/",
      "https://API.test",
      "https://api.test:443",
      "https://user@api.test",
      "//api.test",
      "api.test",
      "https://",
      "https://api.test, https://api.test",
      "https://evil.test, https://app.test",
      "https://app.test.evil.test",
      "https://app.test:443",
      "http://app.test",
      "chrome-extension://api.test",
      "ftp://api.test",
    ].map((origin) => ({
      name: `the origin ${JSON.stringify(origin)}`,
      header: { origin },
      reason: `Origin is ${JSON.stringify(origin)}`,
    })),
    ...["ftp", "ws", "chrome-extension"].map((scheme) => ({
      name: `the own host with the scheme ${scheme}`,
      header: { origin: `${scheme}://api.test` },
      url: "http://api.test",
      reason: `Origin is "${scheme}://api.test"`,
    })),
    {
      name: "an origin, where the own one is unknown",
      header: { origin: own },
      url: "https://[",
      reason: 'Origin is "https://api.test"',
    },
    {
      name: "a long origin",
      header: { origin: `https://${"a".repeat(300)}.test` },
      reason: `Origin is "https://${"a".repeat(192)}"`,
    },
  ];
  test.each(refused)("is refused from $name, before the session is looked up", async (call) => {
    const want = { code: "PermissionDenied", message: "access denied", reason: call.reason };
    for (const requestMethod of ["GET", "POST"]) {
      const inCookie = authenticate(call, { cookie: "sid" }, requestMethod);
      expect(await refusalOf(inCookie.identity)).toEqual(want);
      expect(inCookie.verifySession).not.toHaveBeenCalled();
      const extracted = authenticate(call, { extractToken: () => "abc" }, requestMethod);
      expect(await refusalOf(extracted.identity)).toEqual(want);
      expect(extracted.verifySession).not.toHaveBeenCalled();
    }
  });

  test("is refused from foreign origins also where its session is remembered", async () => {
    const auth = sessionAuth({ cookie: "sid", cache: { ttl: 1000 } });
    await auth.authenticate(incomingCall({ cookie: "sid=abc" }));
    const foreign = incomingCall({ cookie: "sid=abc", "sec-fetch-site": "cross-site" });
    expect((await refusalOf(auth.authenticate(foreign))).code).toBe("PermissionDenied");
  });

  test.each<{ name: string; options: Partial<Options>; header: HeadersInit }>([
    { name: "a header", options: { header: "x-sid" }, header: { "x-sid": "abc" } },
    {
      name: "a header, where a cookie would do",
      options: { cookie: "sid", header: "x-sid" },
      header: { "x-sid": "abc" },
    },
    { name: "Authorization", options: {}, header: { authorization: "Bearer abc" } },
  ])("says nothing of one with $name, which no browser adds", async ({ options, header }) => {
    const call = incomingCall({
      ...header,
      origin: "https://evil.test",
      "sec-fetch-site": "cross-site",
    });
    expect((await sessionAuth(options).authenticate(call))?.subject).toBe("abc");
  });
});

describe("the cache of sessions", () => {
  /** What JavaScript can pass, whatever the types say. */
  const undefinedCache = JSON.parse("{}", () => ({ cache: undefined }));

  beforeEach(() => useFakeTime(1_800_000_000_000));
  afterEach(() => useRealTime());

  const call = () => incomingCall({ authorization: "Bearer abc" });

  test.each<{ name: string; options: Pick<Options, "cache"> }>([
    { name: "by default", options: {} },
    { name: "where it is told so", options: { cache: false } },
    { name: "where the option is undefined", options: undefinedCache },
  ])("is not there $name: a session that ended is refused at once", async ({ options }) => {
    const sessions = new Set(["abc"]);
    const auth = sessionAuth({
      verifySession: (token) => (sessions.has(token) ? token : null),
      ...options,
    });
    expect((await auth.authenticate(call()))?.subject).toBe("abc");
    sessions.clear();
    expect(await refusalOf(auth.authenticate(call()))).toEqual(noSession);
  });

  test("lets a session that ended pass for one ttl at most, however often it calls", async () => {
    const sessions = new Set(["abc"]);
    const auth = sessionAuth({
      verifySession: (token) => (sessions.has(token) ? token : null),
      cache: { ttl: 1000 },
    });
    await auth.authenticate(call());
    sessions.clear();
    for (let ms = 0; ms < 1000; ms += 100) {
      expect((await auth.authenticate(call()))?.subject).toBe("abc");
      vi.advanceTimersByTime(100);
    }
    expect(await refusalOf(auth.authenticate(call()))).toEqual(noSession);
  });

  test("lets it pass for no longer where the clock is set back", async () => {
    const sessions = new Set(["abc"]);
    const auth = sessionAuth({
      verifySession: (token) => (sessions.has(token) ? token : null),
      cache: { ttl: 1000 },
    });
    await auth.authenticate(call());
    sessions.clear();
    setWallClock(-3_600_000);
    vi.advanceTimersByTime(1000);
    expect(await refusalOf(auth.authenticate(call()))).toEqual(noSession);
  });

  test("lets no session pass its end", async () => {
    const auth = sessionAuth({
      mapSession: () => ({ ...identity, expiresAt: new Date(1_800_000_000_500) }),
      cache: { ttl: 1000 },
    });
    await auth.authenticate(call());
    vi.advanceTimersByTime(499);
    expect((await auth.authenticate(call()))?.subject).toBe("alice");
    vi.advanceTimersByTime(1);
    expect((await refusalOf(auth.authenticate(call()))).reason).toBe(
      'mapSession: "expiresAt" has passed, or is no Date',
    );
  });

  test.each<{ hanging: string; options: Partial<Options> }>([
    { hanging: "verifySession", options: { verifySession: () => new Promise(() => {}) } },
    { hanging: "mapSession", options: { mapSession: () => new Promise(() => {}) } },
  ])("or none: a $hanging that hangs holds a call for as long as it goes on", async (hanging) => {
    for (const cache of [false, { ttl: 1000 }] as const) {
      const ending = new AbortController();
      const auth = sessionAuth({ ...hanging.options, cache });
      const refused = refusalOf(auth.authenticate({ ...call(), signal: ending.signal }));
      await Promise.resolve();
      ending.abort();
      expect(await refused).toEqual({
        code: "Unavailable",
        message: "credentials cannot be verified at the moment",
        reason: "the call ended before its credential was judged",
      });
    }
  });

  test("asks once for a token, whatever else stands in the headers", async () => {
    const verifySession = vi.fn((token: string) => token);
    const auth = sessionAuth({ verifySession, cache: { ttl: 1000 }, cookie: "sid", header: "x-s" });
    await auth.authenticate(incomingCall({ cookie: "sid=abc", "user-agent": "one" }));
    await auth.authenticate(incomingCall({ "x-s": "abc", "user-agent": "two" }));
    expect(verifySession).toHaveBeenCalledTimes(1);
    await auth.authenticate(incomingCall({ cookie: "sid=def" }));
    expect(verifySession).toHaveBeenCalledTimes(2);
  });

  test("remembers no session that is none", async () => {
    const verifySession = vi.fn(() => null);
    const auth = sessionAuth({ verifySession, cache: { ttl: 1000 } });
    expect(await refusalOf(auth.authenticate(call()))).toEqual(noSession);
    expect(await refusalOf(auth.authenticate(call()))).toEqual(noSession);
    expect(verifySession).toHaveBeenCalledTimes(2);
  });
});

describe("createSessionAuthInterceptor throws for", () => {
  const functions = { verifySession: () => "s", mapSession: () => identity };
  const origin = (value: unknown) =>
    `allowedOrigins ${JSON.stringify(value)} must be an origin as browsers write it, such as "https://app.acme.dev"`;
  test.each<{ name: string; options: unknown; message: string }>([
    {
      name: "no options",
      options: undefined,
      message: "createSessionAuthInterceptor takes an object of options",
    },
    {
      name: "a misspelt option",
      options: { ...functions, cookies: "sid" },
      message:
        'createSessionAuthInterceptor has no option "cookies"; there are verifySession, mapSession, cookie, header, extractToken, allowedOrigins, cache, skipMethods, propagateHeaders, propagatedClaims',
    },
    {
      name: "no verifySession",
      options: { mapSession: functions.mapSession },
      message: "verifySession must be a function",
    },
    {
      name: "no mapSession",
      options: { verifySession: functions.verifySession },
      message: "mapSession must be a function",
    },
    {
      name: "an extractToken that is no function",
      options: { ...functions, extractToken: "x-sid" },
      message: "extractToken must be a function",
    },
    {
      name: "extractToken beside cookie",
      options: { ...functions, extractToken: () => "a", cookie: "sid" },
      message: "extractToken stands in place of cookie and header: leave them out",
    },
    {
      name: "extractToken beside header",
      options: { ...functions, extractToken: () => "a", header: "x-sid" },
      message: "extractToken stands in place of cookie and header: leave them out",
    },
    {
      name: "a cookie that is not set",
      options: { ...functions, cookie: undefined },
      message: "cookie undefined must be the name of a cookie",
    },
    {
      name: "a cookie with its value",
      options: { ...functions, cookie: "sid=abc" },
      message: 'cookie "sid=abc" must be the name of a cookie',
    },
    {
      name: "an empty header",
      options: { ...functions, header: "" },
      message: 'header "" must be the name of a header',
    },
    ...["Authorization", "cookie", "dpop"].map((header) => ({
      name: `the header ${header}`,
      options: { ...functions, header },
      message: `header "${header}" carries the credentials of users; it must be a header of its own`,
    })),
    {
      name: "allowed origins without a cookie",
      options: { ...functions, header: "x-sid", allowedOrigins: [] },
      message: "allowedOrigins is for tokens that browsers add: it needs a cookie",
    },
    {
      name: "allowed origins that are no list",
      options: { ...functions, cookie: "sid", allowedOrigins: "https://app.test" },
      message: "allowedOrigins must be a list of origins",
    },
    ...[
      "*",
      "null",
      "",
      "app.test",
      "https://app.test/",
      "https://app.test:443",
      "https://App.test",
      "https://*.app.test",
      "https://a.test,https://b.test",
      "https://a@app.test",
      "https://",
      null,
      ["capacitor://localhost"],
    ].map((value) => ({
      name: `the allowed origin ${JSON.stringify(value)}`,
      options: { ...functions, cookie: "sid", allowedOrigins: ["https://app.test", value] },
      message: origin(value),
    })),
    {
      name: "a cache without a ttl",
      options: { ...functions, cache: {} },
      message: "cache.ttl undefined must be a number of milliseconds above 0",
    },
  ])("$name", ({ options, message }) => {
    const create: (options: never) => unknown = createSessionAuthInterceptor;
    expect(() => create(options as never)).toThrow(new TypeError(message));
  });
});

describe("in a server, a session", () => {
  test("is known to unary and streaming handlers, which see the cookie but not the header", async () => {
    const seen: unknown[] = [];
    const look = (header: Headers) => {
      seen.push([
        getAuthContext()?.subject ?? "nobody",
        ...["cookie", "x-sid", "x_sid", "x-auth-subject"].map((name) => header.get(name)),
      ]);
      return {};
    };
    const factory = inMemory(
      (router) => {
        router.service(MatrixService, {
          publicUnary: (_, { requestHeader }) => look(requestHeader),
          authenticatedUnary: (_, { requestHeader }) => look(requestHeader),
          async *authenticatedServer(_, { requestHeader }) {
            yield look(requestHeader);
          },
        });
      },
      {
        interceptors: [
          sessionAuth({
            cookie: "sid",
            header: "X-Sid",
            propagateHeaders: true,
            skipMethods: ["acme.matrix.v1.MatrixService/PublicUnary"],
          }),
        ],
      },
    );
    const client = createMatrixServiceClient(
      factory,
      { baseUrl: "https://api.test" },
      { credentials: Auth.none() },
    );
    const spoofed = { x_sid: "mallory", "x-auth-subject": "mallory" };
    const inCookie = { headers: { cookie: "a=b; sid=abc", ...spoofed } };
    const inHeader = { headers: { "x-sid": "def", ...spoofed } };
    await client.authenticatedUnary({}, inCookie);
    for await (const _ of client.authenticatedServer({}, inHeader)) {
      // one message
    }
    await client.publicUnary({}, inHeader);
    expect(seen).toEqual([
      ["abc", "a=b; sid=abc", null, null, "abc"],
      ["def", null, null, null, "def"],
      ["nobody", null, null, null, null],
    ]);
  });

  test.each<{ name: string; options: Partial<Options>; want: string | null }>([
    { name: "asks for Bearer where it reads that", options: {}, want: "Bearer" },
    { name: "asks for nothing where it reads a cookie", options: { cookie: "sid" }, want: null },
  ])("that is missing $name", async ({ options, want }) => {
    const factory = inMemory((router) => router.service(UserService, { whoAmI: () => ({}) }), {
      interceptors: [sessionAuth(options)],
    });
    const client = createUserServiceClient(
      factory,
      { baseUrl: "https://api.test" },
      { credentials: Auth.none() },
    );
    const error = await client.whoAmI({}).catch((reason: unknown) => reason);
    expect.assert(error instanceof ConnectError);
    expect(error).toMatchObject({ code: Code.Unauthenticated, rawMessage: "missing credentials" });
    expect(error.metadata.get("www-authenticate")).toBe(want);
  });

  test("stands beside other credentials, and is ignored on public methods from foreign origins", async () => {
    const auth = createServerAuth({
      policies: [UserServicePolicies],
      authenticate: [
        sessionAuth({ cookie: "sid" }),
        createJwtAuthInterceptor({ secret: testSecret }),
      ],
      identifyOnPublic: true,
    });
    const subject = () => getAuthContext()?.subject ?? "nobody";
    const factory = inMemory(
      auth.guard((router) =>
        router.service(UserService, {
          getProfile: () => ({ name: subject() }),
          whoAmI: () => ({ subject: subject() }),
          deleteUser: () => ({}),
          reindex: () => ({}),
        }),
      ),
      { interceptors: auth.interceptors },
    );
    const client = createUserServiceClient(
      factory,
      { baseUrl: "https://api.test" },
      { credentials: Auth.none() },
    );
    const cookie = { cookie: "sid=abc" };
    const foreign = { ...cookie, "sec-fetch-site": "cross-site" };
    const jwt = { authorization: `Bearer ${await createTestToken({ sub: "jwt" })}` };
    expect((await client.whoAmI({}, { headers: cookie })).subject).toBe("abc");
    expect((await client.whoAmI({}, { headers: jwt })).subject).toBe("jwt");
    expect(await refusalOf(client.whoAmI({}, { headers: { ...foreign, ...jwt } }))).toMatchObject({
      code: "PermissionDenied",
      message: "access denied",
    });
    expect((await client.getProfile({}, { headers: cookie })).name).toBe("abc");
    expect((await client.getProfile({}, { headers: foreign })).name).toBe("nobody");
  });
});
