import { inspect } from "node:util";
import { beforeAll, describe, expect, test } from "vitest";
import {
  type Authenticator,
  createAuthInterceptor,
  createGatewayAuthInterceptor,
  createIntrospectionAuthInterceptor,
  createJwtAuthInterceptor,
  createSessionAuthInterceptor,
  meshIdentityTrust,
  sharedSecretTrust,
  signedTokenTrust,
} from "../../src/server/index.js";
import { createDpopKeys, signDpopProof } from "../support/dpop-proof.js";
import { incomingCall } from "../support/incoming-call.js";
import { refusalOf } from "../support/refusal-of.js";
import { createTestToken, testSecret } from "../support/test-token.js";

const secret = "a secret of at least thirty-two bytes";
const principal = "spiffe://cluster.local/ns/shop/sa/indexer";
const issuer = "https://issuer.test/";
const audience = "https://api.test";
const identity = { subject: "alice", roles: [], scopes: [], claims: {}, type: "test" };
const keys = await createDpopKeys();
const token = await createTestToken();
const bound = await createTestToken({ cnf: { jkt: keys.jkt } });
const internal = await createTestToken({ iss: issuer, aud: audience });

const jwt = createJwtAuthInterceptor({ secret: testSecret, dpop: { publicOrigins: [audience] } });
const session = { verifySession: (text: string) => text, mapSession: () => identity };

/** A header that has a credential. */
interface Place {
  readonly name: string;
  readonly by: Authenticator;
  readonly header: string;
  /** What stands before the credential: a scheme and a space, the name of a cookie. */
  readonly before?: string;
  /** The credential. A proof is used up each time. */
  readonly good: () => string | Promise<string>;
  /** What the call has besides. */
  readonly others?: Readonly<Record<string, string>>;
  readonly message?: "invalid token" | "invalid DPoP proof";
  /** Of the refusal, whichever form the credential has. */
  readonly reason: RegExp;
}

const places: readonly Place[] = [
  {
    name: "an opaque token",
    by: createAuthInterceptor({ verifyCredentials: () => identity }),
    header: "authorization",
    before: "Bearer ",
    good: () => token,
    message: "invalid token",
    reason:
      /^Authorization: Bearer without exactly one token$|^the token has more than 8192 bytes$/,
  },
  {
    name: "a JWT",
    by: jwt,
    header: "authorization",
    before: "Bearer ",
    good: () => token,
    message: "invalid token",
    reason:
      /^Authorization: Bearer without exactly one token$|^the token has more than 8192 bytes$/,
  },
  {
    name: "a token with a proof",
    by: jwt,
    header: "authorization",
    before: "DPoP ",
    good: () => bound,
    others: { dpop: await prove() },
    message: "invalid token",
    reason: /^Authorization: DPoP without exactly one token$|^the token has more than 8192 bytes$/,
  },
  {
    name: "a proof",
    by: jwt,
    header: "dpop",
    good: prove,
    others: { authorization: `DPoP ${bound}` },
    message: "invalid DPoP proof",
    reason: /^proof: (1 segments,|a segment is not|more than )/,
  },
  {
    name: "a token that is asked about",
    by: createIntrospectionAuthInterceptor({
      introspectionEndpoint: "https://issuer.test/introspect",
      clientId: "orders",
      clientSecret: secret,
      fetch: async () => Response.json({ active: true, sub: "alice", aud: "orders" }),
    }),
    header: "authorization",
    before: "Bearer ",
    good: () => token,
    message: "invalid token",
    reason:
      /^Authorization: Bearer without exactly one token$|^the token has more than 8192 bytes$/,
  },
  {
    name: "a session in Authorization",
    by: createSessionAuthInterceptor(session),
    header: "authorization",
    before: "Bearer ",
    good: () => token,
    message: "invalid token",
    reason:
      /^Authorization: Bearer without exactly one token$|^the token has more than 8192 bytes$/,
  },
  {
    name: "a session in a header",
    by: createSessionAuthInterceptor({ ...session, header: "x-session" }),
    header: "x-session",
    good: () => token,
    reason: /^x-session (is empty, or not exactly one token|has more than 8192 bytes)$/,
  },
  {
    name: "a session in a cookie",
    by: createSessionAuthInterceptor({ ...session, cookie: "sid" }),
    header: "cookie",
    before: "sid=",
    good: () => token,
    reason:
      /^several cookies sid$|^the cookie sid (is empty, or has a character that no cookie has|has more than 8192 bytes)$/,
  },
  {
    name: "the secret of a gateway",
    by: createGatewayAuthInterceptor({ trustSource: { expectedValues: [secret] } }),
    header: "x-gateway-secret",
    good: () => secret,
    others: { "x-auth-subject": "alice" },
    reason: /^identity headers without the right x-gateway-secret$/,
  },
  {
    name: "a principal",
    by: meshIdentityTrust({ allowlist: [{ principal }] }),
    header: "x-forwarded-client-principal",
    good: () => principal,
    reason: /is not on the allowlist$|^x-forwarded-client-principal has more than 8192 bytes$/,
  },
  {
    name: "the principal of a certificate",
    by: meshIdentityTrust({ allowlist: [{ principal }], header: "x-forwarded-client-cert" }),
    header: "x-forwarded-client-cert",
    before: "URI=",
    good: () => principal,
    reason:
      /is not on the allowlist$|^x-forwarded-client-cert has more than (8192 bytes|one element)$/,
  },
  {
    name: "a token of a service",
    by: signedTokenTrust({ issuers: { [issuer]: { secret: testSecret, audience } } }),
    header: "x-internal-token",
    good: () => internal,
    message: "invalid token",
    reason: /^token: (1 segments,|5 segments,|a segment is not|more than )/,
  },
  {
    name: "the secret of services",
    by: sharedSecretTrust({ secret }),
    header: "x-internal-secret",
    good: () => secret,
    reason: /^x-internal-secret is not the secret$/,
  },
];

