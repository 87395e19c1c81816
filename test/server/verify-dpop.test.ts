import { constants, generateKeyPairSync, sign as signBytes } from "node:crypto";
import { Code, ConnectError } from "@connectrpc/connect";
import fc from "fast-check";
import { base64url, CompactSign, exportJWK } from "jose";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createDpopNonces } from "../../src/server/dpop-nonces.js";
import type { DpopOptions, IncomingCall, ReplayStore } from "../../src/server/index.js";
import { normalizeUri } from "../../src/server/normalize-uri.js";
import { parseDpopProof } from "../../src/server/parse-dpop-proof.js";
import { createDpopVerifier, hashToken } from "../../src/server/verify-dpop.js";
import { createDpopKeys, type DpopProofInit, signDpopProof } from "../support/dpop-proof.js";
import { incomingCall } from "../support/incoming-call.js";

const start = new Date("2026-01-01T00:00:00Z");
const nowSeconds = start.getTime() / 1000;
const token = "an.access.token";
const secret = "a secret of at least thirty-two bytes!";
const keys = await createDpopKeys();
const other = await createDpopKeys();
const htu = incomingCall({}).url;
const publicOrigins = ["https://api.test", "http://localhost:8080"];

beforeEach(() => {
  vi.useFakeTimers({ now: start, toFake: ["Date"] });
});
afterEach(() => {
  vi.useRealTimers();
});

function sign(proof: DpopProofInit = {}, by = keys): Promise<string> {
  return signDpopProof(by, { ...proof, claims: { htm: "POST", htu, ...proof.claims } }, token);
}

interface Attempt {
  readonly proof?: string;
  readonly options?: Partial<DpopOptions>;
  readonly call?: Partial<IncomingCall>;
}

async function verify({ proof, options, call }: Attempt = {}): Promise<void> {
  const verifier = createDpopVerifier({ publicOrigins, ...options }, 5);
  const header = { dpop: proof ?? (await sign()) };
  return verifier.verify({ ...incomingCall(header), ...call }, token, keys.jkt);
}

/** What the server knows of a refusal. What the client is told is the same for all. */
async function refusal(
  attempt: Promise<unknown>,
  error = "invalid_dpop_proof",
  algs = "ES256 Ed25519 EdDSA",
) {
  const refused = await attempt.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect.assert(refused instanceof ConnectError);
  const rawMessage = error === "invalid_token" ? "invalid token" : "invalid DPoP proof";
  expect(refused).toMatchObject({ code: Code.Unauthenticated, rawMessage });
  expect(refused.metadata.get("www-authenticate")).toBe(`DPoP error="${error}", algs="${algs}"`);
  expect(refused.metadata.has("dpop-nonce")).toBe(error === "use_dpop_nonce");
  expect.assert(refused.cause instanceof Error);
  return refused.cause.message;
}

describe("the samples of RFC 9449", () => {
  const header =
    "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19";
  const jkt = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";
  const sampleToken = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";
  const ath = "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo";
  const resourceProof = `${header}.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA`;

  test.each([
    {
      name: "§5, token request",
      proof: `${header}.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg`,
      claims: {
        jti: "-BwC3ESc6acc2lTc",
        htm: "POST",
        htu: "https://server.example.com/token",
        iat: 1562262616,
      },
    },
    {
      name: "§5, refresh request",
      proof: `${header}.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjY1Mjk2fQ.pAqut2IRDm_De6PR93SYmGBPXpwrAk90e8cP2hjiaG5QsGSuKDYW7_X620BxqhvYC8ynrrvZLTk41mSRroapUA`,
      claims: {
        jti: "-BwC3ESc6acc2lTc",
        htm: "POST",
        htu: "https://server.example.com/token",
        iat: 1562265296,
      },
    },
    {
      name: "§7.1, protected resource",
      proof: resourceProof,
      claims: {
        jti: "e1j3V_bKic8-LAEB",
        htm: "GET",
        htu: "https://resource.example.org/protectedresource",
        iat: 1562262618,
        ath,
      },
    },
  ])("$name: the proof verifies and has this key", async ({ proof, claims }) => {
    expect(await parseDpopProof(proof, ["ES256"], 0)).toEqual({
      jkt,
      jti: claims.jti,
      iat: claims.iat,
      claims,
    });
  });

  test("§7.1: the token has this hash", () => {
    expect(hashToken(sampleToken)).toBe(ath);
  });

  test("§7.1: the request passes at its time, once", async () => {
    vi.setSystemTime(1562262618_000);
    const verifier = createDpopVerifier({ publicOrigins: ["https://resource.example.org"] }, 5);
    const request: IncomingCall = {
      ...incomingCall({ dpop: resourceProof }),
      requestMethod: "GET",
      url: "https://resource.example.org/protectedresource",
    };
    await verifier.verify(request, sampleToken, jkt);
    expect(await refusal(verifier.verify(request, sampleToken, jkt))).toBe(
      'proof: "jti" was used before',
    );
  });
});

