import { createPublicKey } from "node:crypto";
import { inspect } from "node:util";
import { Code, ConnectError } from "@connectrpc/connect";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import {
  type SignedTokenIssuer,
  type SignedTokenTrustOptions,
  signedTokenTrust,
} from "../../src/server/index.js";
import { badMappings } from "../support/bad-mappings.js";
import { incomingCall } from "../support/incoming-call.js";
import { startKeyServer } from "../support/key-server.js";
import { createIssuerKey, type IssuerKey, keySetOf } from "../support/key-sets.js";
import { now, type Part, signToken } from "../support/signed-tokens.js";

const issuerA = "https://a.test/";
const issuerB = "https://b.test/";
const audience = "https://users.internal";
const keyA = createIssuerKey("1");
const keyB = createIssuerKey("1");
const secret = "a secret of at least thirty-two bytes!";
const claims = { iss: issuerA, aud: audience, sub: "indexer", exp: now + 60, iat: now };

const trusted = (key: IssuerKey, options: Partial<SignedTokenIssuer> = {}): SignedTokenIssuer => ({
  publicKey: createPublicKey(key.privateKey),
  audience,
  ...options,
});
const issuers = { [issuerA]: trusted(keyA), [issuerB]: trusted(keyB) };

/** A token of issuer A. `undefined` removes a claim. */
function token(changed: object = {}, key = keyA, header: object = {}): string {
  return signToken({
    header: { alg: "ES256", kid: key.kid, ...header },
    payload: { ...claims, ...changed },
    key: key.privateKey,
  });
}

function authenticate(
  header: HeadersInit | string,
  options: Partial<SignedTokenTrustOptions> = {},
) {
  const headers = typeof header === "string" ? { "x-internal-token": header } : header;
  return signedTokenTrust({ issuers, ...options }).authenticate(incomingCall(headers));
}

/** Why a call is refused, as the log of the server says. Nobody sees the token. */
async function reasonOf(
  header: HeadersInit | string,
  options: Partial<SignedTokenTrustOptions> = {},
): Promise<string> {
  const error = await authenticate(header, options).catch((reason: unknown) => reason);
  expect.assert(error instanceof ConnectError && error.cause instanceof Error);
  expect(error).toMatchObject({ code: Code.Unauthenticated, rawMessage: "invalid token" });
  expect(inspect(error, { depth: 10 })).not.toMatch(/[\w-]{20}\.[\w-]{20}/);
  const isShared = options.header === "authorization";
  expect([...error.metadata]).toEqual(
    isShared ? [["www-authenticate", 'Bearer error="invalid_token"']] : [],
  );
  return error.cause.message;
}

beforeEach(() => {
  vi.useFakeTimers({ now: now * 1000, toFake: ["Date", "performance"] });
});
afterEach(() => {
  vi.useRealTimers();
});

