import { Code, ConnectError } from "@connectrpc/connect";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { publicClient } from "../../src/oauth/index.js";
import {
  createIntrospectionAuthInterceptor,
  type IntrospectionAuthInterceptorOptions,
} from "../../src/server/index.js";
import { badMappings } from "../support/bad-mappings.js";
import { createDpopKeys, signDpopProof } from "../support/dpop-proof.js";
import { type HttpAnswer, startHttpServer, type TestHttpServer } from "../support/http-server.js";
import { incomingCall } from "../support/incoming-call.js";
import { watchSecrets } from "../support/secrets.js";

const issuer = "https://issuer.test/";
const audience = "https://api.test";
const clientId = "orders-api";
const token = "2YotnFZFEjr1zCsicMWpAA";
const nowSeconds = 1_800_000_000;

const secrets = watchSecrets();
const clientSecret = secrets.hide("the secret of the API");
secrets.hide(token);

/** What the endpoint says of a token that is good in every respect. */
const good = {
  active: true,
  sub: "alice",
  client_id: "web",
  username: "alice@acme.test",
  scope: "orders:read  orders:write",
  token_type: "Bearer",
  iss: issuer,
  aud: [audience, "https://other.test"],
  exp: nowSeconds + 60,
  nbf: nowSeconds - 60,
  iat: nowSeconds - 60,
};

/** What differs from it. `undefined` removes a member. */
type Difference = Readonly<Record<string, unknown>>;

let answer: HttpAnswer = {};
let endpoint: TestHttpServer;
beforeAll(async () => {
  endpoint = await startHttpServer(() => answer);
});
beforeEach(() => {
  vi.useFakeTimers({ now: nowSeconds * 1000, toFake: ["Date"] });
  endpoint.requests.length = 0;
});
afterEach(() => {
  vi.useRealTimers();
});
afterAll(() => endpoint.close());

function createInterceptor(options: Partial<IntrospectionAuthInterceptorOptions> = {}) {
  return createIntrospectionAuthInterceptor({
    introspectionEndpoint: `${endpoint.baseUrl}/introspect`,
    issuer,
    clientId,
    clientSecret,
    audience,
    ...options,
  });
}

function authenticate(
  difference: Difference = {},
  options: Partial<IntrospectionAuthInterceptorOptions> = {},
  authorization = `Bearer ${token}`,
) {
  answer = { body: { ...good, ...difference } };
  return createInterceptor(options).authenticate(incomingCall({ authorization }));
}

async function refusal(call: Promise<unknown>): Promise<ConnectError> {
  const error = await secrets.failure(call);
  expect.assert(error instanceof ConnectError);
  return error;
}

