import { inspect } from "node:util";
import { Code, ConnectError } from "@connectrpc/connect";
import { decodeJwt, decodeProtectedHeader } from "jose";
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import {
  createJwtAuthInterceptor,
  type JwtAuthInterceptorOptions,
} from "../../src/server/index.js";
import {
  startTestIssuer,
  type TestIssuer,
  type TestIssuerOptions,
  type TestIssuerOutage,
} from "../../src/testing/index.js";
import { incomingCall } from "../support/incoming-call.js";

const audience = "https://api.test";

// the server's timers are real, as are its sockets
beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date"], now: 1_800_000_000_000 });
});
afterEach(() => {
  vi.useRealTimers();
});

function pass(seconds: number): void {
  vi.setSystemTime(Date.now() + seconds * 1000);
}

async function start(options: TestIssuerOptions = { audience }): Promise<TestIssuer> {
  const issuer = await startTestIssuer(options);
  onTestFinished(issuer.close);
  return issuer;
}

function serverOf(issuer: TestIssuer, options: Partial<JwtAuthInterceptorOptions> = {}) {
  return createJwtAuthInterceptor({
    jwksUri: issuer.jwksUri,
    issuer: issuer.issuer,
    audience,
    ...options,
  });
}

/** `ok`, or the code of the refusal and why. */
async function outcome(server: ReturnType<typeof serverOf>, token: string): Promise<string> {
  try {
    await server.authenticate(incomingCall({ authorization: `Bearer ${token}` }));
    return "ok";
  } catch (error) {
    const { code, cause } = ConnectError.from(error);
    return `${Code[code]}: ${cause instanceof Error ? cause.message : ""}`;
  }
}

const unknownKey = "Unauthenticated: token: no applicable key found in the JSON Web Key Set";
const badSignature = "Unauthenticated: token: signature verification failed";

