import { createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { Code, ConnectError } from "@connectrpc/connect";
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from "jose";
import { describe, expect, test } from "vitest";
import {
  createJwtAuthInterceptor,
  type JwtAuthInterceptorOptions,
} from "../../src/server/index.js";
import { badMappings } from "../support/bad-mappings.js";
import { incomingCall } from "../support/incoming-call.js";

const secret = "a secret of at least thirty-two bytes!";
const hmacKey = new TextEncoder().encode(secret);
const issuer = "https://issuer.test/";
const audience = "https://api.test";
const nowSeconds = Math.floor(Date.now() / 1000);
const claims = { iss: issuer, aud: audience, sub: "alice", exp: nowSeconds + 60, iat: nowSeconds };

const { privateKey, publicKey } = await generateKeyPair("ES256", { extractable: true });

interface Token {
  readonly header?: Record<string, unknown>;
  readonly claims?: Record<string, unknown>;
}

/** Signs with the private key. `undefined` removes a claim. */
function sign(token: Token = {}): Promise<string> {
  const payload: JWTPayload = JSON.parse(JSON.stringify({ ...claims, ...token.claims }));
  return new SignJWT(payload)
    .setProtectedHeader({ alg: "ES256", ...token.header })
    .sign(privateKey);
}

function authenticate(
  authorization: string,
  options: JwtAuthInterceptorOptions = { publicKey, issuer, audience },
) {
  return createJwtAuthInterceptor(options).authenticate(incomingCall({ authorization }));
}

/** A token that was not made by a library. */
function rawToken(header: unknown, payload: unknown, signature = "AAAA"): string {
  const segment = (part: unknown) =>
    Buffer.from(typeof part === "string" ? part : JSON.stringify(part)).toString("base64url");
  return `${segment(header)}.${segment(payload)}.${signature}`;
}

describe("createJwtAuthInterceptor accepts", () => {
  test("a token, and reads the identity from its claims", async () => {
    const token = await sign({
      claims: { name: "Alice", roles: ["admin", "user"], scope: "a b  c", extra: { x: 1 } },
    });
    expect(await authenticate(`Bearer ${token}`)).toEqual({
      subject: "alice",
      name: "Alice",
      roles: ["admin", "user"],
      scopes: ["a", "b", "c"],
      claims: {
        ...claims,
        name: "Alice",
        roles: ["admin", "user"],
        scope: "a b  c",
        extra: { x: 1 },
      },
      type: "jwt",
      expiresAt: new Date(claims.exp * 1000),
    });
  });

  test.each<{ name: string; token: Token; options?: Partial<JwtAuthInterceptorOptions> }>([
    { name: "the type JWT", token: { header: { typ: "JWT" } } },
    { name: "the type of RFC 9068", token: { header: { typ: "application/at+jwt" } } },
    { name: "a list of audiences with ours", token: { claims: { aud: ["x", audience] } } },
    { name: "one of two issuers", token: {}, options: { issuer: ["x", issuer] } },
    { name: "an exp within the tolerance", token: { claims: { exp: nowSeconds - 2 } } },
    { name: "an iat within the tolerance", token: { claims: { iat: nowSeconds + 3 } } },
    { name: "no iat", token: { claims: { iat: undefined } } },
    {
      name: "a tolerance that is left to the default",
      token: {},
      options: JSON.parse("{}", (_, value) => ({ ...value, clockToleranceSeconds: undefined })),
    },
    { name: "a young token", token: {}, options: { maxTokenAge: "1h" } },
    {
      name: "an old token with a wide tolerance",
      token: { claims: { exp: nowSeconds - 50 } },
      options: { clockToleranceSeconds: 100 },
    },
  ])("$name", async ({ token, options }) => {
    const context = await authenticate(`Bearer ${await sign(token)}`, {
      publicKey,
      issuer,
      audience,
      ...options,
    });
    expect(context?.subject).toBe("alice");
  });

  test.each(["bearer", "BEARER", "Bearer "])("the scheme %j", async (scheme) => {
    expect((await authenticate(`${scheme} ${await sign()}`))?.subject).toBe("alice");
  });

  test("a token signed with a secret", async () => {
    const token = await new SignJWT(claims).setProtectedHeader({ alg: "HS256" }).sign(hmacKey);
    expect((await authenticate(`Bearer ${token}`, { secret }))?.subject).toBe("alice");
  });

  test.each<{ alg: string; make: () => { publicKey: KeyObject; privateKey: KeyObject } }>([
    { alg: "RS256", make: () => generateKeyPairSync("rsa", { modulusLength: 2048 }) },
    { alg: "PS512", make: () => generateKeyPairSync("rsa", { modulusLength: 2048 }) },
    { alg: "ES384", make: () => generateKeyPairSync("ec", { namedCurve: "secp384r1" }) },
    { alg: "EdDSA", make: () => generateKeyPairSync("ed25519") },
    { alg: "Ed25519", make: () => generateKeyPairSync("ed25519") },
  ])("$alg with a KeyObject", async ({ alg, make }) => {
    const keys = make();
    const token = await new SignJWT(claims).setProtectedHeader({ alg }).sign(keys.privateKey);
    const context = await authenticate(`Bearer ${token}`, { publicKey: keys.publicKey });
    expect(context?.subject).toBe("alice");
  });

  test("claims elsewhere, by their paths", async () => {
    const token = await sign({
      claims: {
        sub: undefined,
        user: { id: "u-1", names: { full: "Al" } },
        realm_access: { roles: ["r"] },
        "https://acme.dev/scopes": ["s1", "s2"],
      },
    });
    const context = await authenticate(`Bearer ${token}`, {
      publicKey,
      claimsMapping: {
        subject: "user.id",
        name: "user.names.full",
        roles: "realm_access.roles",
        scopes: "https://acme.dev/scopes",
      },
    });
    expect(context).toMatchObject({
      subject: "u-1",
      name: "Al",
      roles: ["r"],
      scopes: ["s1", "s2"],
    });
  });

  test.each([
    { name: "a string", roles: "admin" },
    { name: "a list with a number", roles: ["admin", 1] },
    { name: "an object", roles: { 0: "admin", length: 1 } },
    { name: "nothing", roles: null },
  ])("a token whose roles are $name, as one without roles", async ({ roles }) => {
    expect((await authenticate(`Bearer ${await sign({ claims: { roles } })}`))?.roles).toEqual([]);
  });

  test("own properties only as claims", async () => {
    const context = await authenticate(`Bearer ${await sign({ claims: { a: {} } })}`, {
      publicKey,
      claimsMapping: { name: "a.constructor.name", roles: "__proto__.roles", scopes: "toString" },
    });
    expect(context).toMatchObject({ subject: "alice", roles: [], scopes: [] });
    expect(context).not.toHaveProperty("name");
  });
});

describe("createJwtAuthInterceptor finds no credential", () => {
  test.each(["Basic YTpi", "DPoP a.b.c", "Bearerx a.b.c"])("in %j", async (authorization) => {
    expect(await authenticate(authorization)).toBeUndefined();
  });

  test("where there is no Authorization header, and none is read from the URL", async () => {
    const call = incomingCall({});
    const interceptor = createJwtAuthInterceptor({ publicKey });
    const url = `${call.url}?access_token=${await sign()}`;
    expect(await interceptor.authenticate({ ...call, url })).toBeUndefined();
  });
});

describe("createJwtAuthInterceptor rejects", () => {
  async function refusal(
    authorization: string,
    options?: JwtAuthInterceptorOptions,
  ): Promise<string> {
    const error = await authenticate(authorization, options).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect.assert(error instanceof ConnectError);
    // the client learns no more, whatever was wrong
    expect(error).toMatchObject({ code: Code.Unauthenticated, rawMessage: "invalid token" });
    expect(error.metadata.get("www-authenticate")).toBe('Bearer error="invalid_token"');
    expect.assert(error.cause instanceof Error);
    return error.cause.message;
  }

  test.each<{ name: string; token: Token; reason: string }>([
    {
      name: "no exp",
      token: { claims: { exp: undefined } },
      reason: 'missing required "exp" claim',
    },
    {
      name: "a past exp",
      token: { claims: { exp: nowSeconds - 60 } },
      reason: '"exp" claim timestamp check failed',
    },
    {
      name: "an exp that is text",
      token: { claims: { exp: String(nowSeconds + 60) } },
      reason: '"exp" claim must be a number',
    },
    {
      name: "an nbf in the future",
      token: { claims: { nbf: nowSeconds + 60 } },
      reason: '"nbf" claim timestamp check failed',
    },
    {
      name: "an iat in the future",
      token: { claims: { iat: nowSeconds + 60 } },
      reason: '"iat" is in the future',
    },
    { name: "an iat that is text", token: { claims: { iat: "now" } }, reason: '"iat" ' },
    {
      name: "another issuer",
      token: { claims: { iss: "https://issuer.test" } },
      reason: 'unexpected "iss" claim value',
    },
    {
      name: "a list of issuers",
      token: { claims: { iss: [issuer] } },
      reason: 'unexpected "iss" claim value',
    },
    {
      name: "no issuer",
      token: { claims: { iss: undefined } },
      reason: 'missing required "iss" claim',
    },
    {
      name: "another audience",
      token: { claims: { aud: `${audience}.evil` } },
      reason: 'unexpected "aud" claim value',
    },
    {
      name: "an empty audience",
      token: { claims: { aud: [] } },
      reason: 'unexpected "aud" claim value',
    },
    {
      name: "no audience",
      token: { claims: { aud: undefined } },
      reason: 'missing required "aud" claim',
    },
    { name: "no subject", token: { claims: { sub: undefined } }, reason: 'no subject in "sub"' },
    { name: "an empty subject", token: { claims: { sub: "" } }, reason: 'no subject in "sub"' },
    {
      name: "a subject that is a number",
      token: { claims: { sub: 7 } },
      reason: 'no subject in "sub"',
    },
    {
      name: "a proof",
      token: { header: { typ: "dpop+jwt" } },
      reason: 'typ "dpop+jwt" is another kind of token',
    },
    {
      name: "a logout token",
      token: { header: { typ: "logout+jwt" } },
      reason: 'typ "logout+jwt" is another kind of token',
    },
    {
      name: "a token bound to a DPoP key",
      token: { claims: { cnf: { jkt: "x" } } },
      reason: 'bound to a key ("cnf"), so not a bearer token',
    },
    {
      name: "a token bound in an unknown way",
      token: { claims: { cnf: "x" } },
      reason: 'bound to a key ("cnf"), so not a bearer token',
    },
  ])("$name", async ({ token, reason }) => {
    expect(await refusal(`Bearer ${await sign(token)}`)).toContain(`token: ${reason}`);
  });

  test.each([
    {
      name: "no token",
      authorization: "Bearer",
      reason: "Authorization: Bearer without exactly one token",
    },
    {
      name: "an empty token",
      authorization: "Bearer ",
      reason: "Authorization: Bearer without exactly one token",
    },
    {
      name: "two tokens",
      authorization: "Bearer a.b.c, Bearer a.b.c",
      reason: "Authorization: Bearer without exactly one token",
    },
    {
      name: "a tab for a space",
      authorization: "Bearer\ta.b.c",
      reason: "Authorization: Bearer without exactly one token",
    },
    {
      name: "a token above 8 KiB",
      authorization: `Bearer ${"a".repeat(8193)}`,
      reason: "the token has more than 8192 bytes",
    },
    {
      name: "two segments",
      authorization: "Bearer a.b",
      reason: "token: 2 segments, a signed token has three",
    },
    {
      name: "an encrypted token",
      authorization: "Bearer a.b.c.d.e",
      reason: "token: 5 segments, a signed token has three",
    },
    {
      name: "an empty segment",
      authorization: "Bearer a..c",
      reason: "token: a segment is not base64url (RFC 7515 §2)",
    },
    {
      name: "padding",
      authorization: "Bearer YWE=.YWE.YWE",
      reason: "token: a segment is not base64url (RFC 7515 §2)",
    },
    {
      name: "plain base64",
      authorization: "Bearer YW+/.YWE.YWE",
      reason: "token: a segment is not base64url (RFC 7515 §2)",
    },
    {
      name: "bits that do not count",
      authorization: "Bearer YWF.YWE.YWE",
      reason: "token: a segment is not base64url (RFC 7515 §2)",
    },
  ])("$name", async ({ authorization, reason }) => {
    expect(await refusal(authorization)).toBe(reason);
  });

  test.each([
    { name: "alg none", header: { alg: "none" } },
    { name: "alg NONE", header: { alg: "NONE" } },
    { name: "no alg", header: {} },
    { name: "an alg that is a number", header: { alg: 7 } },
    { name: "another algorithm", header: { alg: "RS256" } },
    { name: "an unknown crit", header: { alg: "ES256", crit: ["x"], x: 1 } },
    { name: "b64 false", header: { alg: "ES256", crit: ["b64"], b64: false } },
    { name: "a header that is no object", header: [] },
    { name: "a header that is no JSON", header: "x" },
  ])("$name", async ({ header }) => {
    const [, payload = "", signature = ""] = (await sign()).split(".");
    const encoded = Buffer.from(typeof header === "string" ? header : JSON.stringify(header));
    expect(
      await refusal(`Bearer ${encoded.toString("base64url")}.${payload}.${signature}`),
    ).toMatch(/^token: /);
  });

  test("an exp beyond all numbers", async () => {
    const header = Buffer.from('{"alg":"HS256"}').toString("base64url");
    const payload = Buffer.from('{"sub":"a","exp":1e400}').toString("base64url");
    const { createHmac } = await import("node:crypto");
    const signature = createHmac("sha256", hmacKey)
      .update(`${header}.${payload}`)
      .digest("base64url");
    expect(await refusal(`Bearer ${header}.${payload}.${signature}`, { secret })).toBe(
      'token: "exp" is not a time',
    );
  });

  test.each([1e300, -1e300, 8.64e12 + 1])("an exp of %d, which is no date", async (exp) => {
    expect(await refusal(`Bearer ${await sign({ claims: { exp } })}`)).toMatch(
      /^token: "exp" (is not a time|claim timestamp check failed)$/,
    );
  });

  test("a typ that is a list", async () => {
    const [, payload, signature] = (await sign()).split(".");
    const header = Buffer.from('{"alg":"ES256","typ":["JWT"]}');
    const forged = `${header.toString("base64url")}.${payload}.${signature}`;
    expect(await refusal(`Bearer ${forged}`)).toMatch(/^token: /);
  });

  test("a changed payload", async () => {
    const [header, , signature] = (await sign()).split(".");
    const payload = Buffer.from(JSON.stringify({ ...claims, sub: "mallory" })).toString(
      "base64url",
    );
    expect(await refusal(`Bearer ${header}.${payload}.${signature}`)).toBe(
      "token: signature verification failed",
    );
  });

  test.each<{ name: string; keyBytes: () => Promise<Uint8Array> }>([
    {
      name: "PEM",
      keyBytes: async () => {
        const jwk = await exportJWK(publicKey);
        const pem = createPublicKey({ key: jwk, format: "jwk" }).export({
          type: "spki",
          format: "pem",
        });
        return Buffer.from(pem);
      },
    },
    { name: "JWK", keyBytes: async () => Buffer.from(JSON.stringify(await exportJWK(publicKey))) },
    {
      name: "DER",
      keyBytes: async () => {
        const jwk = await exportJWK(publicKey);
        return createPublicKey({ key: jwk, format: "jwk" }).export({ type: "spki", format: "der" });
      },
    },
  ])("HS256 with the public key as secret, in $name", async ({ keyBytes }) => {
    const forged = await new SignJWT(claims)
      .setProtectedHeader({ alg: "HS256" })
      .sign(await keyBytes());
    expect(await refusal(`Bearer ${forged}`)).toBe(
      'token: "alg" (Algorithm) Header Parameter value not allowed',
    );
  });

  test("a token that brings its own key", async () => {
    const own = await generateKeyPair("ES256", { extractable: true });
    const forged = await new SignJWT(claims)
      .setProtectedHeader({ alg: "ES256", jwk: await exportJWK(own.publicKey) })
      .sign(own.privateKey);
    expect(await refusal(`Bearer ${forged}`)).toBe("token: signature verification failed");
  });

  test("an old token where maxTokenAge is set", async () => {
    const token = await sign({ claims: { iat: nowSeconds - 7200 } });
    expect(await refusal(`Bearer ${token}`, { publicKey, maxTokenAge: "1h" })).toContain(
      '"iat" claim timestamp check failed',
    );
  });

  test("a token made by hand with a signature of nothing", async () => {
    expect(await refusal(`Bearer ${rawToken({ alg: "ES256" }, claims)}`)).toMatch(/^token: /);
  });
});

describe("the options of createJwtAuthInterceptor", () => {
  /** What JavaScript can pass, whatever the types say. */
  const untyped = (options: object): JwtAuthInterceptorOptions =>
    Object.assign({ secret }, options);
  const weak = generateKeyPairSync("rsa", { modulusLength: 1024 });
  const strong = generateKeyPairSync("ed25519");

  test.each<{ name: string; options: JwtAuthInterceptorOptions; message: string }>([
    {
      name: "no key",
      options: {},
      message: "exactly one of jwksUri, secret and publicKey must be given",
    },
    {
      name: "two keys",
      options: { secret, publicKey },
      message: "exactly one of jwksUri, secret and publicKey must be given",
    },
    {
      name: "a short secret",
      options: { secret: "0123456789" },
      message: "secret has 10 bytes, HS256 needs at least 32 (RFC 7518 §3.2)",
    },
    {
      name: "an empty secret",
      options: { secret: "" },
      message: "secret has 0 bytes, HS256 needs at least 32 (RFC 7518 §3.2)",
    },
    {
      name: "a secret too short for HS512",
      options: { secret, algorithms: ["HS256", "HS512"] },
      message: "secret has 38 bytes, HS512 needs at least 64 (RFC 7518 §3.2)",
    },
    {
      name: "a secret with an asymmetric algorithm",
      options: { secret, algorithms: ["HS256", "RS256"] },
      message:
        'algorithms ["HS256","RS256"] must be of those that a secret is used with: HS256, HS384, HS512',
    },
    {
      name: "a public key with HS256",
      options: { publicKey, algorithms: ["ES256", "HS256"] },
      message:
        'algorithms ["ES256","HS256"] must be of those that this publicKey is used with: ES256',
    },
    {
      name: "none",
      options: { publicKey, algorithms: ["none"] },
      message: 'algorithms ["none"] must be of those that this publicKey is used with: ES256',
    },
    {
      name: "no algorithm",
      options: { publicKey, algorithms: [] },
      message: "algorithms [] must be of those that this publicKey is used with: ES256",
    },
    {
      name: "a private key",
      options: { publicKey: strong.privateKey },
      message: "publicKey must be a public CryptoKey or KeyObject",
    },
    {
      name: "a short RSA key",
      options: { publicKey: weak.publicKey },
      message: "publicKey has 1024 bits, RSA needs at least 2048",
    },
    {
      name: "a key set with HS256",
      options: { jwksUri: "https://issuer.test/jwks", algorithms: ["HS256"] },
      message:
        'algorithms ["HS256"] must be of those that a key set is used with: RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA, Ed25519',
    },
    {
      name: "a jwksUri that is no URL",
      options: { jwksUri: "issuer.test" },
      message: 'jwksUri "issuer.test" must be an https URL (http only on loopback)',
    },
    {
      name: "a jwksUri over plain http",
      options: { jwksUri: "http://issuer.test/jwks" },
      message: 'jwksUri "http://issuer.test/jwks" must be an https URL (http only on loopback)',
    },
    {
      name: "a user name in jwksUri",
      options: { jwksUri: "https://user:hunter2@issuer.test/jwks" },
      message: "jwksUri must have no user name and password: they are not sent",
    },
    {
      name: "a secret that is no string",
      options: JSON.parse('{"secret":{"0":1}}'),
      message: "secret must be a string",
    },
    {
      name: "a misspelt option",
      options: JSON.parse('{"secret":"x","audiance":"x"}'),
      message:
        'createJwtAuthInterceptor has no option "audiance"; there are jwksUri, secret, publicKey, algorithms, issuer, audience, claimsMapping, maxTokenAge, clockToleranceSeconds, dpop, cache, skipMethods, propagateHeaders, propagatedClaims',
    },
    {
      name: "no options",
      options: JSON.parse("null"),
      message: "createJwtAuthInterceptor takes an object of options",
    },
    {
      name: "a negative tolerance",
      options: { secret, clockToleranceSeconds: -1 },
      message: "clockToleranceSeconds -1 must be a number of seconds",
    },
    {
      name: "a tolerance that is no number",
      options: { secret, clockToleranceSeconds: Number.NaN },
      message: "clockToleranceSeconds NaN must be a number of seconds",
    },
    {
      name: "an age in an unknown unit",
      options: { secret, maxTokenAge: "2 parsecs" },
      message: 'maxTokenAge "2 parsecs" must be a number of seconds, or text such as "2h"',
    },
    ...[0, "0s", "0.0 h"].map((maxTokenAge) => ({
      name: `the age ${maxTokenAge}, which would be no limit`,
      options: { secret, maxTokenAge },
      message: `maxTokenAge ${JSON.stringify(maxTokenAge)} must be above 0`,
    })),
    {
      name: "an age that is undefined",
      options: untyped({ maxTokenAge: undefined }),
      message: 'maxTokenAge undefined must be a number of seconds, or text such as "2h"',
    },
    ...[undefined, null, "ES256", [null]].map((algorithms) => ({
      name: `the algorithms ${JSON.stringify(algorithms)}`,
      options: untyped({ secret: undefined, publicKey, algorithms }),
      message: `algorithms ${JSON.stringify(algorithms)} must be of those that this publicKey is used with: ES256`,
    })),
    ...["issuer", "audience"].flatMap((name) =>
      [undefined, null, "", [], [""], [audience, null], 5, {}].map((value) => ({
        name: `the ${name} ${JSON.stringify(value)}`,
        options: untyped({ [name]: value }),
        message: `${name} is given, but ${JSON.stringify(value)}`,
      })),
    ),
    ...badMappings("claimsMapping").map(({ claimsMapping, message }) => ({
      name: `the mapping ${JSON.stringify(claimsMapping)}`,
      options: untyped({ claimsMapping }),
      message,
    })),
    {
      name: "an empty issuer",
      options: { secret, issuer: ["", issuer] },
      message: 'issuer is given, but ["","https://issuer.test/"]',
    },
    {
      name: "a malformed pattern",
      options: { secret, skipMethods: ["/a.B/C"] },
      message:
        'method pattern "/a.B/C" must be "package.Service/Method", "package.Service/*" or "*"',
    },
  ])("reject $name", ({ options, message }) => {
    expect(() => createJwtAuthInterceptor(options)).toThrow(new TypeError(message));
  });
});