describe("signedTokenTrust accepts", () => {
  test("a token with the key of its issuer, and reads the identity from its claims", async () => {
    const roles = ["indexer"];
    expect(await authenticate(token({ roles, scope: "users:read", name: "Indexer" }))).toEqual({
      subject: "indexer",
      name: "Indexer",
      roles: ["indexer"],
      scopes: ["users:read"],
      claims: { ...claims, roles, scope: "users:read", name: "Indexer" },
      type: "service",
      expiresAt: new Date(claims.exp * 1000),
    });
    expect((await authenticate(token({ iss: issuerB }, keyB)))?.claims.iss).toBe(issuerB);
  });

  test.each(["Bearer ", "bearer ", "BEARER  "])("a token after %j", async (scheme) => {
    expect((await authenticate(`${scheme}${token()}`))?.subject).toBe("indexer");
  });

  test("a token in another header", async () => {
    const options = { header: "X-Service-Token" };
    expect((await authenticate({ "x-service-token": token() }, options))?.subject).toBe("indexer");
    expect(await authenticate({ "x-internal-token": token() }, options)).toBeUndefined();
  });

  test("a token in Authorization, where it is to be", async () => {
    const options = { header: "authorization" };
    const authorization = `Bearer ${token()}`;
    expect((await authenticate({ authorization }, options))?.subject).toBe("indexer");
    expect(await authenticate({ "x-internal-token": token() }, options)).toBeUndefined();
  });

  test("one of several audiences", async () => {
    const several = { [issuerA]: trusted(keyA, { audience: ["https://old.internal", audience] }) };
    expect((await authenticate(token(), { issuers: several }))?.subject).toBe("indexer");
    expect((await authenticate(token({ aud: ["x", audience] })))?.subject).toBe("indexer");
  });

  test("a subject that may call", async () => {
    const listed = { [issuerA]: trusted(keyA, { subjects: ["billing", "indexer"] }) };
    expect((await authenticate(token(), { issuers: listed }))?.subject).toBe("indexer");
  });

  test("claims elsewhere, and roles and scopes of the options in place of those in the token", async () => {
    const mapped = {
      [issuerA]: trusted(keyA, {
        claimsMapping: { subject: "azp", roles: "realm.roles" },
        roles: ["service"],
        scopes: [],
      }),
    };
    const identity = await authenticate(
      token({ azp: "billing", realm: { roles: ["admin"] }, scope: "everything" }),
      { issuers: mapped, type: "job" },
    );
    expect(identity).toMatchObject({
      subject: "billing",
      roles: ["service"],
      scopes: [],
      type: "job",
    });
  });

  test("a token signed with the secret of its issuer", async () => {
    const signed = signToken({
      header: { alg: "HS256" },
      payload: claims,
      alg: "HS256",
      key: Buffer.from(secret),
    });
    const options = { issuers: { [issuerA]: { secret, audience } } };
    expect((await authenticate(signed, options))?.subject).toBe("indexer");
  });

  test.each(["__proto__", "constructor"])("an issuer called %s that was given", async (iss) => {
    const options = { issuers: Object.fromEntries([[iss, trusted(keyA)]]) };
    expect((await authenticate(token({ iss }), options))?.subject).toBe("indexer");
  });

  test.each([
    { name: "an exp within the tolerance", changed: { exp: now - 4 } },
    { name: "an iat within the tolerance", changed: { iat: now + 4 } },
  ])("$name", async ({ changed }) => {
    expect((await authenticate(token(changed)))?.subject).toBe("indexer");
    expect(await reasonOf(token(changed), { clockToleranceSeconds: 1 })).toMatch(/"(exp|iat)"/);
  });
});

describe("signedTokenTrust finds no credential", () => {
  test.each<{ name: string; header: HeadersInit; options?: Partial<SignedTokenTrustOptions> }>([
    { name: "without a header", header: {} },
    { name: "in Authorization", header: { authorization: `Bearer ${token()}` } },
    { name: "under a name with underscores", header: { x_internal_token: token() } },
    {
      name: "in another scheme of Authorization",
      header: { authorization: `DPoP ${token()}` },
      options: { header: "authorization" },
    },
  ])("$name", async ({ header, options }) => {
    expect(await authenticate(header, options)).toBeUndefined();
  });
});