describe("a proof", () => {
  test("passes with all that RFC 9449 §4.3 asks for", async () => {
    await expect(verify()).resolves.toBeUndefined();
  });

  test.each<{ name: string; proof: () => Promise<string>; reason: string }>([
    {
      name: "check 1, two in the header",
      proof: async () => `${await sign()}, ${await sign()}`,
      reason: "more than one in the DPoP header",
    },
    {
      name: "check 2, no token",
      proof: async () => "proof",
      reason: "1 segments, a signed token has three",
    },
    {
      name: "check 2, padding",
      proof: async () => `${await sign()}==`,
      reason: "a segment is not base64url (RFC 7515 §2)",
    },
    {
      name: "check 2, a payload that is no object",
      proof: async () => {
        return new CompactSign(new TextEncoder().encode("[]"))
          .setProtectedHeader({ typ: "dpop+jwt", alg: "ES256", jwk: keys.jwk })
          .sign(keys.privateKey);
      },
      reason: "JWT Claims Set must be a top-level JSON object",
    },
    {
      name: "check 3, no jti",
      proof: () => sign({ claims: { jti: undefined } }),
      reason: 'missing required "jti" claim',
    },
    {
      name: "check 3, no htm",
      proof: () => sign({ claims: { htm: undefined } }),
      reason: 'missing required "htm" claim',
    },
    {
      name: "check 3, no htu",
      proof: () => sign({ claims: { htu: undefined } }),
      reason: 'missing required "htu" claim',
    },
    {
      name: "check 3, no iat",
      proof: () => sign({ claims: { iat: undefined } }),
      reason: 'missing required "iat" claim',
    },
    {
      name: "check 3, no ath",
      proof: () => sign({ claims: { ath: undefined } }),
      reason: '"ath" is not the hash of the token',
    },
    {
      name: "check 3, an empty jti",
      proof: () => sign({ claims: { jti: "" } }),
      reason: '"jti" is not text of 1 to 256 characters',
    },
    {
      name: "check 3, a jti that is a number",
      proof: () => sign({ claims: { jti: 7 } }),
      reason: '"jti" is not text of 1 to 256 characters',
    },
    {
      name: "check 3, a jti of 257 characters",
      proof: () => sign({ claims: { jti: "x".repeat(257) } }),
      reason: '"jti" is not text of 1 to 256 characters',
    },
    {
      name: "check 3, an iat that is text",
      proof: () => sign({ claims: { iat: String(nowSeconds) } }),
      reason: '"iat" claim must be a number',
    },
    {
      name: "check 4, another typ",
      proof: () => sign({ header: { typ: "JWT" } }),
      reason: 'unexpected "typ" JWT header value',
    },
    {
      name: "check 4, no typ",
      proof: () => sign({ header: { typ: undefined } }),
      reason: 'unexpected "typ" JWT header value',
    },
    {
      name: "check 5, an algorithm that was not asked for",
      proof: async () => sign({}, await createDpopKeys("PS256")),
      reason: '"alg" (Algorithm) Header Parameter value not allowed',
    },
    {
      name: "check 5, alg none",
      proof: async () => {
        const [, payload] = (await sign()).split(".");
        const header = { typ: "dpop+jwt", alg: "none", jwk: keys.jwk };
        return `${base64url.encode(JSON.stringify(header))}.${payload}.AAAA`;
      },
      reason: '"alg" (Algorithm) Header Parameter value not allowed',
    },
    {
      name: "check 6, signed by another key",
      proof: () => sign({ header: { jwk: other.jwk } }),
      reason: "signature verification failed",
    },
    {
      name: "check 6, a changed payload",
      proof: async () => {
        const [header, , signature] = (await sign()).split(".");
        const [, payload] = (await sign()).split(".");
        return `${header}.${payload}.${signature}`;
      },
      reason: "signature verification failed",
    },
    {
      name: "check 7, a private key",
      proof: async () => sign({ header: { jwk: await exportJWK(keys.privateKey) } }),
      reason: '"jwk" has "d", which is of a private or symmetric key',
    },
    {
      name: "check 8, another method",
      proof: () => sign({ claims: { htm: "GET" } }),
      reason: '"htm" is not POST',
    },
    {
      name: "check 8, the method in lower case",
      proof: () => sign({ claims: { htm: "post" } }),
      reason: '"htm" is not POST',
    },
    {
      name: "check 9, another path",
      proof: () => sign({ claims: { htu: `${htu}s` } }),
      reason: '"htu" is not /acme.user.v1.UserService/WhoAmI on one of publicOrigins',
    },
    {
      name: "check 11, too old",
      proof: () => sign({ claims: { iat: nowSeconds - 60 } }),
      reason: '"iat" is outside of the window',
    },
    {
      name: "check 11, too far ahead",
      proof: () => sign({ claims: { iat: nowSeconds + 6 } }),
      reason: '"iat" is outside of the window',
    },
    {
      name: "check 12, the hash of another token",
      proof: () => sign({ claims: { ath: hashToken("another.access.token") } }),
      reason: '"ath" is not the hash of the token',
    },
    {
      name: "an exp in the past",
      proof: () => sign({ claims: { exp: nowSeconds - 30 } }),
      reason: '"exp" claim timestamp check failed',
    },
    {
      name: "a crit that is not understood",
      proof: async () => {
        const [, payload, signature] = (await sign()).split(".");
        const header = { typ: "dpop+jwt", alg: "ES256", jwk: keys.jwk, crit: ["x"], x: 1 };
        return `${base64url.encode(JSON.stringify(header))}.${payload}.${signature}`;
      },
      reason: 'Extension Header Parameter "x" is not recognized',
    },
    {
      name: "more than 8 KiB",
      proof: () => sign({ claims: { padding: "x".repeat(8192) } }),
      reason: "more than 8192 bytes",
    },
  ])("is refused for $name", async ({ proof, reason }) => {
    expect(await refusal(verify({ proof: await proof() }))).toBe(`proof: ${reason}`);
  });

  test.each(["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"])(
    "is refused for check 7, a key that has %s beside its public members",
    async (name) => {
      const proof = await sign({ header: { jwk: { ...keys.jwk, [name]: "AAAA" } } });
      expect(await refusal(verify({ proof }))).toBe(
        `proof: "jwk" has "${name}", which is of a private or symmetric key`,
      );
    },
  );

  test.each<{ name: string; nonce: () => unknown }>([
    { name: "no nonce where nonces are given", nonce: () => undefined },
    { name: "an empty nonce", nonce: () => "" },
    { name: "a nonce in a list", nonce: () => [createDpopNonces({ secret }).current()] },
    {
      name: "a nonce of another server",
      nonce: () => createDpopNonces({ secret: `${secret}!` }).current(),
    },
    {
      name: "a nonce of the time before the last",
      nonce() {
        vi.setSystemTime(start.getTime() - 600_000);
        const stale = createDpopNonces({ secret }).current();
        vi.setSystemTime(start);
        return stale;
      },
    },
  ])("is refused for check 10, $name, and told a fresh one", async ({ nonce }) => {
    const proof = await sign({ claims: { nonce: nonce() } });
    const attempt = verify({ proof, options: { nonces: { secret } } });
    expect(await refusal(attempt, "use_dpop_nonce")).toBe("proof: no current nonce");
    const refused = ConnectError.from(await attempt.catch((error: unknown) => error));
    expect(refused.metadata.get("dpop-nonce")).toBe(createDpopNonces({ secret }).current());
  });

  test("is refused for check 12, a key that the token is not bound to", async () => {
    const attempt = verify({ proof: await sign({}, other) });
    expect(await refusal(attempt, "invalid_token")).toBe(
      "token: bound to another key than that of the proof",
    );
  });

  test("is refused where it is not there", async () => {
    const attempt = verify({ call: { header: new Headers() } });
    expect(await refusal(attempt)).toBe("proof: there is no DPoP header");
  });

  test.each<{ name: string; jwk: unknown }>([
    { name: "no key", jwk: undefined },
    { name: "null", jwk: null },
    { name: "text", jwk: "key" },
    { name: "a list", jwk: [keys.jwk] },
    { name: "an empty object", jwk: {} },
    { name: "a symmetric key", jwk: { kty: "oct", k: "AAAA" } },
    { name: "an unknown kty", jwk: { ...keys.jwk, kty: "XX" } },
    { name: "an unknown curve", jwk: { ...keys.jwk, crv: "P-255" } },
    { name: "another curve", jwk: { ...keys.jwk, crv: "P-384" } },
    { name: "no y", jwk: { ...keys.jwk, y: undefined } },
    { name: "a point that is not on the curve", jwk: { ...keys.jwk, y: keys.jwk.x } },
    { name: "an x that is a number", jwk: { ...keys.jwk, x: 1 } },
    { name: "key_ops that are text", jwk: { ...keys.jwk, key_ops: "verify" } },
    { name: "key_ops without verify", jwk: { ...keys.jwk, key_ops: ["sign"] } },
    { name: "a use for encryption", jwk: { ...keys.jwk, use: "enc" } },
    { name: "an ext that is text", jwk: { ...keys.jwk, ext: "true" } },
    { name: "a short RSA key", jwk: { kty: "RSA", n: "AQAB", e: "AQAB" } },
    { name: "the primes of an RSA key", jwk: { kty: "RSA", n: "AQAB", e: "AQAB", p: "AQAB" } },
  ])("is refused for a jwk that is $name", async ({ jwk }) => {
    const [, payload, signature] = (await sign()).split(".");
    const header = JSON.stringify({ typ: "dpop+jwt", alg: "ES256", jwk });
    const attempt = verify({ proof: `${base64url.encode(header)}.${payload}.${signature}` });
    expect(await refusal(attempt)).toMatch(/^proof: /);
  });

  test.each(["ES256", "Ed25519", "EdDSA"])("passes signed with %s", async (alg) => {
    const own = await createDpopKeys(alg);
    const verifier = createDpopVerifier({ publicOrigins }, 5);
    const call = incomingCall({ dpop: await sign({}, own) });
    await expect(verifier.verify(call, token, own.jkt)).resolves.toBeUndefined();
  });

  test.each(["PS256", "RS256", "ES384"])("passes signed with %s by name only", async (alg) => {
    const own = await createDpopKeys(alg);
    const call = incomingCall({ dpop: await sign({}, own) });
    const asked = createDpopVerifier({ publicOrigins, algorithms: [alg] }, 5);
    await expect(asked.verify(call, token, own.jkt)).resolves.toBeUndefined();
    const unasked = createDpopVerifier({ publicOrigins }, 5);
    expect(await refusal(unasked.verify(call, token, own.jkt))).toBe(
      'proof: "alg" (Algorithm) Header Parameter value not allowed',
    );
    expect(await refusal(asked.verify(incomingCall({}), token, own.jkt), undefined, alg)).toBe(
      "proof: there is no DPoP header",
    );
  });

  test("is refused that is signed with RSA of 1024 bits", async () => {
    const weak = generateKeyPairSync("rsa", { modulusLength: 1024 });
    const header = { typ: "dpop+jwt", alg: "PS256", jwk: weak.publicKey.export({ format: "jwk" }) };
    const [, payload] = (await sign()).split(".");
    const input = `${base64url.encode(JSON.stringify(header))}.${payload}`;
    const signature = signBytes("sha256", Buffer.from(input), {
      key: weak.privateKey,
      padding: constants.RSA_PKCS1_PSS_PADDING,
      saltLength: 32,
    });
    const attempt = verify({
      proof: `${input}.${signature.toString("base64url")}`,
      options: { algorithms: ["PS256"] },
    });
    expect(await refusal(attempt, undefined, "PS256")).toBe(
      "proof: PS256 requires key modulusLength to be 2048 bits or larger",
    );
  });

  test("passes check 10 with the nonce of the server", async () => {
    const nonces = { secret };
    const proof = await sign({ claims: { nonce: createDpopNonces(nonces).current() } });
    await expect(verify({ proof, options: { nonces } })).resolves.toBeUndefined();
  });

  test.each([
    { name: "with a jti of 256 characters", claims: { jti: "x".repeat(256) } },
    { name: "with 7 KB", claims: { padding: "x".repeat(5400) } },
    { name: "with claims that are not known here", claims: { aud: "x", exp: nowSeconds + 60 } },
  ])("passes $name", async ({ claims }) => {
    await expect(verify({ proof: await sign({ claims }) })).resolves.toBeUndefined();
  });

  test.each([
    { name: "just before it is too old", iat: nowSeconds - 59.999 },
    { name: "as far ahead as clocks may differ", iat: nowSeconds + 5 },
  ])("passes $name", async ({ iat }) => {
    await expect(verify({ proof: await sign({ claims: { iat } }) })).resolves.toBeUndefined();
  });

  test("may be older where the options say so", async () => {
    const proof = await sign({ claims: { iat: nowSeconds - 100 } });
    const attempt = verify({ proof, options: { maxProofAgeSeconds: 101 } });
    await expect(attempt).resolves.toBeUndefined();
  });
});

