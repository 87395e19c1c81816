import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, test, vi } from "vitest";
import { Auth } from "../../src/index.js";
import {
  type AuthContext,
  type AuthInterceptorOptions,
  createAuthInterceptor,
  getAuthContext,
} from "../../src/server/index.js";
import { inMemory } from "../../src/testing/index.js";
import { createMatrixServiceClient } from "../gen/acme/matrix/v1/matrix_auth.js";
import { MatrixService } from "../gen/acme/matrix/v1/matrix_pb.js";
import { incomingCall } from "../support/incoming-call.js";
import { refusalOf } from "../support/refusal-of.js";

const identity = { subject: "alice", roles: [], scopes: [], claims: {}, type: "api-key" };

/** Takes every credential, and makes it the subject. */
function authenticate(header: HeadersInit, options: Partial<AuthInterceptorOptions> = {}) {
  return createAuthInterceptor({
    verifyCredentials: (subject) => ({ ...identity, subject }),
    ...options,
  }).authenticate(incomingCall(header));
}

/** What is no identity, whatever the types say. */
function noIdentity(value: unknown): AuthContext {
  return value as AuthContext;
}

describe("createAuthInterceptor finds", () => {
  test.each(["Bearer abc", "bearer abc", "BEARER   abc"])("the token of %j", async (value) => {
    expect((await authenticate({ authorization: value }))?.subject).toBe("abc");
  });

  test("a token of 8 KiB", async () => {
    const token = "a".repeat(8192);
    expect((await authenticate({ authorization: `Bearer ${token}` }))?.subject).toBe(token);
  });

  test.each<{ name: string; extractCredentials: AuthInterceptorOptions["extractCredentials"] }>([
    { name: "at once", extractCredentials: ({ header }) => header.get("x-api-key") },
    { name: "later", extractCredentials: async ({ header }) => header.get("x-api-key") },
  ])("$name what extractCredentials does", async ({ extractCredentials = () => null }) => {
    const header = { "x-api-key": "k, l", authorization: "Bearer other" };
    expect((await authenticate(header, { extractCredentials }))?.subject).toBe("k, l");
  });

  test("a credential of 8 KiB beyond ASCII", async () => {
    const credential = "ä".repeat(4096);
    const extractCredentials = () => credential;
    expect((await authenticate({}, { extractCredentials }))?.subject).toBe(credential);
  });

  test("what extractCredentials reads from the call, all of it", async () => {
    const call = { ...incomingCall({ "x-a": "a" }), requestMethod: "GET" };
    const extractCredentials = vi.fn(() => "abc");
    await createAuthInterceptor({
      extractCredentials,
      verifyCredentials: () => identity,
    }).authenticate(call);
    expect(extractCredentials).toHaveBeenCalledWith(call);
  });
});

describe("createAuthInterceptor finds no credential", () => {
  test.each<{ name: string; header: HeadersInit }>([
    { name: "where there is no Authorization", header: {} },
    { name: "in another scheme", header: { authorization: "Basic YTpi" } },
    { name: "in a scheme that begins like it", header: { authorization: "Bearerx abc" } },
    { name: "in an empty Authorization", header: { authorization: "" } },
  ])("$name", async ({ header }) => {
    expect(await authenticate(header)).toBeUndefined();
  });

  test.each([null, undefined])("where extractCredentials returns %j", async (nothing) => {
    const verifyCredentials = vi.fn(() => identity);
    for (const extractCredentials of [() => nothing, async () => nothing]) {
      const header = { authorization: "Bearer abc" };
      expect(await authenticate(header, { extractCredentials, verifyCredentials })).toBeUndefined();
    }
    expect(verifyCredentials).not.toHaveBeenCalled();
  });

  test("in the query of the URL", async () => {
    const call = incomingCall({});
    const auth = createAuthInterceptor({ verifyCredentials: () => identity });
    // RFC 6750 §2.3, which RFC 9700 §4.3.2 takes back
    const url = `${call.url}?access_token=abc`;
    expect(await auth.authenticate({ ...call, url })).toBeUndefined();
  });
});