function prove(): Promise<string> {
  const { url } = incomingCall({});
  return signDpopProof(keys, { claims: { htm: "POST", htu: url } }, bound);
}

describe.each(places)("$name", (place) => {
  const { by, header, before = "", others, message = "invalid credentials", reason } = place;
  const middle = (text: string, inserted: string) => text.slice(0, 8) + inserted + text.slice(8);
  const authenticate = (...values: string[]) => {
    const headers = new Headers(others);
    for (const value of values) {
      headers.append(header, value);
    }
    return by.authenticate(incomingCall(headers));
  };
  let good: string;
  beforeAll(async () => {
    good = await place.good();
  });

  test("is accepted as it is", async () => {
    expect(await authenticate(before + (await place.good()))).toMatchObject({
      subject: expect.any(String),
    });
  });

  test.each<{ name: string; values: () => string[] }>([
    { name: "empty", values: () => [before] },
    { name: "there twice", values: () => [before + good, before + good] },
    { name: "there twice, without a space", values: () => [`${before}${good},${before}${good}`] },
    {
      name: "behind a tab",
      values: () => [
        before.endsWith(" ") ? `${before.trim()}\t${good}` : before + middle(good, "\t"),
      ],
    },
    { name: "of two words", values: () => [before + middle(good, " ")] },
    { name: "with a control character", values: () => [before + middle(good, "\u0001")] },
    { name: "with a delete character", values: () => [`${before}${good}\u007f`] },
    { name: "with a character beyond ASCII", values: () => [`${before}${good}\u00e9`] },
    { name: "above 8 KiB", values: () => [before + good + "a".repeat(8193)] },
  ])("is refused $name", async ({ values }) => {
    const call = authenticate(...values());
    expect(await refusalOf(call)).toEqual({
      code: "Unauthenticated",
      message,
      reason: expect.stringMatching(reason),
    });
    if (good !== principal) {
      const error: unknown = await call.catch((reason: unknown) => reason);
      expect(inspect(error, { depth: 9, maxStringLength: null })).not.toContain(good);
    }
  });
});