describe("htu", () => {
  const path = "/acme.user.v1.UserService/WhoAmI";

  test.each([
    `https://api.test${path}`,
    `http://localhost:8080${path}`,
    `HTTPS://API.TEST${path}`,
    `https://api.test:443${path}`,
    `https://api.test:${path}`,
    `https://api.test/a/../.${path}`,
    `https://api.test/%61cme.user.v1.UserService/Who%41m%49`,
    `https://api.test${path}?a=b&c=/d`,
    `https://api.test${path}#fragment`,
    `https://api.test${path}?`,
  ])("passes as %s", async (htu) => {
    await expect(verify({ proof: await sign({ claims: { htu } }) })).resolves.toBeUndefined();
  });

  test.each<unknown>([
    `https://evil.test${path}`,
    `http://api.test${path}`,
    `https://api.test:8443${path}`,
    `https://localhost:8080${path}`,
    `https://api.test.evil.test${path}`,
    `https://user@api.test${path}`,
    `https://evil.test\\@api.test${path}`,
    `https:\\\\api.test${path}`,
    `https:api.test${path}`,
    ` https://api.test${path}`,
    `https://api.test${path}/`,
    `https://api.test/${path}`,
    `https://api.test${path.toLowerCase()}`,
    `https://api.test${path.replaceAll("/", "%2F")}`,
    `https://api.test${path}%00`,
    `https://api.test/%2561cme.user.v1.UserService/WhoAmI`,
    `https://api.test/acme.user.v1.UserService/Who\tAmI`,
    "https://api.test",
    path,
    "",
    7,
    null,
    ["https://api.test/acme.user.v1.UserService/WhoAmI"],
  ])("is refused as %j", async (htu) => {
    expect(await refusal(verify({ proof: await sign({ claims: { htu } }) }))).toBe(
      `proof: "htu" is not ${path} on one of publicOrigins`,
    );
  });

  test("is compared with the path only of the URL that the client sent", async () => {
    const forged = { url: `https://evil.test${path}` };
    await expect(verify({ call: forged })).resolves.toBeUndefined();
    const proof = await sign({ claims: { htu: `https://evil.test${path}` } });
    expect(await refusal(verify({ proof, call: forged }))).toMatch(/^proof: "htu" is not /);
  });

  test("is compared with a path that was sent in another form", async () => {
    const url = `https://api.test/%7euser${path}?connect=v1`;
    const proof = await sign({ claims: { htu: `https://api.test/~user${path}` } });
    await expect(verify({ proof, call: { url } })).resolves.toBeUndefined();
  });

  test.each([
    ["http://a.test", "http://a.test/"],
    ["http://a.test:80/b", "http://a.test/b"],
    ["http://[::1]:80/b", "http://[::1]/b"],
    ["https://a.test/%7eb%2fc%3a", "https://a.test/~b%2Fc%3A"],
    ["ftp://a.test/b", undefined],
    ["https://[::/b", undefined],
  ])("%s is normalized to %s", (uri, want) => {
    expect(normalizeUri(uri)).toBe(want);
  });
});