describe("signedTokenTrust rejects", () => {
  const untrusted = "token: its issuer is not one of those that are trusted";
  const noIssuer = 'token: "iss" is no string';
  const badSignature = "token: signature verification failed";
  const notBase64 = "token: a segment is not base64url (RFC 7515 §2)";

  test.each<{ name: string; value: string; reason: string }>([
    { name: "a token of A with the key of B", value: token({}, keyB), reason: badSignature },
    {
      name: "a token of B with the key of A",
      value: token({ iss: issuerB }),
      reason: badSignature,
    },
    { name: "another issuer", value: token({ iss: "https://c.test/" }), reason: untrusted },
    {
      name: "an issuer without its slash",
      value: token({ iss: "https://a.test" }),
      reason: untrusted,
    },
    {
      name: "an issuer in capitals",
      value: token({ iss: issuerA.toUpperCase() }),
      reason: untrusted,
    },
    { name: "an empty issuer", value: token({ iss: "" }), reason: untrusted },
    { name: "the issuer __proto__", value: token({ iss: "__proto__" }), reason: untrusted },
    { name: "the issuer constructor", value: token({ iss: "constructor" }), reason: untrusted },
    {
      name: "the issuer hasOwnProperty",
      value: token({ iss: "hasOwnProperty" }),
      reason: untrusted,
    },
    { name: "no issuer", value: token({ iss: undefined }), reason: noIssuer },
    { name: "a list of issuers", value: token({ iss: [issuerA] }), reason: noIssuer },
    { name: "a number as the issuer", value: token({ iss: 0 }), reason: noIssuer },
    {
      name: "an issuer in a prototype",
      value: signToken({ payload: `{"__proto__":{"iss":"${issuerA}"},"exp":${now + 60}}` }),
      reason: noIssuer,
    },
    {
      name: "two issuers, of which the last is not the signer",
      value: signToken({
        payload: JSON.stringify({ ...claims, iss: "1" }).replace(
          '"iss":"1"',
          `"iss":"${issuerA}","iss":"${issuerB}"`,
        ),
        key: keyA.privateKey,
      }),
      reason: badSignature,
    },
    {
      name: "a token for another service",
      value: token({ aud: "https://billing.internal" }),
      reason: 'token: unexpected "aud" claim value',
    },
    {
      name: "a part of our name as the audience",
      value: token({ aud: audience.slice(0, -1) }),
      reason: 'token: unexpected "aud" claim value',
    },
    {
      name: "no audience",
      value: token({ aud: undefined }),
      reason: 'token: missing required "aud" claim',
    },
    {
      name: "an empty list of audiences",
      value: token({ aud: [] }),
      reason: 'token: unexpected "aud" claim value',
    },
    {
      name: "no exp",
      value: token({ exp: undefined }),
      reason: 'token: missing required "exp" claim',
    },
    {
      name: "an exp that has passed",
      value: token({ exp: now - 6 }),
      reason: 'token: "exp" claim timestamp check failed',
    },
    {
      name: "an iat in the future",
      value: token({ iat: now + 6 }),
      reason: 'token: "iat" is in the future',
    },
    { name: "no subject", value: token({ sub: undefined }), reason: 'token: no subject in "sub"' },
    {
      name: "a token bound to a key",
      value: token({ cnf: { jkt: "x" } }),
      reason: 'token: bound to a key ("cnf"), so not a bearer token',
    },
    {
      name: "another kind of token",
      value: token({}, keyA, { typ: "dpop+jwt" }),
      reason: 'token: typ "dpop+jwt" is another kind of token',
    },
    {
      name: "no signature",
      value: token({}, keyA, { alg: "none" }),
      reason: 'token: "alg" (Algorithm) Header Parameter value not allowed',
    },
    {
      name: "HS256 with the public key as secret",
      value: signToken({
        header: { alg: "HS256" },
        payload: claims,
        alg: "HS256",
        key: Buffer.from(createPublicKey(keyA.privateKey).export({ type: "spki", format: "pem" })),
      }),
      reason: 'token: "alg" (Algorithm) Header Parameter value not allowed',
    },
    { name: "an empty header", value: "", reason: "token: 1 segments, a signed token has three" },
    {
      name: "a scheme alone",
      value: "Bearer",
      reason: "token: 1 segments, a signed token has three",
    },
    { name: "another scheme", value: `Basic ${token()}`, reason: notBase64 },
    {
      name: "two tokens",
      value: `${token()}, ${token()}`,
      reason: "token: 5 segments, a signed token has three",
    },
    { name: "a token twice as Bearer", value: `Bearer Bearer ${token()}`, reason: notBase64 },
    { name: "a token in quotation marks", value: `"${token()}"`, reason: notBase64 },
    { name: "padding", value: token().replace(".", "=."), reason: notBase64 },
    {
      name: "more than 8 KiB",
      value: token({ pad: "x".repeat(8192) }),
      reason: "token: more than 8192 bytes",
    },
    ...(
      [
        ["text", "no JSON"],
        ["a list", [issuerA]],
        ["null", null],
        ["bytes that are no text", Uint8Array.of(0xff)],
        ["brackets without end", "[".repeat(5000)],
      ] satisfies [string, Part][]
    ).map(([name, payload]) => ({
      name: `${name} as the payload`,
      value: signToken({ payload, key: keyA.privateKey }),
      reason: "token: the payload is no JSON object",
    })),
  ])("$name", async ({ value, reason }) => {
    expect(await reasonOf(value)).toBe(reason);
    // the same in Authorization, where the form of its value is checked before
    if (!reason.startsWith("token: more") && /^[\w.=-]+$/.test(value)) {
      const authorization = `Bearer ${value}`;
      expect(await reasonOf({ authorization }, { header: "authorization" })).toBe(reason);
    }
  });

  test("a subject that may not call", async () => {
    const listed = { [issuerA]: trusted(keyA, { subjects: ["indexer2", "billing"] }) };
    expect(await reasonOf(token(), { issuers: listed })).toBe(
      'token: subject "indexer" may not call',
    );
    expect(await reasonOf(token({ sub: "toString" }), { issuers: listed })).toBe(
      'token: subject "toString" may not call',
    );
  });

  test("every subject where the list is empty", async () => {
    const listed = { [issuerA]: trusted(keyA, { subjects: [] }) };
    expect(await reasonOf(token(), { issuers: listed })).toBe(
      'token: subject "indexer" may not call',
    );
  });

  test("a token twice in Authorization", async () => {
    const authorization = `Bearer ${token()}, Bearer ${token()}`;
    expect(await reasonOf({ authorization }, { header: "authorization" })).toBe(
      "Authorization: Bearer without exactly one token",
    );
  });
});