describe("startTestIssuer", () => {
  test.each(["ES256", "RS256", "EdDSA"] as const)(
    "signs with %s what servers accept",
    async (algorithm) => {
      const issuer = await start({ audience, algorithms: [algorithm] });
      const token = await issuer.createToken({ sub: "alice", roles: ["admin"] });
      expect(decodeProtectedHeader(token)).toEqual({
        alg: algorithm,
        kid: `${algorithm.toLowerCase()}-1`,
        typ: "at+jwt",
      });
      const server = serverOf(issuer, { algorithms: [algorithm] });
      expect(await outcome(server, token)).toBe("ok");
    },
  );

  test("signs with any of its algorithms, the first by default", async () => {
    const issuer = await start({ audience, algorithms: ["EdDSA", "ES256"] });
    const first = await issuer.createToken({ sub: "alice" });
    const second = await issuer.createToken({ sub: "alice" }, { algorithm: "ES256" });
    expect(decodeProtectedHeader(first).alg).toBe("EdDSA");
    const server = serverOf(issuer, { algorithms: ["ES256"] });
    expect(await outcome(server, second)).toBe("ok");
    expect(await outcome(server, first)).toBe(
      'Unauthenticated: token: "alg" (Algorithm) Header Parameter value not allowed',
    );
  });

  test("issues tokens in its name, for its audience, for an hour", async () => {
    const issuer = await start();
    expect(decodeJwt(await issuer.createToken({ sub: "alice" }))).toEqual({
      sub: "alice",
      iss: issuer.issuer,
      aud: audience,
      iat: 1_800_000_000,
      exp: 1_800_003_600,
    });
  });

  test("lets claims stand for its own, and options for both", async () => {
    const issuer = await start();
    const claims = { iss: "somebody else", aud: undefined, exp: undefined };
    expect(decodeJwt(await issuer.createToken(claims))).toEqual({
      iss: "somebody else",
      iat: 1_800_000_000,
    });
    const options = { audience: ["a", "b"], expiresIn: "-1m" };
    expect(decodeJwt(await issuer.createToken({ aud: "c", exp: 1 }, options))).toMatchObject({
      aud: ["a", "b"],
      exp: 1_799_999_940,
    });
  });

  test("counts how often its keys are asked for", async () => {
    const issuer = await start();
    expect(issuer.requests).toBe(0);
    const server = serverOf(issuer);
    const tokens = await Promise.all(
      [1, 2, 3].map((n) => issuer.createToken({ sub: `user-${n}` })),
    );
    for (const token of tokens) {
      expect(await outcome(server, token)).toBe("ok");
    }
    expect(issuer.requests).toBe(1);
    await fetch(`${issuer.issuer}/.well-known/openid-configuration`);
    expect(issuer.requests).toBe(1);
  });

  test("publishes metadata, and no private key", async () => {
    const issuer = await start({ algorithms: ["RS256", "ES256", "EdDSA"] });
    for (const name of ["oauth-authorization-server", "openid-configuration"]) {
      const response = await fetch(`${issuer.issuer}/.well-known/${name}`);
      expect(response.status).toBe(200);
      expect(response.headers.get("content-type")).toBe("application/json");
      expect(await response.json()).toMatchObject({
        issuer: issuer.issuer,
        jwks_uri: issuer.jwksUri,
        id_token_signing_alg_values_supported: ["RS256", "ES256", "EdDSA"],
      });
    }
    for (const url of [issuer.jwksUri, `${issuer.issuer}/.well-known/jwks.json?a=b`]) {
      const { keys } = await (await fetch(url)).json();
      expect(keys).toEqual([
        { kty: "RSA", n: expect.any(String), e: "AQAB", kid: "rs256-1", alg: "RS256", use: "sig" },
        {
          kty: "EC",
          crv: "P-256",
          x: expect.any(String),
          y: expect.any(String),
          kid: "es256-1",
          alg: "ES256",
          use: "sig",
        },
        {
          kty: "OKP",
          crv: "Ed25519",
          x: expect.any(String),
          kid: "eddsa-1",
          alg: "EdDSA",
          use: "sig",
        },
      ]);
    }
    expect(inspect(issuer, { depth: 10, showHidden: true })).not.toContain("CryptoKey");
  });

  test.each([
    { name: "another path", path: "/token", method: "GET" },
    { name: "a path of every object", path: "/__proto__", method: "GET" },
    { name: "another method", path: "/jwks", method: "POST" },
  ])("answers 404 to $name", async ({ path, method }) => {
    const issuer = await start();
    const response = await fetch(`${issuer.issuer}${path}`, { method });
    expect(response.status).toBe(404);
  });

  test("serves this machine only, each on a port of its own", async () => {
    const [first, second] = [await start(), await start()];
    expect(new URL(first.issuer).hostname).toBe("127.0.0.1");
    expect(first.issuer).not.toBe(second.issuer);
    // the same kid, and another key
    const token = await second.createToken({ sub: "alice", iss: first.issuer });
    expect(await outcome(serverOf(first), token)).toBe(badSignature);
  });

  test("ends with close(), which may be called twice, and at the end of a block", async () => {
    const issuer = await startTestIssuer();
    await fetch(issuer.jwksUri);
    await Promise.all([issuer.close(), issuer.close()]);
    await expect(fetch(issuer.jwksUri)).rejects.toThrow(new TypeError("fetch failed"));
    let jwksUri: string;
    {
      await using another = await startTestIssuer();
      jwksUri = another.jwksUri;
      expect((await fetch(jwksUri)).status).toBe(200);
    }
    await expect(fetch(jwksUri)).rejects.toThrow(new TypeError("fetch failed"));
  });
});

