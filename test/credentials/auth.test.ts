import assert from "node:assert/strict";
import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import {
  Auth,
  AuthError,
  buildAuthHeader,
  encodeBasicAuth,
  isAuthenticated,
  isBasicAuth,
  isJwtAuth,
} from "../../src/index.js";

const secret = "s3cr3t-token-value";
/** `undefined`, as a lookup of the user gives it: the compiler does not know. */
const look = <T>(values: Map<string, T>): T | undefined => values.get("left out");
const expiresAt = look(new Map<string, Date>());
const place = look(new Map<string, string>());

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
    { made: Auth.jwt(secret, { expiresAt }), want: { type: "jwt", token: secret } },
    { made: Auth.bearer(secret, { expiresAt }), want: { type: "bearer", token: secret } },
    { made: Auth.session(secret, { cookie: place }), want: { type: "session", token: secret } },
    {
      made: Auth.session(secret, { cookie: undefined, header: "x-session" }),
      want: { type: "session", token: secret, header: "x-session" },
    },
    {
      made: Auth.dpop(secret, String, { expiresAt, onNonce: undefined }),
      want: { type: "dpop", token: secret, prove: String },
    },
  ])("takes an option that is undefined as left out: $want.type", ({ made, want }) => {
    expect(made).toStrictEqual(want);
    assert.deepEqual(Object.keys(made), Object.keys(want));
  });

  test("keeps an empty place, which cannot be sent", () => {
    expect(Auth.session(secret, { cookie: "" })).toStrictEqual({
      type: "session",
      token: secret,
      cookie: "",
    });
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

describe("isAuthenticated", () => {
  test.each([
    Auth.jwt("t"),
    Auth.bearer("t"),
    Auth.basic("u", "p"),
    Auth.header("x-key", "k"),
    Auth.all(Auth.none(), Auth.jwt("t")),
  ])("is true for $type", (auth) => {
    expect(isAuthenticated(auth)).toBe(true);
  });

  test.each([
    { name: "undefined", auth: undefined },
    { name: "none", auth: Auth.none() },
    { name: "none at all", auth: Auth.all() },
    { name: "several that are none", auth: Auth.all(Auth.none(), Auth.all()) },
  ])("is false for $name", ({ auth }) => {
    expect(isAuthenticated(auth)).toBe(false);
  });
});

describe("encodeBasicAuth", () => {
  test.each([
    // RFC 7617 §2 and §2.1
    { user: "Aladdin", password: "open sesame", want: "QWxhZGRpbjpvcGVuIHNlc2FtZQ==" },
    { user: "test", password: "123£", want: "dGVzdDoxMjPCow==" },
    { user: "", password: "", want: "Og==" },
    { user: "u", password: "a:b", want: "dTphOmI=" },
  ])("is the Base64 of $user:$password in UTF-8", ({ user, password, want }) => {
    expect(encodeBasicAuth(user, password)).toBe(want);
  });

  test.each<{ name: string; user: string; password: string; message: string }>([
    {
      name: "a colon in the user name",
      user: secret.replace("-", ":"),
      password: "p",
      message: "a user name with a colon cannot be told from the password (RFC 7617 §2)",
    },
    {
      name: "a line break in the user name",
      user: `${secret}\r\n`,
      password: "p",
      message: "a user name must be text without control characters (RFC 7617 §2)",
    },
    {
      name: "a control character in the password",
      user: "u",
      password: `${secret}\x7f`,
      message: "a password must be text without control characters (RFC 7617 §2)",
    },
    {
      name: "no password",
      user: "u",
      password: JSON.parse("null"),
      message: "a password must be text without control characters (RFC 7617 §2)",
    },
  ])("rejects $name, and shows neither", ({ user, password, message }) => {
    const encode = () => encodeBasicAuth(user, password);
    expect(encode).toThrow(new AuthError("credentials_invalid", message));
    expect(encode).toThrow(expect.objectContaining({ code: "credentials_invalid" }));
  });
});

describe("buildAuthHeader", () => {
  test.each([Auth.jwt("t"), Auth.bearer("t"), Auth.session("t")])("is Bearer for $type", (auth) => {
    expect(buildAuthHeader(auth)).toBe("Bearer t");
  });

  test("rejects basic, which is only for a login", () => {
    expect(() => buildAuthHeader(Auth.basic("alice", secret))).toThrow(
      new AuthError("credentials_invalid", "a password is for passwordLogin()"),
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