describe("createAuthInterceptor rejects the Authorization", () => {
  const twoOrNone = "Authorization: Bearer without exactly one token";
  test.each([
    { name: "without a token", authorization: "Bearer", reason: twoOrNone },
    { name: "with an empty token", authorization: "Bearer ", reason: twoOrNone },
    { name: "with two tokens", authorization: "Bearer abc, Bearer def", reason: twoOrNone },
    { name: "with two tokens and no blank", authorization: "Bearer abc,def", reason: twoOrNone },
    { name: "with a blank in the token", authorization: "Bearer abc def", reason: twoOrNone },
    { name: "with a tab for a space", authorization: "Bearer\tabc", reason: twoOrNone },
    { name: "with a tab behind the space", authorization: "Bearer \tabc", reason: twoOrNone },
    { name: "with a control character", authorization: "Bearer a\u0001bc", reason: twoOrNone },
    { name: "with what is no ASCII", authorization: "Bearer \u00e4bc", reason: twoOrNone },
    {
      name: "above 8 KiB",
      authorization: `Bearer ${"a".repeat(8193)}`,
      reason: "the token has more than 8192 bytes",
    },
  ])("$name", async ({ authorization, reason }) => {
    const verifyCredentials = vi.fn(() => identity);
    expect(await refusalOf(authenticate({ authorization }, { verifyCredentials }))).toEqual({
      code: "Unauthenticated",
      message: "invalid token",
      reason,
    });
    expect(verifyCredentials).not.toHaveBeenCalled();
  });
});

describe("createAuthInterceptor rejects a call whose credential", () => {
  const unusable = "extractCredentials: the credential is empty, or no text";
  const fails = (error: unknown) => () => {
    throw error;
  };
  test.each<{ name: string; extractCredentials: () => unknown; reason: string; cause?: unknown }>([
    { name: "is empty", extractCredentials: () => "", reason: unusable },
    { name: "is empty later", extractCredentials: async () => "", reason: unusable },
    { name: "is a number", extractCredentials: () => 7, reason: unusable },
    { name: "is false", extractCredentials: () => false, reason: unusable },
    { name: "is a list", extractCredentials: () => ["abc"], reason: unusable },
    {
      name: "has more than 8 KiB",
      extractCredentials: () => "a".repeat(8193),
      reason: "extractCredentials: the credential has more than 8192 bytes",
    },
    {
      name: "has more than 8 KiB beyond ASCII",
      extractCredentials: () => "ä".repeat(4097),
      reason: "extractCredentials: the credential has more than 8192 bytes",
    },
    {
      name: "cannot be found",
      extractCredentials: fails(new RangeError("abc")),
      reason: "extractCredentials failed",
      cause: new RangeError("abc"),
    },
    {
      name: "cannot be found later",
      extractCredentials: async () => Promise.reject(new RangeError("abc")),
      reason: "extractCredentials failed",
      cause: new RangeError("abc"),
    },
    {
      name: "cannot be found, with another code",
      extractCredentials: fails(new ConnectError("abc", Code.Internal)),
      reason: "extractCredentials failed",
      cause: new ConnectError("abc", Code.Internal),
    },
  ])("$name", async ({ extractCredentials, reason, cause }) => {
    const verifyCredentials = vi.fn(() => identity);
    const options = { extractCredentials: extractCredentials as () => string, verifyCredentials };
    const call = authenticate({ authorization: "Bearer abc" }, options);
    const error: unknown = await call.catch((thrown: unknown) => thrown);
    expect(await refusalOf(call)).toEqual({
      code: "Unauthenticated",
      message: "invalid credentials",
      reason,
    });
    if (cause !== undefined) {
      expect(error).toHaveProperty("cause.cause", cause);
    }
    expect(verifyCredentials).not.toHaveBeenCalled();
  });

  test("cannot be found at the moment, as such", async () => {
    const extractCredentials = fails(new ConnectError("store down", Code.Unavailable));
    expect(await refusalOf(authenticate({}, { extractCredentials }))).toEqual({
      code: "Unavailable",
      message: "store down",
      reason: undefined,
    });
  });
});