describe("signedTokenTrust with key sets", () => {
  test("asks the key set of the issuer alone, and none for an issuer it does not know", async () => {
    const servers = [await startKeyServer(), await startKeyServer()] as const;
    try {
      servers[0].answerWith(keySetOf(keyA));
      servers[1].answerWith(keySetOf(keyB));
      const source = signedTokenTrust({
        issuers: {
          [issuerA]: { jwksUri: `${servers[0].baseUrl}/a`, audience },
          [issuerB]: { jwksUri: `${servers[1].baseUrl}/b`, audience },
        },
      });
      const outcome = (value: string) =>
        source.authenticate(incomingCall({ "x-internal-token": value })).then(
          (identity) => identity?.subject,
          (error: unknown) => (error instanceof ConnectError ? Code[error.code] : error),
        );
      const asked = () => servers.map(({ requests }) => requests.join());

      expect(await outcome(token({ iss: "https://c.test/" }))).toBe("Unauthenticated");
      expect(await outcome("a.b.c")).toBe("Unauthenticated");
      expect(asked()).toEqual(["", ""]);
      expect(await outcome(token({}, keyB))).toBe("Unauthenticated");
      expect(asked()).toEqual(["/a", ""]);
      expect(await outcome(token())).toBe("indexer");
      expect(asked()).toEqual(["/a", ""]);

      servers[1].answerWith((res) => res.writeHead(500).end());
      expect(await outcome(token({ iss: issuerB }, keyB))).toBe("Unavailable");
      expect(await outcome(token({ sub: "billing" }))).toBe("billing");
    } finally {
      await Promise.all(servers.map((server) => server.close()));
    }
  });

  test("tells clients that a key set is down, and no more", async () => {
    const server = await startKeyServer();
    try {
      server.answerWith((res) => res.writeHead(500).end());
      const jwksUri = `${server.baseUrl}/jwks`;
      const options = { issuers: { [issuerA]: { jwksUri, audience } } };
      const error = await authenticate(token(), options).catch((reason: unknown) => reason);
      expect(error).toMatchObject({
        code: Code.Unavailable,
        rawMessage: "credentials cannot be verified at the moment",
        cause: new Error(`${jwksUri}: status 500`),
      });
    } finally {
      await server.close();
    }
  });
});

describe("signedTokenTrust remembers", () => {
  test("no token that was refused", async () => {
    const source = signedTokenTrust({ issuers });
    const early = token({ nbf: now + 10 });
    const ask = () => source.authenticate(incomingCall({ "x-internal-token": early }));
    await expect(ask()).rejects.toThrow("invalid token");
    vi.setSystemTime((now + 10) * 1000);
    expect((await ask())?.subject).toBe("indexer");
  });

  test.each([
    { name: "by default", options: {}, isSame: true },
    { name: "for as long as it is told", options: { cache: { ttl: 5_000 } }, isSame: true },
    { name: "nothing where it is told so", options: { cache: false as const }, isSame: false },
  ])("$name", async ({ options, isSame }) => {
    const source = signedTokenTrust({ issuers, ...options });
    const value = token();
    const ask = () => source.authenticate(incomingCall({ "x-internal-token": value }));
    const first = await ask();
    expect((await ask()) === first).toBe(isSame);
    expect(Object.isFrozen(first)).toBe(isSame);
    vi.setSystemTime((now + 31) * 1000);
    expect((await ask()) === first).toBe(false);
  });

  test("no token beyond its exp", async () => {
    const source = signedTokenTrust({ issuers, cache: { ttl: 3_600_000 } });
    const value = token();
    const ask = () => source.authenticate(incomingCall({ "x-internal-token": value }));
    expect((await ask())?.subject).toBe("indexer");
    vi.setSystemTime((now + 66) * 1000);
    await expect(ask()).rejects.toThrow("invalid token");
  });
});

