import { Code } from "@connectrpc/connect";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Auth } from "../../src/index.js";
import {
  AUTH_HEADERS,
  type AuthContext,
  type AuthInterceptor,
  type CommonAuthOptions,
  createAuthInterceptor,
  createGatewayAuthInterceptor,
  createJwtAuthInterceptor,
  createServerAuth,
  getAuthContext,
  parseAuthHeaders,
  setAuthHeaders,
} from "../../src/server/index.js";
import { inMemory } from "../../src/testing/index.js";
import {
  createMatrixServiceClient,
  MatrixServicePolicies,
} from "../gen/acme/matrix/v1/matrix_auth.js";
import { MatrixService } from "../gen/acme/matrix/v1/matrix_pb.js";
import { refusalOf } from "../support/refusal-of.js";
import { createTestToken, testSecret } from "../support/test-token.js";

const alice: AuthContext = {
  subject: "alice",
  name: "Alice",
  roles: ["admin", "ütf"],
  scopes: ["a", "b:c"],
  claims: { team: "ä", nested: { deep: [1, null] } },
  type: "jwt",
};
const written = {
  "x-auth-subject": "alice",
  "x-auth-name": "Alice",
  "x-auth-type": "jwt",
  "x-auth-roles": '["admin","\\u00fctf"]',
  "x-auth-scopes": "a b:c",
  "x-auth-claims": '{"team":"\\u00e4","nested":{"deep":[1,null]}}',
};

function headersOf(identity: Partial<AuthContext>, claims?: readonly string[]) {
  const headers = new Headers();
  setAuthHeaders(headers, { ...alice, ...identity }, claims);
  return Object.fromEntries(headers);
}

describe("setAuthHeaders", () => {
  test("writes all of an identity", () => {
    expect(headersOf({})).toEqual(written);
  });

  test("writes what there is", () => {
    const headers = new Headers();
    setAuthHeaders(headers, { subject: "s", roles: [], scopes: [], claims: {}, type: "t" });
    expect(Object.fromEntries(headers)).toEqual({ "x-auth-subject": "s", "x-auth-type": "t" });
  });

  test("leaves nothing of the identity that was there, and everything else", () => {
    const headers = new Headers({ ...written, "x-other": "1" });
    setAuthHeaders(headers, { subject: "s", roles: [], scopes: [], claims: {}, type: "t" });
    expect(Object.fromEntries(headers)).toEqual({
      "x-auth-subject": "s",
      "x-auth-type": "t",
      "x-other": "1",
    });
  });

  test.each<{ claims: readonly string[] | undefined; want: string | undefined }>([
    { claims: undefined, want: written["x-auth-claims"] },
    { claims: ["team"], want: '{"team":"\\u00e4"}' },
    { claims: ["team", "missing"], want: '{"team":"\\u00e4"}' },
    { claims: ["missing"], want: undefined },
    { claims: ["constructor", "__proto__", "nested.deep"], want: undefined },
    { claims: [], want: undefined },
  ])("writes of the claims $claims", ({ claims, want }) => {
    expect(headersOf({}, claims)["x-auth-claims"]).toBe(want);
  });

  test.each<{ name: string; identity: Partial<AuthContext>; header: string }>([
    { name: "a name beyond ASCII", identity: { name: "Zoë" }, header: "x-auth-name" },
    { name: "an empty name", identity: { name: "" }, header: "x-auth-name" },
    { name: "a name with a line break", identity: { name: "A\r\nb: c" }, header: "x-auth-name" },
    { name: "a name with a blank at its end", identity: { name: "A " }, header: "x-auth-name" },
    { name: "a long name", identity: { name: "A".repeat(8193) }, header: "x-auth-name" },
    {
      name: "claims above 8 KiB",
      identity: { claims: { a: "a".repeat(8185) } },
      header: "x-auth-claims",
    },
    {
      name: "claims that are above 8 KiB in ASCII",
      identity: { claims: { a: "ä".repeat(2000) } },
      header: "x-auth-claims",
    },
  ])("leaves out $name", ({ identity, header }) => {
    const want = Object.entries(written).filter(([name]) => name !== header);
    expect(headersOf(identity)).toEqual(Object.fromEntries(want));
  });

  test("writes claims of 8 KiB", () => {
    expect(headersOf({ claims: { a: "a".repeat(8184) } })["x-auth-claims"]).toHaveLength(8192);
  });

  const bound = "cannot be carried in a header: it must be visible ASCII, at most 8192 bytes";
  test.each<{ name: string; identity: Partial<AuthContext>; what: string }>([
    { name: "an empty subject", identity: { subject: "" }, what: "subject" },
    { name: "a subject beyond ASCII", identity: { subject: "zoë" }, what: "subject" },
    { name: "a subject with a line break", identity: { subject: "a\nb" }, what: "subject" },
    { name: "a subject with a blank at its end", identity: { subject: "a " }, what: "subject" },
    { name: "a subject with a tab", identity: { subject: "a\tb" }, what: "subject" },
    { name: "a long subject", identity: { subject: "a".repeat(8193) }, what: "subject" },
    { name: "an empty type", identity: { type: "" }, what: "type" },
    { name: "a type beyond ASCII", identity: { type: "ü" }, what: "type" },
    { name: "many roles", identity: { roles: ["a".repeat(8189)] }, what: "roles" },
    { name: "a scope with a blank", identity: { scopes: ["a", "b c"] }, what: "scopes" },
    { name: "an empty scope", identity: { scopes: ["a", ""] }, what: "scopes" },
    { name: "a scope beyond ASCII", identity: { scopes: ["ä"] }, what: "scopes" },
    { name: "many scopes", identity: { scopes: ["a".repeat(8193)] }, what: "scopes" },
  ])("throws for $name, and writes nothing", ({ identity, what }) => {
    const headers = new Headers({ "x-auth-subject": "before" });
    expect(() => setAuthHeaders(headers, { ...alice, ...identity })).toThrow(
      new TypeError(`${what} ${bound}`),
    );
    expect(Object.fromEntries(headers)).toEqual({ "x-auth-subject": "before" });
  });
});

