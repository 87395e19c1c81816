import assert from "node:assert/strict";
import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import { Auth, AuthError, buildAuthHeader, isBasicAuth, isJwtAuth } from "../../src/index.js";

const secret = "s3cr3t-token-value";

describe("Auth", () => {
  test.each([
    { made: Auth.jwt(secret), want: { type: "jwt", token: secret } },
    {
      made: Auth.jwt(secret, { expiresAt: new Date(0) }),
      want: { type: "jwt", token: secret, expiresAt: new Date(0) },
    },
    { made: Auth.bearer(secret), want: { type: "bearer", token: secret } },
    { made: Auth.basic("u", secret), want: { type: "basic", user: "u", password: secret } },
    {
      made: Auth.gateway({ secret, subject: "a" }),
      want: { type: "gateway", secret, subject: "a", roles: [] },
    },
    { made: Auth.header("X-Key", secret), want: { type: "header", name: "X-Key", value: secret } },
    {
      made: Auth.session(secret, { cookie: "sid" }),
      want: { type: "session", token: secret, cookie: "sid" },
    },
    { made: Auth.none(), want: { type: "none" } },
    { made: Auth.all(Auth.none()), want: { type: "all", auths: [{ type: "none" }] } },
  ])("makes plain data: $want.type", ({ made, want }) => {
    expect(made).toStrictEqual(want);
    assert.deepEqual(Object.keys(made), Object.keys(want));
  });

  test.each([
    Auth.jwt(secret),
    Auth.bearer(secret),
    Auth.basic("u", secret),
    Auth.gateway({ secret, subject: "a" }),
    Auth.header("x-key", secret),
    Auth.session(secret),
    Auth.dpop(secret, () => secret),
    Auth.all(Auth.jwt(secret), Auth.header("x-key", secret)),
  ])("shows no secret of $type", (auth) => {
    const shown = [
      JSON.stringify({ auth }),
      inspect(auth, { depth: 10 }),
      inspect({ nested: [auth] }, { depth: 10 }),
      String(auth),
    ];
    for (const text of shown) {
      expect(text).not.toContain(secret);
    }
    expect(JSON.stringify(auth)).toBe(JSON.stringify({ type: auth.type }));
  });

  test("isJwtAuth and isBasicAuth tell the kinds apart", () => {
    expect([isJwtAuth(Auth.jwt("t")), isJwtAuth(Auth.basic("u", "p"))]).toEqual([true, false]);
    expect([isBasicAuth(Auth.jwt("t")), isBasicAuth(Auth.basic("u", "p"))]).toEqual([false, true]);
  });
});

describe("buildAuthHeader", () => {
  test.each([Auth.jwt("t"), Auth.bearer("t"), Auth.session("t")])("is Bearer for $type", (auth) => {
    expect(buildAuthHeader(auth)).toBe("Bearer t");
  });

  test("rejects basic, which is only for a login", () => {
    expect(() => buildAuthHeader(Auth.basic("alice", secret))).toThrow(
      new AuthError("credentials_invalid", "a password is for a login: exchange it for a token"),
    );
  });

  test.each([
    Auth.gateway({ secret, subject: "a" }),
    Auth.header("x-key", secret),
    Auth.session(secret, { cookie: "sid" }),
    Auth.dpop(secret, () => ""),
    Auth.none(),
  ])("rejects $type, which is no Authorization header by itself", (auth) => {
    expect(() => buildAuthHeader(auth)).toThrow(
      new AuthError(
        "credentials_invalid",
        `a credential of type "${auth.type}" is not an Authorization header by itself`,
      ),
    );
  });
});