describe("createAuthInterceptor, where verifyCredentials", () => {
  const bearer = { authorization: "Bearer abc" };
  const verify = (verifyCredentials: AuthInterceptorOptions["verifyCredentials"]) =>
    authenticate(bearer, { verifyCredentials });
  const invalid = { code: "Unauthenticated", message: "invalid credentials" };

  test.each<{ name: string; thrown: unknown }>([
    { name: "an Error", thrown: new Error("abc") },
    { name: "a TypeError", thrown: new TypeError("abc") },
    { name: "text", thrown: "abc" },
    { name: "nothing", thrown: undefined },
  ])("throws $name, refuses the credential", async ({ thrown }) => {
    for (const call of [
      verify(() => {
        throw thrown;
      }),
      verify(() => Promise.reject(thrown)),
    ]) {
      expect(await refusalOf(call)).toEqual({ ...invalid, reason: "verifyCredentials failed" });
    }
  });

  const codes = Object.values(Code).filter((code) => typeof code === "number");
  const kept: unknown[] = [Code.Unauthenticated, Code.PermissionDenied, Code.Unavailable];
  test.each(codes.map((code) => ({ code, name: Code[code], isKept: kept.includes(code) })))(
    "throws a ConnectError of the code $name, keeps it: $isKept",
    async ({ code, isKept }) => {
      const thrown = new ConnectError("as I said", code, { "x-a": "a" });
      const call = verify(() => Promise.reject(thrown));
      expect(await refusalOf(call)).toEqual(
        isKept
          ? { code: Code[code], message: "as I said", reason: undefined }
          : { ...invalid, reason: "verifyCredentials failed" },
      );
    },
  );

  test.each([
    ["nothing", undefined],
    ["null", null],
    ["text", "alice"],
    ["no subject", { ...identity, subject: undefined }],
    ["an empty subject", { ...identity, subject: "" }],
    ["a subject that is a number", { ...identity, subject: 7 }],
    ["no roles", { ...identity, roles: undefined }],
    ["roles that are text", { ...identity, roles: "admin" }],
    ["no scopes", { ...identity, scopes: undefined }],
    ["scopes that are text", { ...identity, scopes: "a b" }],
  ])("returns %s, refuses the credential", async (_, value) => {
    for (const call of [verify(() => noIdentity(value)), verify(async () => noIdentity(value))]) {
      expect(await refusalOf(call)).toEqual({
        ...invalid,
        reason: "the authentication returned something that is no identity",
      });
    }
  });

  test.each<{ name: string; expiresAt: unknown }>([
    { name: "that has passed", expiresAt: new Date(Date.now() - 1) },
    { name: "that is invalid", expiresAt: new Date("soon") },
    { name: "that is null", expiresAt: null },
    { name: "that is text", expiresAt: "2999-01-01" },
    { name: "that is a number", expiresAt: 99_999_999_999_999 },
  ])("returns an expiresAt $name, refuses the credential", async ({ expiresAt }) => {
    expect(await refusalOf(verify(() => noIdentity({ ...identity, expiresAt })))).toEqual({
      ...invalid,
      reason: 'verifyCredentials: "expiresAt" has passed, or is no Date',
    });
  });

  test("returns an identity, returns it", async () => {
    const full = { ...identity, name: "A", roles: ["r"], expiresAt: new Date(Date.now() + 60_000) };
    expect(await verify(() => full)).toBe(full);
  });
});

describe.each<{ name: string; cache: AuthInterceptorOptions["cache"] }>([
  { name: "without a cache", cache: false },
  { name: "with a cache", cache: { ttl: 60_000 } },
])("createAuthInterceptor $name", ({ cache = false }) => {
  test("waits for a look-up that hangs no longer than the call goes on", async () => {
    const ending = new AbortController();
    const verifyCredentials = vi.fn(() => new Promise<AuthContext>(() => {}));
    const auth = createAuthInterceptor({ verifyCredentials, cache });
    const call = { ...incomingCall({ authorization: "Bearer abc" }), signal: ending.signal };
    const refused = refusalOf(auth.authenticate(call));
    await vi.waitFor(() => expect(verifyCredentials).toHaveBeenCalledTimes(1));
    ending.abort();
    expect(await refused).toEqual({
      code: "Unavailable",
      message: "credentials cannot be verified at the moment",
      reason: "the call ended before its credential was judged",
    });
  });
});

describe("createAuthInterceptor remembers", () => {
  /** What JavaScript can pass, whatever the types say. */
  const undefinedCache = JSON.parse("{}", () => ({ cache: undefined }));

  test.each<{ name: string; options: Pick<AuthInterceptorOptions, "cache"> }>([
    { name: "by default", options: {} },
    { name: "where it is told so", options: { cache: false } },
    { name: "where the option is undefined", options: undefinedCache },
  ])("nothing $name", async ({ options }) => {
    const verifyCredentials = vi.fn(() => identity);
    const auth = createAuthInterceptor({ verifyCredentials, ...options });
    const call = incomingCall({ authorization: "Bearer abc" });
    await auth.authenticate(call);
    await auth.authenticate(call);
    expect(verifyCredentials).toHaveBeenCalledTimes(2);
  });

  test("with a cache, but extracts each time", async () => {
    const verifyCredentials = vi.fn((subject: string) => ({ ...identity, subject }));
    const extractCredentials = vi.fn(({ header }) => header.get("x-key"));
    const auth = createAuthInterceptor({
      extractCredentials,
      verifyCredentials,
      cache: { ttl: 60_000 },
    });
    for (const key of ["a", "b", "a", "b"]) {
      expect((await auth.authenticate(incomingCall({ "x-key": key })))?.subject).toBe(key);
    }
    expect(verifyCredentials.mock.calls).toEqual([["a"], ["b"]]);
    expect(extractCredentials).toHaveBeenCalledTimes(4);
  });
});