describe("parseAuthHeaders", () => {
  test("reads what setAuthHeaders wrote", () => {
    expect(parseAuthHeaders(new Headers(written))).toEqual(alice);
  });

  test("reads what setAuthHeaders writes of any identity", () => {
    const visible = fc.stringMatching(/^[!-~]([ -~]{0,20}[!-~])?$/);
    const identities = fc.record(
      {
        subject: visible,
        name: visible,
        type: visible,
        roles: fc.array(fc.string({ unit: "binary", maxLength: 10 }), { maxLength: 4 }),
        scopes: fc.array(fc.stringMatching(/^[!-~]{1,20}$/), { maxLength: 4 }),
        claims: fc.dictionary(
          fc.string({ unit: "binary", maxLength: 10 }),
          fc.jsonValue({ maxDepth: 2 }),
          { maxKeys: 4, noNullPrototype: true },
        ),
      },
      { requiredKeys: ["subject", "type", "roles", "scopes", "claims"], noNullPrototype: true },
    );
    fc.assert(
      fc.property(identities, (identity) => {
        const headers = new Headers();
        setAuthHeaders(headers, identity);
        // what JSON does not know: -0
        const claims = JSON.parse(JSON.stringify(identity.claims));
        expect(parseAuthHeaders(headers)).toEqual({ ...identity, claims });
        for (const [, value] of headers) {
          expect(value).toMatch(/^[!-~]([ -~]*[!-~])?$/);
        }
      }),
    );
  });

  test("finds nobody where there is no subject, whatever else there is", () => {
    expect(parseAuthHeaders(new Headers())).toBeUndefined();
    const { "x-auth-subject": _, ...others } = written;
    expect(parseAuthHeaders(new Headers(others))).toBeUndefined();
  });

  test("fills in what is missing", () => {
    expect(parseAuthHeaders(new Headers({ "x-auth-subject": "s" }))).toEqual({
      subject: "s",
      roles: [],
      scopes: [],
      claims: {},
      type: "unknown",
    });
  });

  test("reads no property into claims that is not theirs", () => {
    const claims = '{"__proto__":{"admin":true},"constructor":1}';
    const found = parseAuthHeaders(new Headers({ "x-auth-subject": "s", "x-auth-claims": claims }));
    expect(Object.entries(found?.claims ?? {})).toEqual([
      ["__proto__", { admin: true }],
      ["constructor", 1],
    ]);
    expect(found?.claims.admin).toBeUndefined();
  });

  test.each([
    { header: "x-auth-subject", value: "", reason: "no subject in x-auth-subject" },
    {
      header: "x-auth-subject",
      value: "a".repeat(8193),
      reason: "x-auth-subject has more than 8192 bytes",
    },
    {
      header: "x-auth-name",
      value: "a".repeat(8193),
      reason: "x-auth-name has more than 8192 bytes",
    },
    {
      header: "x-auth-type",
      value: "a".repeat(8193),
      reason: "x-auth-type has more than 8192 bytes",
    },
    {
      header: "x-auth-scopes",
      value: "a".repeat(8193),
      reason: "x-auth-scopes has more than 8192 bytes",
    },
    {
      header: "x-auth-roles",
      value: "a".repeat(8193),
      reason: "x-auth-roles has more than 8192 bytes",
    },
    {
      header: "x-auth-claims",
      value: "a".repeat(8193),
      reason: "x-auth-claims has more than 8192 bytes",
    },
    { header: "x-auth-roles", value: "admin", reason: "x-auth-roles is not JSON" },
    { header: "x-auth-roles", value: "", reason: "x-auth-roles is not JSON" },
    { header: "x-auth-roles", value: "null", reason: "x-auth-roles is not JSON" },
    { header: "x-auth-roles", value: '["a"], ["b"]', reason: "x-auth-roles is not JSON" },
    {
      header: "x-auth-roles",
      value: '{"0":"a"}',
      reason: "x-auth-roles is not a JSON array of strings",
    },
    {
      header: "x-auth-roles",
      value: '[["a"]]',
      reason: "x-auth-roles is not a JSON array of strings",
    },
    { header: "x-auth-claims", value: "{", reason: "x-auth-claims is not JSON" },
    { header: "x-auth-claims", value: "[]", reason: "x-auth-claims is not a JSON object" },
    { header: "x-auth-claims", value: '"a"', reason: "x-auth-claims is not a JSON object" },
  ])("rejects $header: $value", async ({ header, value, reason }) => {
    const parse = async () => parseAuthHeaders(new Headers({ ...written, [header]: value }));
    expect(await refusalOf(parse())).toEqual({
      code: "Unauthenticated",
      message: "invalid credentials",
      reason,
    });
  });
});