describe("the options of signedTokenTrust", () => {
  const one = "issuers must be an object of one or more issuers, by their names";

  test.each<{ name: string; options: object; message: string }>([
    { name: "no issuers", options: { issuers: undefined }, message: one },
    { name: "an empty object", options: { issuers: {} }, message: one },
    { name: "an issuer without a name", options: { issuers: { "": trusted(keyA) } }, message: one },
    {
      name: "issuers in a prototype",
      options: { issuers: Object.create({ [issuerA]: trusted(keyA) }) },
      message: one,
    },
    {
      name: "a URL in place of an issuer",
      options: { issuers: { [issuerA]: "https://a.test/jwks" } },
      message: 'issuers["https://a.test/"] takes an object of options',
    },
    {
      name: "a misspelt option of an issuer",
      options: { issuers: { [issuerA]: trusted(keyA, JSON.parse('{"subject":"x"}')) } },
      message:
        'issuers["https://a.test/"] has no option "subject"; there are jwksUri, secret, publicKey, algorithms, audience, subjects, claimsMapping, roles, scopes',
    },
    {
      name: "no audience",
      options: { issuers: { [issuerA]: { publicKey: createPublicKey(keyA.privateKey) } } },
      message: 'issuers["https://a.test/"].audience [null] must be a list of strings, none empty',
    },
    {
      name: "an empty list of audiences",
      options: { issuers: { [issuerA]: trusted(keyA, { audience: [] }) } },
      message: 'issuers["https://a.test/"].audience [] must name this server',
    },
    {
      name: "an empty audience",
      options: { issuers: { [issuerA]: trusted(keyA, { audience: [audience, ""] }) } },
      message:
        'issuers["https://a.test/"].audience ["https://users.internal",""] must be a list of strings, none empty',
    },
    {
      name: "subjects that are undefined by mistake",
      options: { issuers: { [issuerA]: { ...trusted(keyA), subjects: undefined } } },
      message:
        'issuers["https://a.test/"].subjects undefined must be a list of strings, none empty',
    },
    {
      name: "roles that are undefined by mistake",
      options: { issuers: { [issuerA]: { ...trusted(keyA), roles: undefined } } },
      message: 'issuers["https://a.test/"].roles undefined must be a list of strings, none empty',
    },
    {
      name: "no key",
      options: { issuers: { [issuerA]: { audience } } },
      message:
        'issuers["https://a.test/"]: exactly one of jwksUri, secret and publicKey must be given',
    },
    {
      name: "a key set over plain http",
      options: { issuers: { [issuerA]: { audience, jwksUri: "http://a.test/jwks" } } },
      message:
        'issuers["https://a.test/"]: jwksUri "http://a.test/jwks" must be an https URL (http only on loopback)',
    },
    {
      name: "HS256 with a key set",
      options: {
        issuers: { [issuerA]: { audience, jwksUri: "https://a.test/jwks", algorithms: ["HS256"] } },
      },
      message:
        'issuers["https://a.test/"]: algorithms ["HS256"] must be of those that a key set is used with: RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA, Ed25519',
    },
    ...[null, undefined].map((algorithms) => ({
      name: `algorithms that are ${algorithms}`,
      options: { issuers: { [issuerA]: { ...trusted(keyA), algorithms } } },
      message: `issuers["https://a.test/"]: algorithms ${algorithms} must be of those that this publicKey is used with: ES256`,
    })),
    ...badMappings('issuers["https://a.test/"].claimsMapping').map(
      ({ claimsMapping, message }) => ({
        name: `the mapping ${JSON.stringify(claimsMapping)}`,
        options: { issuers: { [issuerA]: { ...trusted(keyA), claimsMapping } } },
        message,
      }),
    ),
    {
      name: "the header of sessions",
      options: { header: "cookie" },
      message: 'header "cookie" carries the credentials of users; it must be a header of its own',
    },
    {
      name: "a tolerance that is no number",
      options: { clockToleranceSeconds: "5" },
      message: 'clockToleranceSeconds "5" must be a number of seconds',
    },
    {
      name: "a misspelt option",
      options: { issuer: issuerA },
      message:
        'signedTokenTrust has no option "issuer"; there are issuers, header, clockToleranceSeconds, cache, type',
    },
  ])("reject $name", ({ options, message }) => {
    expect(() => signedTokenTrust({ issuers, ...options })).toThrow(new TypeError(message));
  });
});