describe("in a server, createAuthInterceptor", () => {
  function server(options: Partial<AuthInterceptorOptions> = {}) {
    const whoAmI = () => ({ credentials: { subject: getAuthContext()?.subject ?? "nobody" } });
    const factory = inMemory(
      (router) => {
        router.service(MatrixService, {
          publicUnary: whoAmI,
          authenticatedUnary: whoAmI,
          async *authenticatedServer() {
            yield whoAmI();
          },
        });
      },
      {
        interceptors: [
          createAuthInterceptor({
            verifyCredentials(subject) {
              if (subject === "bad") {
                throw new Error("no good");
              }
              return { ...identity, subject };
            },
            ...options,
          }),
        ],
      },
    );
    return createMatrixServiceClient(
      factory,
      { baseUrl: "https://api.test" },
      { credentials: Auth.none() },
    );
  }
  const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });

  test("tells handlers who calls, in unary calls and streams", async () => {
    const client = server();
    const unary = await client.authenticatedUnary({}, bearer("alice"));
    expect(unary.credentials.subject).toBe("alice");
    for await (const { credentials } of client.authenticatedServer({}, bearer("bob"))) {
      expect(credentials.subject).toBe("bob");
    }
    expect.assertions(2);
  });

  test("leaves methods alone that it skips", async () => {
    const client = server({ skipMethods: ["acme.matrix.v1.MatrixService/PublicUnary"] });
    for (const token of ["alice", "bad"]) {
      expect((await client.publicUnary({}, bearer(token))).credentials.subject).toBe("nobody");
    }
    expect((await refusalOf(client.authenticatedUnary({}))).message).toBe("missing credentials");
  });

  test.each<{ name: string; options: Partial<AuthInterceptorOptions>; want: string | null }>([
    { name: "asks for Bearer by default", options: {}, want: "Bearer" },
    {
      name: "asks for nothing where it does not know what it reads",
      options: { extractCredentials: () => undefined },
      want: null,
    },
  ])("$name", async ({ options, want }) => {
    const error = await server(options)
      .authenticatedUnary({})
      .catch((reason: unknown) => reason);
    expect.assert(error instanceof ConnectError);
    expect(error).toMatchObject({ code: Code.Unauthenticated, rawMessage: "missing credentials" });
    expect(error.metadata.get("www-authenticate")).toBe(want);
  });

  test("tells clients nothing of what was thrown", async () => {
    const error = await server()
      .authenticatedUnary({}, bearer("bad"))
      .catch((reason: unknown) => reason);
    expect.assert(error instanceof ConnectError);
    expect(error).toMatchObject({ code: Code.Unauthenticated, rawMessage: "invalid credentials" });
    expect(JSON.stringify([error.message, ...error.metadata, error.details])).not.toMatch(
      /no good|failed/,
    );
  });
});

describe("createAuthInterceptor throws for", () => {
  const verifyCredentials = () => identity;
  test.each<{ name: string; options: unknown; message: string }>([
    {
      name: "no options",
      options: null,
      message: "createAuthInterceptor takes an object of options",
    },
    {
      name: "a misspelt option",
      options: { verifyCredentials, verifyCredential: verifyCredentials },
      message:
        'createAuthInterceptor has no option "verifyCredential"; there are extractCredentials, verifyCredentials, cache, skipMethods, propagateHeaders, propagatedClaims',
    },
    { name: "no verifyCredentials", options: {}, message: "verifyCredentials must be a function" },
    {
      name: "an extractCredentials that is no function",
      options: { verifyCredentials, extractCredentials: "x-api-key" },
      message: "extractCredentials must be a function",
    },
    {
      name: "a cache that is null",
      options: { verifyCredentials, cache: null },
      message: "cache.ttl undefined must be a number of milliseconds above 0",
    },
    {
      name: "propagateHeaders that are no boolean",
      options: { verifyCredentials, propagateHeaders: "false" },
      message: 'propagateHeaders "false" must be true or false',
    },
    {
      name: "propagatedClaims that are no list",
      options: { verifyCredentials, propagatedClaims: "email" },
      message: "propagatedClaims must be a list of claim names",
    },
  ])("$name", ({ options, message }) => {
    const create: (options: never) => unknown = createAuthInterceptor;
    expect(() => create(options as never)).toThrow(new TypeError(message));
  });
});