describe("a replay", () => {
  test("is refused", async () => {
    const verifier = createDpopVerifier({ publicOrigins }, 5);
    const call = incomingCall({ dpop: await sign() });
    await verifier.verify(call, token, keys.jkt);
    expect(await refusal(verifier.verify(call, token, keys.jkt))).toBe(
      'proof: "jti" was used before',
    );
  });

  test("is refused a hundred times less one where all come together", async () => {
    const verifier = createDpopVerifier({ publicOrigins }, 5);
    const call = incomingCall({ dpop: await sign() });
    const results = await Promise.allSettled(
      Array.from({ length: 100 }, () => verifier.verify(call, token, keys.jkt)),
    );
    expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  });

  test("is refused at each moment of the window", async () => {
    const verifier = createDpopVerifier({ publicOrigins }, 5);
    // made ahead of our clock, which is the longest that a proof can live
    const call = incomingCall({ dpop: await sign({ claims: { iat: nowSeconds + 5 } }) });
    await verifier.verify(call, token, keys.jkt);
    for (const seconds of [1, 59.999, 64.999]) {
      vi.setSystemTime((nowSeconds + seconds) * 1000);
      expect(await refusal(verifier.verify(call, token, keys.jkt))).toBe(
        'proof: "jti" was used before',
      );
    }
    vi.setSystemTime((nowSeconds + 65) * 1000);
    expect(await refusal(verifier.verify(call, token, keys.jkt))).toBe(
      'proof: "iat" is outside of the window',
    );
  });

  test.each([
    { clockToleranceSeconds: 5, seconds: 65 },
    { clockToleranceSeconds: 0, seconds: 61 },
  ])("is known by the key and the jti for $seconds s", async (given) => {
    const added: [string, Date][] = [];
    const replayStore: ReplayStore = {
      add: async (key, expiresAt) => added.push([key, expiresAt]) > 0,
    };
    const verifier = createDpopVerifier(
      { publicOrigins, replayStore },
      given.clockToleranceSeconds,
    );
    const call = incomingCall({ dpop: await sign({ claims: { jti: "one" } }) });
    await verifier.verify(call, token, keys.jkt);
    const key = hashToken(`${keys.jkt}|one`);
    expect(added).toEqual([[key, new Date((nowSeconds + given.seconds) * 1000)]]);
  });

  test("is none where another key uses the same jti", async () => {
    const verifier = createDpopVerifier({ publicOrigins }, 5);
    const proof = { claims: { jti: "same" } };
    await verifier.verify(incomingCall({ dpop: await sign(proof) }), token, keys.jkt);
    const theirs = incomingCall({ dpop: await sign(proof, other) });
    await expect(verifier.verify(theirs, token, other.jkt)).resolves.toBeUndefined();
  });

  test.each<{ name: string; call: Partial<IncomingCall>; token?: string; jkt?: string }>([
    { name: "another method", call: { requestMethod: "GET" } },
    { name: "another path", call: { url: "https://api.test/other" } },
    { name: "another token", call: {}, token: "another.access.token" },
    { name: "another key", call: {}, jkt: "another" },
  ])("is none after a refusal for $name", async ({ call, ...wrong }) => {
    const verifier = createDpopVerifier({ publicOrigins }, 5);
    const good = incomingCall({ dpop: await sign() });
    await expect(
      verifier.verify({ ...good, ...call }, wrong.token ?? token, wrong.jkt ?? keys.jkt),
    ).rejects.toThrow(ConnectError);
    await expect(verifier.verify(good, token, keys.jkt)).resolves.toBeUndefined();
  });

  test("is none of a proof that came before its time", async () => {
    const verifier = createDpopVerifier({ publicOrigins }, 5);
    const call = incomingCall({ dpop: await sign({ claims: { iat: nowSeconds + 6 } }) });
    expect(await refusal(verifier.verify(call, token, keys.jkt))).toBe(
      'proof: "iat" is outside of the window',
    );
    vi.setSystemTime((nowSeconds + 1) * 1000);
    await expect(verifier.verify(call, token, keys.jkt)).resolves.toBeUndefined();
  });

  test("is none after the store did not answer", async () => {
    const add = vi.fn(async () => true).mockRejectedValueOnce(new Error("connection lost"));
    const verifier = createDpopVerifier({ publicOrigins, replayStore: { add } }, 5);
    const call = incomingCall({ dpop: await sign() });
    await expect(verifier.verify(call, token, keys.jkt)).rejects.toMatchObject({
      code: Code.Unavailable,
      rawMessage: "credentials cannot be verified at the moment",
    });
    await expect(verifier.verify(call, token, keys.jkt)).resolves.toBeUndefined();
  });

  test("is none after a refusal for a missing nonce", async () => {
    const replayStore = { add: vi.fn(async () => true) };
    const options = { replayStore, nonces: { secret } };
    await refusal(verify({ options }), "use_dpop_nonce");
    expect(replayStore.add).not.toHaveBeenCalled();
  });

  test.each<{ name: string; replayStore: ReplayStore; reason: string }>([
    {
      name: "rejects",
      replayStore: { add: () => Promise.reject(new Error("connection lost")) },
      reason: "replay store: connection lost",
    },
    {
      name: "throws",
      replayStore: {
        add() {
          throw new TypeError("not connected");
        },
      },
      reason: "replay store: not connected",
    },
    {
      name: "rejects with something else",
      replayStore: { add: () => Promise.reject("gone") },
      reason: "replay store: failed",
    },
  ])("cannot be told where the store $name: Unavailable", async ({ replayStore, reason }) => {
    const error = await verify({ options: { replayStore } }).catch((error: unknown) => error);
    expect.assert(error instanceof ConnectError);
    expect(error).toMatchObject({
      code: Code.Unavailable,
      rawMessage: "credentials cannot be verified at the moment",
      cause: new Error(reason),
    });
  });

  test("is what a store says that says nothing", async () => {
    const replayStore: ReplayStore = { add: async () => JSON.parse("null") };
    expect(await refusal(verify({ options: { replayStore } }))).toBe(
      'proof: "jti" was used before',
    );
  });
});