describe("a token that servers refuse", () => {
  test("is forged", async () => {
    const issuer = await start();
    const server = serverOf(issuer);
    const forged = await issuer.createToken({ sub: "alice" }, { forged: true });
    expect(decodeProtectedHeader(forged).kid).toBe("es256-1");
    expect(await outcome(server, forged)).toBe(badSignature);
  });

  test("names a key that nobody knows", async () => {
    const issuer = await start();
    const token = await issuer.createToken({ sub: "alice" }, { kid: "stranger" });
    expect(await outcome(serverOf(issuer), token)).toBe(unknownKey);
  });

  test("is for others", async () => {
    const issuer = await start();
    const token = await issuer.createToken({ sub: "alice" }, { audience: "https://other.test" });
    expect(await outcome(serverOf(issuer), token)).toBe(
      'Unauthenticated: token: unexpected "aud" claim value',
    );
  });

  test("has expired", async () => {
    const issuer = await start();
    const token = await issuer.createToken({ sub: "alice" }, { expiresIn: "10m" });
    const server = serverOf(issuer);
    expect(await outcome(server, token)).toBe("ok");
    pass(606);
    expect(await outcome(server, token)).toBe(
      'Unauthenticated: token: "exp" claim timestamp check failed',
    );
  });
});

describe("rotateKeys", () => {
  test("signs with a new key, and leaves the tokens of the one before valid", async () => {
    const issuer = await start();
    const server = serverOf(issuer);
    const before = await issuer.createToken({ sub: "alice" });
    expect(await outcome(server, before)).toBe("ok");
    await issuer.rotateKeys();
    const after = await issuer.createToken({ sub: "alice" });
    expect(decodeProtectedHeader(after).kid).toBe("es256-2");
    pass(31);
    expect(await outcome(server, after)).toBe("ok");
    expect(await outcome(server, before)).toBe("ok");
    expect(issuer.requests).toBe(2);
  });

  test("makes the tokens of the key before worthless, without overlap", async () => {
    const issuer = await start();
    const before = await issuer.createToken({ sub: "alice" });
    await issuer.rotateKeys({ overlap: true });
    const between = await issuer.createToken({ sub: "alice" });
    const server = serverOf(issuer);
    expect(await outcome(server, before)).toBe("ok");
    expect(await outcome(server, between)).toBe("ok");
    await issuer.rotateKeys({ overlap: false });
    pass(31);
    expect(await outcome(server, await issuer.createToken({ sub: "alice" }))).toBe("ok");
    expect(await outcome(server, before)).toBe(unknownKey);
    expect(await outcome(server, between)).toBe(unknownKey);
  });

  test("is found at the first token by a server that has waited long enough", async () => {
    const issuer = await start();
    const server = serverOf(issuer);
    expect(await outcome(server, await issuer.createToken({ sub: "alice" }))).toBe("ok");
    await issuer.rotateKeys();
    const after = await issuer.createToken({ sub: "alice" });
    pass(29);
    expect(await outcome(server, after)).toBe(unknownKey);
    pass(2);
    expect(await outcome(server, after)).toBe("ok");
  });

  test("rotates the keys of all algorithms", async () => {
    const issuer = await start({ algorithms: ["ES256", "EdDSA"] });
    await issuer.rotateKeys({ overlap: false });
    const { keys } = await (await fetch(issuer.jwksUri)).json();
    expect(keys.map(({ kid }: { kid: string }) => kid)).toEqual(["es256-2", "eddsa-2"]);
  });
});