describe("createIntrospectionAuthInterceptor accepts", () => {
  test("an active token, and reads the identity from the answer", async () => {
    const identity = await authenticate({ name: "Alice", roles: ["admin"], extra: { x: 1 } });
    expect(identity).toEqual({
      subject: "alice",
      name: "Alice",
      roles: ["admin"],
      scopes: ["orders:read", "orders:write"],
      claims: { ...good, name: "Alice", roles: ["admin"], extra: { x: 1 } },
      type: "introspection",
      expiresAt: new Date(good.exp * 1000),
    });
    expect(Object.isFrozen(identity?.claims)).toBe(true);
    expect(Object.isFrozen(identity?.claims.extra)).toBe(true);
  });

  test.each<{
    name: string;
    difference: Difference;
    options?: Partial<IntrospectionAuthInterceptorOptions>;
  }>([
    { name: "a token without an end", difference: { exp: undefined } },
    { name: "an exp within the tolerance", difference: { exp: nowSeconds - 4 } },
    {
      name: "an exp within a wide tolerance",
      difference: { exp: nowSeconds - 50 },
      options: { clockToleranceSeconds: 51 },
    },
    { name: "no nbf and no iat", difference: { nbf: undefined, iat: undefined } },
    { name: "an nbf within the tolerance", difference: { nbf: nowSeconds + 4 } },
    { name: "an iat within the tolerance", difference: { iat: nowSeconds + 4 } },
    { name: "no issuer in the answer", difference: { iss: undefined } },
    { name: "one audience", difference: { aud: audience } },
    { name: "one of our names", difference: {}, options: { audience: ["https://x", audience] } },
    {
      name: "any audience where that is asked for",
      difference: { aud: "https://other.test" },
      options: { audience: false },
    },
    {
      name: "no audience where that is asked for",
      difference: { aud: undefined },
      options: { audience: false },
    },
    { name: "no type of token", difference: { token_type: undefined } },
    { name: "a type in another case", difference: { token_type: "BEARER" } },
    { name: "the type access_token", difference: { token_type: "access_token" } },
    {
      name: "members of other servers that say what kind of token it is",
      difference: { typ: "Bearer", token_use: "access_token" },
    },
  ])("$name", async ({ difference, options }) => {
    expect(await authenticate(difference, options)).toMatchObject({ subject: "alice" });
  });

  test("its clientId as audience, where no other is given", async () => {
    const options = { introspectionEndpoint: `${endpoint.baseUrl}/introspect` };
    answer = { body: { ...good, aud: clientId } };
    const interceptor = createIntrospectionAuthInterceptor({ ...options, clientId, clientSecret });
    const authorization = `Bearer ${token}`;
    expect(await interceptor.authenticate(incomingCall({ authorization }))).toMatchObject({
      subject: "alice",
    });
  });

  test("an answer of any issuer, where none is given", async () => {
    answer = { body: { ...good, iss: "https://another.test" } };
    const interceptor = createIntrospectionAuthInterceptor({
      introspectionEndpoint: `${endpoint.baseUrl}/introspect`,
      clientId,
      clientSecret,
      audience,
    });
    const call = incomingCall({ authorization: `Bearer ${token}` });
    expect(await interceptor.authenticate(call)).toMatchObject({ subject: "alice" });
  });

  test("a client that acts for nobody, and tells it from a user", async () => {
    expect(await authenticate({ sub: undefined, username: undefined })).toMatchObject({
      subject: "web",
      type: "introspection-client",
    });
  });

  test("members elsewhere, by their paths", async () => {
    const identity = await authenticate(
      { realm_access: { roles: ["r"] }, "https://acme.dev/scopes": ["s"], sub: undefined },
      {
        claimsMapping: {
          subject: "username",
          name: "username",
          roles: "realm_access.roles",
          scopes: "https://acme.dev/scopes",
        },
      },
    );
    expect(identity).toMatchObject({
      subject: "alice@acme.test",
      name: "alice@acme.test",
      roles: ["r"],
      scopes: ["s"],
      type: "introspection",
    });
  });

  test.each(["mF_9.B5f-4.1JqM", "a~b+c/d==", "e30.e30.e30", "-"])(
    "the token %s, and sends it as it is",
    async (given) => {
      expect(await authenticate({}, {}, `Bearer ${given}`)).toMatchObject({ subject: "alice" });
      const [{ body } = { body: "" }] = endpoint.requests;
      expect(new URLSearchParams(body).get("token")).toBe(given);
    },
  );
});

describe("createIntrospectionAuthInterceptor finds no credential", () => {
  test.each(["Basic YTpi", `DPoP ${token}`, `Bearerx ${token}`])("in %s", async (authorization) => {
    expect(await authenticate({}, {}, authorization)).toBeUndefined();
    expect(endpoint.requests).toEqual([]);
  });

  test("where there is no Authorization header, and none is read from the URL", async () => {
    const call = incomingCall({});
    const url = `${call.url}?access_token=${token}`;
    expect(await createInterceptor().authenticate({ ...call, url })).toBeUndefined();
    expect(endpoint.requests).toEqual([]);
  });
});