/** Accepts each token of `Authorization`, for the subject that it names. */
function tokenAuth(options: CommonAuthOptions = {}, identity: Partial<AuthContext> = {}) {
  return createAuthInterceptor({
    verifyCredentials: (subject) => ({ ...alice, subject, ...identity }),
    ...options,
  });
}

type Seen = Readonly<Record<string, string>>;

/** Runs calls through these interceptors, and notes what handlers see of headers that begin with x. */
function serverWith(...interceptors: AuthInterceptor[]) {
  return matrixServer({ interceptors });
}

function matrixServer({
  interceptors,
  guard = (routes) => routes,
}: Partial<Pick<ReturnType<typeof createServerAuth>, "guard">> & {
  interceptors: ReturnType<typeof createServerAuth>["interceptors"];
}) {
  const seen: Seen[] = [];
  const look = (_: unknown, { requestHeader }: { requestHeader: Headers }) => {
    const headers = [...requestHeader].filter(([name]) => /^x[-_]/.test(name));
    seen.push({ ...Object.fromEntries(headers), caller: getAuthContext()?.subject ?? "nobody" });
    return {};
  };
  const factory = inMemory(
    guard((router) => {
      router.service(MatrixService, {
        publicUnary: look,
        authenticatedUnary: look,
        async *authenticatedServer(request, context) {
          yield look(request, context);
        },
      });
    }),
    { interceptors },
  );
  const client = createMatrixServiceClient(
    factory,
    { baseUrl: "https://api.test" },
    { credentials: Auth.none() },
  );
  return { client, seen };
}

const publicUnary = "acme.matrix.v1.MatrixService/PublicUnary";
const spoofed = {
  ...Object.fromEntries(Object.values(AUTH_HEADERS).map((name) => [name, "mallory"])),
  x_auth_subject: "mallory",
  "X-Auth_Roles": '["admin"]',
  "x_auth-scopes": "root",
  X_AUTH_CLAIMS: "{}",
  "x-authentic": "kept",
};
const asBob = { headers: { ...spoofed, authorization: "Bearer bob" } };