describe("nonces", () => {
  const nonces = createDpopNonces({ secret, lifetimeSeconds: 100 });

  test("are the same wherever the secret is", () => {
    const bytes = new TextEncoder().encode(secret);
    const replica = createDpopNonces({ secret: bytes, lifetimeSeconds: 100 });
    expect(replica.judge(nonces.current())).toBe("current");
    expect(nonces.current()).toMatch(/^[\w-]{43}$/);
  });

  test("are foreign where the secret is not, and each process has its own by default", () => {
    expect(createDpopNonces({ secret: `${secret}!` }).judge(nonces.current())).toBe("unknown");
    const own = createDpopNonces(true);
    expect(own.judge(own.current())).toBe("current");
    expect(createDpopNonces(true).judge(own.current())).toBe("unknown");
  });

  test("are current for one lifetime, accepted for another, and stale then", () => {
    vi.setSystemTime(1_000_000_000_000);
    const nonce = nonces.current();
    const judgedAfter = (seconds: number) => {
      vi.setSystemTime(1_000_000_000_000 + seconds * 1000);
      return nonces.judge(nonce);
    };
    expect([0, 99.999, 100, 199.999, 200, 1e6].map(judgedAfter)).toEqual([
      "current",
      "current",
      "previous",
      "previous",
      "unknown",
      "unknown",
    ]);
  });

  test.each([undefined, null, "", "x", 7, ["x"]])("are not %j", (nonce) => {
    expect(nonces.judge(nonce)).toBe("unknown");
  });

  test.each<{ name: string; options: unknown; message: string }>([
    {
      name: "a short secret",
      options: { secret: "0123456789" },
      message: "dpop.nonces.secret has 10 bytes, it needs at least 32",
    },
    {
      name: "no secret",
      options: {},
      message: "dpop.nonces.secret must be a string or a Uint8Array",
    },
    {
      name: "a lifetime of nothing",
      options: { secret, lifetimeSeconds: 0 },
      message: "dpop.nonces.lifetimeSeconds 0 must be a number of seconds, at least 1",
    },
    {
      name: "a misspelt option",
      options: { secret, lifetime: 1 },
      message: 'dpop.nonces has no option "lifetime"; there are secret, lifetimeSeconds',
    },
    {
      name: "false",
      options: false,
      message: "dpop.nonces takes an object of options",
    },
  ])("are not made of $name", ({ options, message }) => {
    const given = JSON.parse(JSON.stringify(options));
    expect(() => createDpopNonces(given)).toThrow(new TypeError(message));
  });
});