describe("createIntrospectionAuthInterceptor rejects", () => {
  async function reasonFor(call: Promise<unknown>): Promise<string> {
    const error = await refusal(call);
    // the client learns no more, whatever was wrong
    expect(error).toMatchObject({ code: Code.Unauthenticated, rawMessage: "invalid token" });
    expect(error.metadata.get("www-authenticate")).toBe('Bearer error="invalid_token"');
    expect.assert(error.cause instanceof Error);
    return error.cause.message;
  }

  test.each<{ name: string; difference: Difference; reason: string }>([
    ...[false, "true", 1, null, undefined, [true], {}].map((active) => ({
      name: `active ${JSON.stringify(active)}`,
      difference: { active },
      reason: "not active",
    })),
    {
      name: "active in a prototype",
      difference: { active: undefined, ["__proto__"]: { active: true } },
      reason: "not active",
    },
    {
      name: "a past exp",
      difference: { exp: nowSeconds - 5 },
      reason: '"exp" is in the past',
    },
    {
      name: "an exp that is text",
      difference: { exp: `${nowSeconds + 60}` },
      reason: '"exp" is not a time',
    },
    { name: "an exp that is null", difference: { exp: null }, reason: '"exp" is not a time' },
    { name: "an exp of 0", difference: { exp: 0 }, reason: '"exp" is in the past' },
    {
      name: "an exp that no date can hold",
      difference: { exp: 8.64e12 + 1 },
      reason: '"exp" is not a time',
    },
    {
      name: "an nbf in the future",
      difference: { nbf: nowSeconds + 6 },
      reason: '"nbf" is in the future',
    },
    { name: "an nbf that is text", difference: { nbf: "0" }, reason: '"nbf" is not a time' },
    {
      name: "an iat in the future",
      difference: { iat: nowSeconds + 6 },
      reason: '"iat" is in the future',
    },
    { name: "an iat that is a list", difference: { iat: [0] }, reason: '"iat" is not a time' },
    {
      name: "another issuer",
      difference: { iss: "https://issuer.test" },
      reason: '"iss" is another issuer',
    },
    {
      name: "a list of issuers",
      difference: { iss: [issuer] },
      reason: '"iss" is another issuer',
    },
    {
      name: "another audience",
      difference: { aud: `${audience}.evil` },
      reason: '"aud" is not this server; audience says which names it has',
    },
    {
      name: "an audience within a text",
      difference: { aud: `https://other.test ${audience}` },
      reason: '"aud" is not this server; audience says which names it has',
    },
    {
      name: "no audience in a list",
      difference: { aud: [] },
      reason: '"aud" is not this server; audience says which names it has',
    },
    {
      name: "an audience in a list of lists",
      difference: { aud: [[audience]] },
      reason: '"aud" is not this server; audience says which names it has',
    },
    {
      name: "its clientId as audience where another one is given",
      difference: { aud: clientId },
      reason: '"aud" is not this server; audience says which names it has',
    },
    {
      name: "no audience",
      difference: { aud: undefined },
      reason: '"aud" is missing; audience: false accepts that',
    },
    ...["refresh_token", "Refresh", "id_token", "mac", "N_A", "", null, 7, ["Bearer"]].map(
      (token_type) => ({
        name: `a token_type ${JSON.stringify(token_type)}`,
        difference: { token_type },
        reason: '"token_type" is no type of access token',
      }),
    ),
    {
      name: "a token_type DPoP without a key",
      difference: { token_type: "DPoP" },
      reason: '"token_type" is DPoP, and no key in "cnf"',
    },
    ...["refresh_token", "id_token", 7].map((token_use) => ({
      name: `a token_use ${JSON.stringify(token_use)}`,
      difference: { token_use },
      reason: '"token_use" is another kind of token',
    })),
    ...["Refresh", "Offline", "ID", "Logout", "logout+jwt", null].map((typ) => ({
      name: `a typ ${JSON.stringify(typ)}`,
      difference: { typ },
      reason: '"typ" is another kind of token',
    })),
    {
      name: "a token bound to a DPoP key",
      difference: { cnf: { jkt: "x" } },
      reason: 'bound to a key ("cnf"), so not a bearer token',
    },
    {
      name: "a token of type DPoP bound to a key",
      difference: { token_type: "DPoP", cnf: { jkt: "x" } },
      reason: 'bound to a key ("cnf"), so not a bearer token',
    },
    {
      name: "a token bound to a certificate",
      difference: { cnf: { "x5t#S256": "x" } },
      reason: 'bound to a key ("cnf"), so not a bearer token',
    },
    {
      name: "a token bound in an unknown way",
      difference: { cnf: null },
      reason: 'bound to a key ("cnf"), so not a bearer token',
    },
    { name: "an empty subject", difference: { sub: "" }, reason: 'no subject in "sub"' },
    { name: "a subject that is a number", difference: { sub: 7 }, reason: 'no subject in "sub"' },
    { name: "a subject that is null", difference: { sub: null }, reason: 'no subject in "sub"' },
    {
      name: "a user without subject: the client's id would stand for all of its users",
      difference: { sub: undefined },
      reason: 'no subject in "sub"',
    },
    {
      name: "neither a subject nor a client",
      difference: { sub: undefined, username: undefined, client_id: undefined },
      reason: 'no subject in "client_id"',
    },
  ])("$name", async ({ difference, reason }) => {
    expect(await reasonFor(authenticate(difference))).toBe(`token: ${reason}`);
  });

  test("no clientId as audience, where no other is given", async () => {
    answer = { body: good };
    const interceptor = createIntrospectionAuthInterceptor({
      introspectionEndpoint: `${endpoint.baseUrl}/introspect`,
      clientId,
      clientSecret,
    });
    const call = incomingCall({ authorization: `Bearer ${token}` });
    expect(await reasonFor(interceptor.authenticate(call))).toBe(
      'token: "aud" is not this server; audience says which names it has',
    );
  });

  test("no client_id for a subject that is elsewhere", async () => {
    const options = { claimsMapping: { subject: "user_id" } };
    expect(await reasonFor(authenticate({ sub: undefined, username: undefined }, options))).toBe(
      'token: no subject in "user_id"',
    );
  });

  test("an exp beyond all numbers", async () => {
    answer = { body: JSON.stringify(good).replace(`${good.exp}`, "1e400") };
    const call = incomingCall({ authorization: `Bearer ${token}` });
    expect(await reasonFor(createInterceptor().authenticate(call))).toBe(
      'token: "exp" is not a time',
    );
  });

  test.each([
    { name: "no token", authorization: "Bearer", reason: "without exactly one token" },
    { name: "an empty token", authorization: "Bearer ", reason: "without exactly one token" },
    {
      name: "two tokens",
      authorization: `Bearer ${token}, Bearer ${token}`,
      reason: "without exactly one token",
    },
    {
      name: "a tab for a space",
      authorization: `Bearer\t${token}`,
      reason: "without exactly one token",
    },
    {
      name: "a token above 8 KiB",
      authorization: `Bearer ${"a".repeat(8193)}`,
      reason: "the token has more than 8192 bytes",
    },
    ...["<script>", "a&token=b", "a%00b", "'or'1'='1", "=", "a=b", "a|b", "{}"].map((given) => ({
      name: `the token ${given}`,
      authorization: `Bearer ${given}`,
      reason: "token: characters that no access token has",
    })),
  ])("$name, and asks nobody", async ({ authorization, reason }) => {
    expect(await reasonFor(authenticate({}, {}, authorization))).toContain(reason);
    expect(endpoint.requests).toEqual([]);
  });

  test("as unusable what is nested too deep to be frozen", async () => {
    answer = { body: `{"active":true,"aud":"${audience}","sub":"a","x":${"[".repeat(100_000)}` };
    answer = { body: `${answer.body}${"]".repeat(100_000)}}` };
    const call = incomingCall({ authorization: `Bearer ${token}` });
    expect(await refusal(createInterceptor().authenticate(call))).toMatchObject({
      code: Code.Unavailable,
      rawMessage: "credentials cannot be verified at the moment",
      cause: new Error("introspection: unusable answer"),
    });
  });
});