describe("goDown", () => {
  test.each<{ name: string; outage?: TestIssuerOutage; reason: string }>([
    { name: "by default", reason: "no answer" },
    { name: "unreachable", outage: "unreachable", reason: "no answer" },
    { name: "with a status", outage: 500, reason: "status 500" },
    { name: "with another status", outage: 429, reason: "status 429" },
  ])("makes the keys unavailable, $name, until comeBack", async ({ outage, reason }) => {
    const issuer = await start();
    const known = serverOf(issuer);
    const token = await issuer.createToken({ sub: "alice" });
    expect(await outcome(known, token)).toBe("ok");

    issuer.goDown(outage);
    const fresh = serverOf(issuer);
    expect(await outcome(fresh, token)).toContain(`Unavailable: ${issuer.jwksUri}: ${reason}`);
    expect(await outcome(fresh, token)).toContain("not asked again yet");
    expect(issuer.requests).toBe(2);
    expect(await outcome(known, await issuer.createToken({ sub: "bob" }))).toBe("ok");

    issuer.comeBack();
    pass(2);
    expect(await outcome(fresh, token)).toBe("ok");
    expect(issuer.requests).toBe(3);
  });

  test("leaves a request without an answer where it is silent", async () => {
    const issuer = await start();
    issuer.goDown("silent");
    const controller = new AbortController();
    const request = fetch(issuer.jwksUri, { signal: controller.signal });
    await vi.waitFor(() => expect(issuer.requests).toBe(1));
    controller.abort(new Error("waited long enough"));
    await expect(request).rejects.toThrow(new Error("waited long enough"));
    issuer.comeBack();
    expect((await fetch(issuer.jwksUri)).status).toBe(200);
  });

  test("does not keep close() waiting where it is silent", async () => {
    const issuer = await startTestIssuer();
    issuer.goDown("silent");
    const request = fetch(issuer.jwksUri).catch((error) => error);
    await vi.waitFor(() => expect(issuer.requests).toBe(1));
    await issuer.close();
    expect(await request).toEqual(new TypeError("fetch failed"));
  });

  test("takes the metadata down as well", async () => {
    const issuer = await start();
    issuer.goDown(503);
    const { status } = await fetch(`${issuer.issuer}/.well-known/openid-configuration`);
    expect(status).toBe(503);
    expect(issuer.requests).toBe(0);
  });

  test.each<{ outage: unknown; shown: string }>([
    { outage: "offline", shown: '"offline"' },
    { outage: 200, shown: "200" },
    { outage: 600, shown: "600" },
    { outage: 500.5, shown: "500.5" },
    { outage: null, shown: "null" },
  ])("rejects $shown", async ({ outage, shown }) => {
    const issuer = await start();
    // as JavaScript would
    expect(() => Reflect.apply(issuer.goDown, issuer, [outage])).toThrow(
      new TypeError(`outage ${shown} must be "unreachable", "silent", or a status from 400 to 599`),
    );
    expect((await fetch(issuer.jwksUri)).status).toBe(200);
  });
});

describe("startTestIssuer rejects", () => {
  test("an unknown option", async () => {
    // @ts-expect-error the option is called algorithms
    await expect(startTestIssuer({ algorithm: "ES256" })).rejects.toThrow(
      new TypeError('startTestIssuer has no option "algorithm"; there are algorithms, audience'),
    );
  });

  test.each([
    { name: "none", algorithms: [] },
    { name: "another one", algorithms: ["ES256", "HS256"] },
    { name: "a text", algorithms: "ES256" },
  ])("algorithms that are $name", async ({ algorithms }) => {
    const options: TestIssuerOptions = JSON.parse(JSON.stringify({ algorithms }));
    await expect(startTestIssuer(options)).rejects.toThrow(
      new TypeError(
        `algorithms ${JSON.stringify(algorithms)} must be one or more of ES256, RS256, EdDSA`,
      ),
    );
  });

  test("a token with an algorithm that it has no key of", async () => {
    const issuer = await start();
    await expect(issuer.createToken({ sub: "alice" }, { algorithm: "RS256" })).rejects.toThrow(
      new TypeError(
        'this issuer does not sign with "RS256"; startTestIssuer({ algorithms: ["ES256", "RS256"] }) does',
      ),
    );
    // @ts-expect-error there is no such algorithm
    await expect(issuer.createToken({}, { algorithm: "none" })).rejects.toThrow(TypeError);
  });

  test("an unknown option of a token, or of a rotation", async () => {
    const issuer = await start();
    // @ts-expect-error the option is called kid
    await expect(issuer.createToken({}, { keyId: "x" })).rejects.toThrow(
      new TypeError(
        'createToken has no option "keyId"; there are algorithm, expiresIn, audience, kid, forged',
      ),
    );
    // @ts-expect-error the option is called overlap
    await expect(issuer.rotateKeys({ keepOld: false })).rejects.toThrow(
      new TypeError('rotateKeys has no option "keepOld"; there are overlap'),
    );
  });

  test("claims that are none", async () => {
    const issuer = await start();
    // @ts-expect-error claims are an object
    await expect(issuer.createToken("alice")).rejects.toThrow(
      new TypeError('claims must be an object of claims, such as { sub: "alice" }'),
    );
  });
});