describe("the options of dpop reject", () => {
  const known = "ES256, Ed25519, EdDSA, ES384, ES512, PS256, PS384, PS512, RS256, RS384, RS512";

  test.each<{ name: string; options: object; message: string }>([
    {
      name: "no origins",
      options: {},
      message: "dpop.publicOrigins must be a list of one or more origins",
    },
    {
      name: "an empty list of origins",
      options: { publicOrigins: [] },
      message: "dpop.publicOrigins must be a list of one or more origins",
    },
    ...[
      "",
      "api.test",
      "ftp://api.test",
      "https://api.test/v1",
      "https://api.test?",
      "https://user:pw@api.test",
      null,
    ].map((origin) => ({
      name: `the origin ${JSON.stringify(origin)}`,
      options: { publicOrigins: ["https://api.test", origin] },
      message: `dpop.publicOrigins ${JSON.stringify(origin)} must be an origin such as "https://api.acme.dev"`,
    })),
    ...[["none"], ["HS256"], ["ES256", "HS256"], [], "ES256"].map((algorithms) => ({
      name: `the algorithms ${JSON.stringify(algorithms)}`,
      options: { publicOrigins, algorithms },
      message: `dpop.algorithms ${JSON.stringify(algorithms)} must be of those that proofs are signed with: ${known}`,
    })),
    {
      name: "a store that is none",
      options: { publicOrigins, replayStore: {} },
      message: "dpop.replayStore must have a method add",
    },
    {
      name: "text for a switch",
      options: { publicOrigins, required: "false" },
      message: 'dpop.required "false" must be true or false',
    },
    {
      name: "an age of nothing",
      options: { publicOrigins, maxProofAgeSeconds: 0 },
      message: "dpop.maxProofAgeSeconds 0 must be a number of seconds above 0",
    },
    {
      name: "a misspelt option",
      options: { publicOrigins, nonce: true },
      message:
        'dpop has no option "nonce"; there are publicOrigins, replayStore, nonces, required, algorithms, maxProofAgeSeconds',
    },
  ])("$name", ({ options, message }) => {
    const given = JSON.parse(JSON.stringify(options));
    expect(() => createDpopVerifier(given, 5)).toThrow(new TypeError(message));
  });

  test("nothing that is given as an origin with a slash or in capitals", async () => {
    const options = { publicOrigins: ["HTTPS://API.test:443/"] };
    await expect(verify({ options })).resolves.toBeUndefined();
  });
});