describe("the dpop option", () => {
  const algs = 'algs="ES256 Ed25519 EdDSA"';
  const dpopError = `DPoP error="invalid_token", ${algs}`;
  const bearerError = `Bearer error="invalid_token", DPoP ${algs}`;

  async function present(
    scheme: "Bearer" | "DPoP",
    difference: Difference,
    { htm = "POST", required = false, ath = token } = {},
  ) {
    const keys = await dpopKeys;
    const call = incomingCall({});
    const proof = await signDpopProof(keys, { claims: { htm, htu: call.url } }, ath);
    const header = new Headers({ authorization: `${scheme} ${token}`, dpop: proof });
    answer = { body: { ...good, ...difference } };
    const dpop = { publicOrigins: ["https://api.test"], required };
    return createInterceptor({ dpop }).authenticate({ ...call, header });
  }
  const dpopKeys = createDpopKeys();
  const bound = async () => ({ token_type: "DPoP", cnf: { jkt: (await dpopKeys).jkt } });

  test("takes bound tokens as DPoP, and others as Bearer", async () => {
    expect(await present("DPoP", await bound())).toMatchObject({
      subject: "alice",
      type: "introspection",
    });
    expect(await present("Bearer", {})).toMatchObject({ subject: "alice" });
  });

  test.each<{
    name: string;
    scheme?: "Bearer" | "DPoP";
    difference?: Difference;
    required?: boolean;
    reason: string;
    challenge?: string;
  }>([
    {
      name: "a bound token as Bearer",
      scheme: "Bearer",
      reason: 'bound to a key ("cnf"), so not a bearer token',
      challenge: bearerError,
    },
    {
      name: "an unbound token as Bearer where DPoP is required",
      scheme: "Bearer",
      difference: { token_type: "Bearer", cnf: undefined },
      required: true,
      reason: "Bearer, where only DPoP is accepted",
    },
    {
      name: "an unbound token as DPoP",
      difference: { token_type: "Bearer", cnf: undefined },
      reason: "bound to no key, so not for DPoP",
    },
    {
      name: "a token bound to a certificate",
      difference: { cnf: { "x5t#S256": "x" } },
      reason: 'bound in another way than by "jkt"',
    },
    {
      name: "a thumbprint that is no text",
      difference: { cnf: { jkt: 7 } },
      reason: 'bound in another way than by "jkt"',
    },
    {
      name: "a token bound to another key",
      difference: { cnf: { jkt: "another" } },
      reason: "bound to another key than that of the proof",
    },
    {
      name: "an inactive token",
      difference: { active: false },
      reason: "not active",
    },
  ])("refuses $name", async ({ scheme = "DPoP", difference, required, reason, challenge }) => {
    const call = present(scheme, { ...(await bound()), ...difference }, { required: !!required });
    const error = await refusal(call);
    expect(error).toMatchObject({
      code: Code.Unauthenticated,
      rawMessage: "invalid token",
      cause: new Error(`token: ${reason}`),
    });
    expect(error.metadata.get("www-authenticate")).toBe(challenge ?? dpopError);
  });

  test.each([
    { name: "for another method", proof: { htm: "GET" }, reason: 'proof: "htm" is not POST' },
    {
      name: "for another token",
      proof: { ath: "another" },
      reason: 'proof: "ath" is not the hash of the token',
    },
  ])("refuses a proof $name", async ({ proof, reason }) => {
    expect(await refusal(present("DPoP", await bound(), proof))).toMatchObject({
      code: Code.Unauthenticated,
      rawMessage: "invalid DPoP proof",
      cause: new Error(reason),
    });
  });

  test("lets a proof pass once, also with a token that is remembered", async () => {
    const keys = await dpopKeys;
    const call = incomingCall({});
    answer = { body: { ...good, ...(await bound()) } };
    const interceptor = createInterceptor({ dpop: { publicOrigins: ["https://api.test"] } });
    const proof = () => signDpopProof(keys, { claims: { htm: "POST", htu: call.url } }, token);
    const used = await proof();
    const callWith = (dpop: string) =>
      interceptor.authenticate({
        ...call,
        header: new Headers({ authorization: `DPoP ${token}`, dpop }),
      });
    expect(await callWith(used)).toMatchObject({ subject: "alice" });
    expect(await refusal(callWith(used))).toMatchObject({
      code: Code.Unauthenticated,
      cause: new Error('proof: "jti" was used before'),
    });
    expect(await callWith(await proof())).toMatchObject({ subject: "alice" });
    expect(endpoint.requests).toHaveLength(1);
  });

  test("decides what a call without a credential is asked for", () => {
    const dpop = { publicOrigins: ["https://api.test"] };
    expect(createInterceptor().challenge).toBe("Bearer");
    expect(createInterceptor({ dpop }).challenge).toBe(`Bearer, DPoP ${algs}`);
    expect(createInterceptor({ dpop: { ...dpop, required: true } }).challenge).toBe(`DPoP ${algs}`);
  });
});

