import { Code, ConnectError } from "@connectrpc/connect";
import { decodeJwt, decodeProtectedHeader } from "jose";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  createJwtAuthInterceptor,
  type JwtAuthInterceptorOptions,
} from "../../src/server/index.js";
import { createTestJwt, TEST_JWT_SECRET, type TestJwtOptions } from "../../src/testing/index.js";
import { useFakeTime, useRealTime } from "../support/fake-time.js";
import { incomingCall } from "../support/incoming-call.js";

const nowSeconds = 1_800_000_000;
beforeEach(() => useFakeTime(nowSeconds * 1000));
afterEach(useRealTime);

/** Who a server takes the caller for, or why it refuses. */
async function identify(token: string, options: Partial<JwtAuthInterceptorOptions> = {}) {
  const auth = createJwtAuthInterceptor({ secret: TEST_JWT_SECRET, ...options });
  return auth.authenticate(incomingCall({ authorization: `Bearer ${token}` }));
}

async function reasonOf(refused: Promise<unknown>): Promise<unknown> {
  const error = await refused.then(() => undefined, ConnectError.from);
  expect(error).toMatchObject({ code: Code.Unauthenticated, rawMessage: "invalid token" });
  return error?.cause;
}

describe("TEST_JWT_SECRET", () => {
  test("is long enough for every HMAC", () => {
    const algorithms = ["HS256", "HS384", "HS512"];
    const options = { secret: TEST_JWT_SECRET, algorithms };
    expect(createJwtAuthInterceptor(options).challenge).toContain("Bearer");
    expect(() =>
      createJwtAuthInterceptor({ ...options, secret: TEST_JWT_SECRET.slice(0, 63) }),
    ).toThrow(new TypeError("secret has 63 bytes, HS512 needs at least 64 (RFC 7518 §3.2)"));
  });
});

describe("createTestJwt", () => {
  test("makes a token that servers with the secret accept", async () => {
    const token = await createTestJwt({
      sub: "alice",
      name: "Alice",
      roles: ["admin"],
      scope: "users:read users:write",
    });
    expect(await identify(token)).toMatchObject({
      subject: "alice",
      name: "Alice",
      roles: ["admin"],
      scopes: ["users:read", "users:write"],
      expiresAt: new Date((nowSeconds + 3600) * 1000),
    });
  });

  test("says what the payload says, when it was issued and when it expires", async () => {
    const token = await createTestJwt({ sub: "alice", tenant: { id: 7 } });
    expect(decodeProtectedHeader(token)).toEqual({ alg: "HS256", typ: "JWT" });
    expect(decodeJwt(token)).toEqual({
      sub: "alice",
      tenant: { id: 7 },
      iat: nowSeconds,
      exp: nowSeconds + 3600,
    });
  });

  test("names nobody where the payload does not, and is refused", async () => {
    const token = await createTestJwt({ roles: ["admin"] });
    expect(decodeJwt(token)).not.toHaveProperty("sub");
    expect(await reasonOf(identify(token))).toEqual(new Error('token: no subject in "sub"'));
  });

  test("takes issuer and audience", async () => {
    const options = { issuer: "https://issuer.test", audience: ["https://api.test", "other"] };
    const token = await createTestJwt({ sub: "alice" }, options);
    const identity = await identify(token, {
      issuer: "https://issuer.test",
      audience: "https://api.test",
    });
    expect(identity).toMatchObject({
      claims: { iss: "https://issuer.test", aud: ["https://api.test", "other"] },
    });
  });

  test.each<{ expiresIn: number | string; seconds: number }>([
    { expiresIn: "2h", seconds: 7200 },
    { expiresIn: "30 minutes", seconds: 1800 },
    { expiresIn: 90, seconds: 90 },
    { expiresIn: -60, seconds: -60 },
    { expiresIn: "-1m", seconds: -60 },
  ])("is valid for $expiresIn", async ({ expiresIn, seconds }) => {
    const { exp } = decodeJwt(await createTestJwt({ sub: "alice" }, { expiresIn }));
    expect(exp).toBe(nowSeconds + seconds);
  });

  test("is refused when it has expired", async () => {
    const token = await createTestJwt({ sub: "alice" }, { expiresIn: "-1m" });
    expect(await reasonOf(identify(token))).toEqual(
      new Error('token: "exp" claim timestamp check failed'),
    );
  });

  test("leaves times to the payload, and drops claims that are undefined", async () => {
    const iat = nowSeconds - 500;
    const exp = nowSeconds + 5;
    expect(decodeJwt(await createTestJwt({ iat, exp, sub: undefined }))).toEqual({ iat, exp });
    expect(decodeJwt(await createTestJwt({ exp: undefined }))).toEqual({ iat: nowSeconds });
  });

  test("counts options more than claims of the same meaning", async () => {
    const token = await createTestJwt(
      { iss: "payload", aud: "payload", exp: 1 },
      { issuer: "option", audience: "option", expiresIn: 60 },
    );
    expect(decodeJwt(token)).toEqual({
      iss: "option",
      aud: "option",
      iat: nowSeconds,
      exp: nowSeconds + 60,
    });
  });

  test.each<{ name: string; options: object; message: string }>([
    {
      name: "an unknown option",
      options: { expires: "2h" },
      message: 'createTestJwt has no option "expires"; there are expiresIn, issuer, audience',
    },
    {
      name: "a text that is no time",
      options: { expiresIn: "soon" },
      message: 'expiresIn "soon" must be a number of seconds, or text such as "2h"',
    },
    {
      name: "a number that is no time",
      options: { expiresIn: Number.NaN },
      message: 'expiresIn NaN must be a number of seconds, or text such as "2h"',
    },
    {
      name: "a time of another kind",
      options: { expiresIn: new Date(0) },
      message: "expiresIn",
    },
  ])("rejects $name", async ({ options, message }) => {
    const given: TestJwtOptions = options;
    const error = await createTestJwt({ sub: "alice" }, given).catch((cause) => cause);
    expect(error).toBeInstanceOf(TypeError);
    expect(error.message.slice(0, message.length)).toBe(message);
  });

  test("rejects a payload that is no object", async () => {
    // @ts-expect-error a payload is an object
    await expect(createTestJwt("alice")).rejects.toThrow(
      new TypeError('payload must be an object of claims, such as { sub: "alice" }'),
    );
  });

  test("has options with types", async () => {
    // @ts-expect-error a time is text or seconds
    await expect(createTestJwt({}, { expiresIn: true })).rejects.toThrow(TypeError);
    // @ts-expect-error the option is called audience
    await expect(createTestJwt({}, { aud: "api" })).rejects.toThrow(TypeError);
  });
});