describe("whatever comes as a proof is refused, and nothing else happens", () => {
  const verifier = createDpopVerifier({ publicOrigins }, 5);
  const judge = (proof: string) =>
    refusal(verifier.verify(incomingCall({ dpop: proof }), token, keys.jkt));
  const visible = fc.string({
    unit: fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code)),
  });
  const segment = fc.oneof(
    fc.json().map((json) => base64url.encode(json)),
    fc.uint8Array().map((bytes) => base64url.encode(bytes)),
  );

  test("text", async () => {
    await fc.assert(
      fc.asyncProperty(visible, async (text) => {
        expect(await judge(text)).toMatch(/^proof: /);
      }),
      { numRuns: 300 },
    );
  });

  test("three segments", async () => {
    await fc.assert(
      fc.asyncProperty(segment, segment, segment, async (header, payload, signature) => {
        expect(await judge(`${header}.${payload}.${signature}`)).toMatch(/^proof: /);
      }),
      { numRuns: 300 },
    );
  });

  test("a key of anything", async () => {
    const member = fc.oneof(fc.constantFrom(...Object.values(keys.jwk)), fc.jsonValue());
    const names = fc.constantFrom("kty", "crv", "x", "y", "n", "e", "k", "alg", "use", "key_ops");
    const jwk = fc.oneof(fc.jsonValue(), fc.dictionary(names, member));
    const alg = fc.constantFrom("ES256", "EdDSA", "Ed25519", "HS256", "none");
    const [, payload, signature] = (await sign()).split(".");
    await fc.assert(
      fc.asyncProperty(jwk, alg, async (jwk, alg) => {
        const header = base64url.encode(JSON.stringify({ typ: "dpop+jwt", alg, jwk }));
        expect(await judge(`${header}.${payload}.${signature}`)).toMatch(/^proof: /);
      }),
      { numRuns: 300 },
    );
  });

  test("a signed proof with claims of anything", async () => {
    const claim = fc.oneof(fc.jsonValue(), fc.constant(undefined));
    const claims = fc.record({ jti: claim, htm: claim, htu: claim, iat: claim, ath: claim });
    await fc.assert(
      fc.asyncProperty(claims, async (claims) => {
        expect(await judge(await sign({ claims }))).toMatch(/^proof: /);
      }),
      { numRuns: 300 },
    );
  });
});