describe("the options of createIntrospectionAuthInterceptor", () => {
  const introspectionEndpoint = "https://issuer.test/introspect";
  const usual = { introspectionEndpoint, clientId, clientSecret };
  /** What JavaScript can pass, whatever the types say. */
  const untyped = (options: object): IntrospectionAuthInterceptorOptions =>
    Object.assign({ ...usual }, options);
  const without = (name: keyof typeof usual): IntrospectionAuthInterceptorOptions => {
    const { [name]: _, ...others } = usual;
    return Object.assign(others);
  };

  test.each<{ name: string; options: IntrospectionAuthInterceptorOptions; message: string }>([
    {
      name: "neither issuer nor endpoint",
      options: without("introspectionEndpoint"),
      message: "introspectionEndpoint or issuer must be given",
    },
    {
      name: "an endpoint that is undefined",
      options: untyped({ introspectionEndpoint: undefined, issuer }),
      message: 'introspectionEndpoint "undefined" must be an https URL',
    },
    {
      name: "an endpoint over plain http",
      options: { ...usual, introspectionEndpoint: "http://issuer.test/introspect" },
      message: 'introspectionEndpoint "http://issuer.test/introspect" must be an https URL',
    },
    {
      name: "a password in the endpoint",
      options: { ...usual, introspectionEndpoint: "https://user:hunter2@issuer.test/" },
      message: "introspectionEndpoint must have no user name and no password",
    },
    {
      name: "an issuer that is no URL",
      options: { ...usual, issuer: "issuer.test" },
      message: 'issuer "issuer.test" must be an https URL',
    },
    {
      name: "an issuer that is undefined",
      options: untyped({ issuer: undefined }),
      message: 'issuer "undefined" must be an https URL',
    },
    {
      name: "an issuer with a query, which has no metadata",
      options: { clientId, clientSecret, issuer: "https://issuer.test/?x" },
      message: "issuer must have no query and no fragment (RFC 8414 §2)",
    },
    {
      name: "no clientId",
      options: without("clientId"),
      message: "clientId must be a string that is not empty",
    },
    {
      name: "no secret",
      options: without("clientSecret"),
      message:
        "clientSecret is missing; pass clientAuthentication: publicClient() for a client without one",
    },
    {
      name: "a secret that is undefined",
      options: untyped({ clientSecret: undefined }),
      message:
        "clientSecret is missing; pass clientAuthentication: publicClient() for a client without one",
    },
    {
      name: "an empty secret",
      options: { ...usual, clientSecret: "" },
      message: "clientSecret must be a string that is not empty",
    },
    {
      name: "a secret and another way to authenticate",
      options: { ...usual, clientAuthentication: publicClient() },
      message: "clientSecret and clientAuthentication exclude each other",
    },
    {
      name: "a secret as clientAuthentication",
      options: untyped({ clientSecret: undefined, clientAuthentication: "hunter2" }),
      message: "clientAuthentication must be what privateKeyJwt() and the like return",
    },
    ...[undefined, "", [], [""], [audience, undefined], null, true, 7].map((value) => ({
      name: `the audience ${JSON.stringify(value)}`,
      options: untyped({ audience: value }),
      message: `audience ${JSON.stringify(value)} must be one or more names, or false for no check`,
    })),
    {
      name: "a negative tolerance",
      options: { ...usual, clockToleranceSeconds: -1 },
      message: "clockToleranceSeconds -1 must be a number of seconds",
    },
    ...[0, -1, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 31, "5s"].map((timeoutMs) => ({
      name: `the time limit ${timeoutMs}`,
      options: untyped({ timeoutMs }),
      message: `timeoutMs ${timeoutMs} must be a number of milliseconds above 0, 2147483647 at most`,
    })),
    ...[0, 1.5, Number.POSITIVE_INFINITY, "64"].map((maxConcurrentRequests) => ({
      name: `the limit ${maxConcurrentRequests}`,
      options: untyped({ maxConcurrentRequests }),
      message: `maxConcurrentRequests ${maxConcurrentRequests} must be a whole number above 0`,
    })),
    {
      name: "a fetch that is no function",
      options: untyped({ fetch: {} }),
      message: "fetch must be a function",
    },
    {
      name: "a dpop that is undefined: it would switch the checks off",
      options: untyped({ dpop: undefined }),
      message: "dpop takes an object of options",
    },
    ...badMappings("claimsMapping").map(({ claimsMapping, message }) => ({
      name: `the mapping ${JSON.stringify(claimsMapping)}`,
      options: untyped({ claimsMapping }),
      message,
    })),
    {
      name: "a cache without ttl",
      options: untyped({ cache: {} }),
      message: "cache.ttl undefined must be a number of milliseconds above 0",
    },
    {
      name: "a cache that is null",
      options: untyped({ cache: null }),
      message: "cache.ttl undefined must be a number of milliseconds above 0",
    },
    {
      name: "a misspelt option",
      options: untyped({ audiance: audience }),
      message:
        'createIntrospectionAuthInterceptor has no option "audiance"; there are introspectionEndpoint, issuer, clientId, clientSecret, clientAuthentication, audience, claimsMapping, clockToleranceSeconds, dpop, cache, timeoutMs, maxConcurrentRequests, fetch, skipMethods, propagateHeaders, propagatedClaims',
    },
    {
      name: "no options",
      options: JSON.parse("null"),
      message: "createIntrospectionAuthInterceptor takes an object of options",
    },
    {
      name: "a malformed pattern",
      options: { ...usual, skipMethods: ["/a.B/C"] },
      message:
        'method pattern "/a.B/C" must be "package.Service/Method", "package.Service/*" or "*"',
    },
  ])("reject $name", ({ options, message }) => {
    expect(() => createIntrospectionAuthInterceptor(options)).toThrow(new TypeError(message));
  });

  test("reject assertions without an issuer that they are for", () => {
    const clientAuthentication = { method: "private_key_jwt", authenticate: () => {} };
    expect(() =>
      createIntrospectionAuthInterceptor({ introspectionEndpoint, clientId, clientAuthentication }),
    ).toThrow(new TypeError("issuer is missing: an assertion of privateKeyJwt() is for it"));
  });
});
