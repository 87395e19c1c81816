import { describe, expect, test } from "vitest";
import { buildAuthHeaders } from "../../src/credentials/auth-headers.js";
import { Auth } from "../../src/index.js";

const target = { htm: "POST", url: "https://api.test/a.v1.S/M?x=1#f" };
const { signal } = new AbortController();
const headersOf = async (auth: Auth) =>
  Object.fromEntries(await buildAuthHeaders(auth, target, signal));

describe("buildAuthHeaders", () => {
  test.each<{ name: string; auth: Auth; want: Record<string, string> }>([
    { name: "a JWT", auth: Auth.jwt("a.b.c"), want: { authorization: "Bearer a.b.c" } },
    {
      name: "a bearer token",
      auth: Auth.bearer("1|x+/="),
      want: { authorization: "Bearer 1|x+/=" },
    },
    { name: "an API key", auth: Auth.header("X-Api-Key", "k 1"), want: { "x-api-key": "k 1" } },
    { name: "a session", auth: Auth.session("s"), want: { authorization: "Bearer s" } },
    { name: "a cookie", auth: Auth.session("s", { cookie: "sid" }), want: { cookie: "sid=s" } },
    { name: "a session header", auth: Auth.session("s", { header: "X-S" }), want: { "x-s": "s" } },
    {
      name: "a gateway",
      auth: Auth.gateway({ secret: "g", subject: "svc", roles: ["a", "b"] }),
      want: { "x-gateway-secret": "g", "x-auth-subject": "svc", "x-auth-roles": '["a","b"]' },
    },
    {
      name: "a gateway without roles",
      auth: Auth.gateway({ secret: "g", subject: "svc" }),
      want: { "x-gateway-secret": "g", "x-auth-subject": "svc" },
    },
    {
      name: "a role beyond ASCII",
      auth: Auth.gateway({ secret: "g", subject: "svc", roles: ["größe"] }),
      want: {
        "x-gateway-secret": "g",
        "x-auth-subject": "svc",
        "x-auth-roles": '["gr\\u00f6\\u00dfe"]',
      },
    },
    { name: "nothing", auth: Auth.none(), want: {} },
    {
      name: "several at once",
      auth: Auth.all(Auth.jwt("t"), Auth.all(Auth.header("x-api-key", "k"), Auth.none())),
      want: { authorization: "Bearer t", "x-api-key": "k" },
    },
    {
      name: "a token bound to a key",
      auth: Auth.dpop("t", ({ htm, htu, accessToken }) => `${htm}:${htu}:${accessToken}`),
      want: { authorization: "DPoP t", dpop: "POST:https://api.test/a.v1.S/M:t" },
    },
  ])("presents $name", async ({ auth, want }) => {
    expect(await headersOf(auth)).toEqual(want);
  });

  const wrong: unknown[] = [undefined, null, "token", 7, {}, { type: "jwt" }, { type: "magic" }];
  const [none, nil, text, number, empty, noToken, unknown] = wrong as Auth[];

  test.each<{ name: string; auth: Auth | undefined; message: string }>([
    {
      name: "undefined",
      auth: none,
      message: "not a credential, such as Auth.jwt(token)",
    },
    {
      name: "null",
      auth: nil,
      message: "not a credential, such as Auth.jwt(token)",
    },
    {
      name: "a string",
      auth: text,
      message: "not a credential, such as Auth.jwt(token)",
    },
    {
      name: "a number",
      auth: number,
      message: "not a credential, such as Auth.jwt(token)",
    },
    {
      name: "an empty object",
      auth: empty,
      message: "not a credential, such as Auth.jwt(token)",
    },
    {
      name: "an unknown type",
      auth: unknown,
      message: "not a credential, such as Auth.jwt(token)",
    },
    { name: "a JWT without a token", auth: noToken, message: "the token is empty" },
    { name: "an empty token", auth: Auth.jwt(""), message: "the token is empty" },
    {
      name: "a token with a line break",
      auth: Auth.jwt("a\r\nb: c"),
      message: "the token is over 8192 bytes or has a wrong character",
    },
    {
      name: "a token with a space",
      auth: Auth.bearer("a b"),
      message: "the token is over 8192 bytes or has a wrong character",
    },
    {
      name: "a token with a comma",
      auth: Auth.bearer("a,b"),
      message: "the token is over 8192 bytes or has a wrong character",
    },
    {
      name: "a token beyond ASCII",
      auth: Auth.session("tök"),
      message: "the token is over 8192 bytes or has a wrong character",
    },
    {
      name: "a token above 8 KiB",
      auth: Auth.jwt("x".repeat(8193)),
      message: "the token is over 8192 bytes or has a wrong character",
    },
    {
      name: "an empty API key",
      auth: Auth.header("x-api-key", ""),
      message: "the credential for x-api-key is empty",
    },
    {
      name: "an API key with a line break",
      auth: Auth.header("x-api-key", "a\nb"),
      message: "the credential for x-api-key is over 8192 bytes or has a wrong character",
    },
    {
      name: "an API key with a space at its end",
      auth: Auth.header("x-api-key", "a "),
      message: "the credential for x-api-key is over 8192 bytes or has a wrong character",
    },
    {
      name: "a bad header name",
      auth: Auth.header("x key", "v"),
      message: "a header or cookie name is over 8192 bytes or has a wrong character",
    },
    {
      name: "an empty secret",
      auth: Auth.gateway({ secret: "", subject: "s" }),
      message: "the credential for x-gateway-secret is empty",
    },
    {
      name: "an empty subject",
      auth: Auth.gateway({ secret: "g", subject: "" }),
      message: "the credential for x-auth-subject is empty",
    },
    {
      name: "a cookie that ends early",
      auth: Auth.session("a;b", { cookie: "sid" }),
      message: "the token is over 8192 bytes or has a wrong character",
    },
    {
      name: "a bad cookie name",
      auth: Auth.session("a", { cookie: "s=d" }),
      message: "a header or cookie name is over 8192 bytes or has a wrong character",
    },
    {
      name: "an empty proof",
      auth: Auth.dpop("t", () => ""),
      message: "the DPoP proof is empty",
    },
    {
      name: "a password",
      auth: Auth.basic("u", "p"),
      message: "a password is for passwordLogin()",
    },
    {
      name: "two credentials in one header",
      auth: Auth.all(Auth.jwt("a"), Auth.bearer("b")),
      message: 'two credentials use the header "authorization"',
    },
  ])("rejects $name", async ({ auth, message }) => {
    await expect(headersOf(auth as Auth)).rejects.toMatchObject({
      name: "AuthError",
      code: "credentials_invalid",
      sent: false,
      message,
    });
  });

  test("says that a proof could not be made, and keeps why", async () => {
    const cause = new TypeError("no key");
    const auth = Auth.dpop("t", () => Promise.reject(cause));
    await expect(headersOf(auth)).rejects.toMatchObject({
      code: "credentials_failed",
      message: "the credential could not be obtained",
      cause,
    });
  });

  test("accepts a token of just 8 KiB", async () => {
    const token = "x".repeat(8192);
    expect(await headersOf(Auth.jwt(token))).toEqual({ authorization: `Bearer ${token}` });
  });
});