describe("what callers write into x-auth-* headers, in any spelling,", () => {
  const kept = { "x-authentic": "kept" };

  test.each<{ name: string; server: () => ReturnType<typeof matrixServer> }>([
    {
      name: "an interceptor alone",
      server: () => serverWith(tokenAuth({ skipMethods: [publicUnary] })),
    },
    {
      name: "createServerAuth",
      server: () =>
        matrixServer(
          createServerAuth({ policies: [MatrixServicePolicies], authenticate: tokenAuth() }),
        ),
    },
    {
      name: "createServerAuth that looks for callers of public methods",
      server: () =>
        matrixServer(
          createServerAuth({
            policies: [MatrixServicePolicies],
            authenticate: createAuthInterceptor({
              extractCredentials: ({ method, header }) =>
                method.name === "PublicUnary" ? undefined : header.get("authorization")?.slice(7),
              verifyCredentials: (subject) => ({ ...alice, subject }),
            }),
            identifyOnPublic: true,
          }),
        ),
    },
  ])("is gone behind $name", async ({ server }) => {
    const { client, seen } = server();
    await client.authenticatedUnary({}, asBob);
    for await (const _ of client.authenticatedServer({}, asBob)) {
      // one message
    }
    await client.publicUnary({}, asBob);
    expect(seen).toEqual([
      { ...kept, caller: "bob" },
      { ...kept, caller: "bob" },
      { ...kept, caller: "nobody" },
    ]);
  });

  test("is gone also where the identity is written, which stands there alone", async () => {
    const { client, seen } = serverWith(
      tokenAuth({ propagateHeaders: true, skipMethods: [publicUnary] }),
    );
    await client.authenticatedUnary({}, asBob);
    await client.publicUnary({}, asBob);
    expect(seen).toEqual([
      { ...written, ...kept, "x-auth-subject": "bob", caller: "bob" },
      { ...kept, caller: "nobody" },
    ]);
  });
});

describe("propagateHeaders", () => {
  const bearer = { headers: { authorization: "Bearer bob" } };

  test.each<{ name: string; server: (by: AuthInterceptor) => ReturnType<typeof matrixServer> }>([
    { name: "an interceptor alone", server: (by) => serverWith(by) },
    {
      name: "createServerAuth",
      server: (by) =>
        matrixServer(createServerAuth({ policies: [MatrixServicePolicies], authenticate: by })),
    },
  ])("writes the claims that are named, with $name", async ({ server }) => {
    const by = tokenAuth({ propagateHeaders: true, propagatedClaims: ["team"] });
    const { client, seen } = server(by);
    await client.authenticatedUnary({}, bearer);
    expect(seen).toEqual([
      {
        ...written,
        "x-auth-subject": "bob",
        "x-auth-claims": '{"team":"\\u00e4"}',
        caller: "bob",
      },
    ]);
  });

  test("writes nothing by default", async () => {
    const { client, seen } = serverWith(tokenAuth());
    await client.authenticatedUnary({}, bearer);
    expect(seen).toEqual([{ caller: "bob" }]);
  });

  test.each<{ name: string; identity: Partial<AuthContext> }>([
    { name: "an identity that no header carries", identity: { subject: "zoë" } },
    { name: "claims that JSON does not know", identity: { claims: { n: 1n } } },
  ])("refuses $name", async ({ identity }) => {
    const by = tokenAuth({ propagateHeaders: true }, identity);
    for (const { client, seen } of [
      serverWith(by),
      matrixServer(createServerAuth({ policies: [MatrixServicePolicies], authenticate: by })),
    ]) {
      const error = await client.authenticatedUnary({}, bearer).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({
        code: Code.Unauthenticated,
        rawMessage: "invalid credentials",
      });
      expect(seen).toEqual([]);
    }
  });

  test("of one interceptor is not undone by the next one", async () => {
    const gateway = createGatewayAuthInterceptor({
      trustSource: { expectedValues: ["mesh"] },
      propagateHeaders: true,
    });
    const jwt = createJwtAuthInterceptor({ secret: testSecret, skipMethods: [publicUnary] });
    const { client, seen } = serverWith(gateway, jwt);
    const headers = {
      ...spoofed,
      "x-gateway-secret": "mesh",
      "x-auth-subject": "svc",
      "x-auth-roles": '["reader"]',
    };
    await client.publicUnary({}, { headers });
    const token = await createTestToken({ sub: "carol" });
    const both = { ...headers, authorization: `Bearer ${token}` };
    await client.authenticatedUnary({}, { headers: both });
    const asService = {
      "x-auth-subject": "svc",
      "x-auth-type": "gateway",
      "x-auth-roles": '["reader"]',
      "x-authentic": "kept",
    };
    expect(seen).toEqual([
      { ...asService, caller: "svc" },
      { ...asService, caller: "carol" },
    ]);
  });

  test("of the last interceptor is what stands in the headers", async () => {
    const gateway = createGatewayAuthInterceptor({
      trustSource: { expectedValues: ["mesh"] },
      propagateHeaders: true,
    });
    const { client, seen } = serverWith(gateway, tokenAuth({ propagateHeaders: true }));
    const headers = { "x-gateway-secret": "mesh", "x-auth-subject": "svc" };
    await client.authenticatedUnary({}, { headers: { ...headers, ...bearer.headers } });
    expect(seen).toEqual([{ ...written, "x-auth-subject": "bob", caller: "bob" }]);
  });
});
