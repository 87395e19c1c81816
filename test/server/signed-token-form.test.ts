import { Code } from "@connectrpc/connect";
import { EncryptJWT } from "jose";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { resolveJwtKeys } from "../../src/server/jwt-keys.js";
import { verifyJwt } from "../../src/server/verify-jwt.js";
import {
  acceptedClaims,
  acceptedHeader,
  identify,
  issuerKeys,
  now,
  reasonOf,
  signToken,
} from "../support/signed-tokens.js";

const noBase64url = "token: a segment is not base64url (RFC 7515 §2)";
const notOne = "Authorization: Bearer without exactly one token";
const segments = (n: number) => `token: ${n} segments, a signed token has three`;

beforeEach(() => {
  vi.useFakeTimers({ now: now * 1000, toFake: ["Date"] });
});
afterEach(() => {
  vi.useRealTimers();
});

const token = signToken();
const [header = "", payload = "", signature = ""] = token.split(".");

/** JSON whose last character in base64url has bits that say nothing. */
function slack(part: object): string {
  const json = JSON.stringify(part);
  return json.padEnd(json.length + ((4 - (json.length % 3)) % 3));
}

/** The same bytes, with one of those bits set. */
function otherSpelling(segment = ""): string {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  return segment.slice(0, -1) + alphabet[alphabet.indexOf(segment.slice(-1)) + 1];
}

/** A token that is accepted, and so long. */
function tokenOfLength(length: number): string {
  for (let x = 0; x < 4; x++) {
    for (let pad = length / 2; pad < length; pad++) {
      const long = signToken({
        header: { ...acceptedHeader, x: "x".repeat(x) },
        payload: { ...acceptedClaims, pad: "p".repeat(pad) },
      });
      if (long.length >= length) {
        if (long.length === length) {
          return long;
        }
        break;
      }
    }
  }
  throw new Error("there is none");
}

describe("the text of a token is accepted", () => {
  test("as it is", async () => {
    expect(await identify(token)).toMatchObject({ subject: "alice" });
  });

  test("with 8 KiB", async () => {
    expect(await identify(tokenOfLength(8192))).toMatchObject({ subject: "alice" });
  });

  test("behind several spaces", async () => {
    expect(await identify(`   ${token}`)).toMatchObject({ subject: "alice" });
  });
});

describe("the text of a token is refused", () => {
  test.each([
    { name: "in one segment", text: payload, reason: segments(1) },
    { name: "in two segments", text: `${header}.${payload}`, reason: segments(2) },
    { name: "in four segments", text: `${token}.${signature}`, reason: segments(4) },
    { name: "with a dot before it", text: `.${token}`, reason: segments(4) },
    { name: "with a dot behind it", text: `${token}.`, reason: segments(4) },
    { name: "of dots", text: "..", reason: noBase64url },
    { name: "without a header", text: `.${payload}.${signature}`, reason: noBase64url },
    { name: "without a payload", text: `${header}..${signature}`, reason: noBase64url },
    { name: "without a signature", text: `${header}.${payload}.`, reason: noBase64url },
    { name: "with padding", text: `${token}==`, reason: noBase64url },
    {
      name: "with a plus",
      text: `${header}.${payload}.+${signature.slice(1)}`,
      reason: noBase64url,
    },
    {
      name: "with a slash",
      text: `${header}.${payload}./${signature.slice(1)}`,
      reason: noBase64url,
    },
    { name: "with an escape", text: token.replaceAll(".", "%2E"), reason: segments(1) },
    { name: "in quotes", text: `"${token}"`, reason: noBase64url },
    { name: "with a name", text: `token=${token}`, reason: noBase64url },
    { name: "with a semicolon", text: `${token};`, reason: noBase64url },
    { name: "with a comma", text: `${token},`, reason: notOne },
    { name: "with another one", text: `${token}, ${token}`, reason: notOne },
    { name: "with another one behind a space", text: `${token} ${token}`, reason: notOne },
    { name: "with another scheme", text: `${token}, Bearer ${token}`, reason: notOne },
    { name: "with its scheme twice", text: `Bearer ${token}`, reason: notOne },
    { name: "with a tab", text: `${header}.${payload}\t.${signature}`, reason: notOne },
    { name: "with a character of Latin-1", text: `${token}\u00e9`, reason: notOne },
    { name: "with a space that does not break", text: `${token}\u00a0`, reason: notOne },
    { name: "with a control character", text: `${token}\u0001`, reason: notOne },
    { name: "of nothing", text: "", reason: notOne },
    {
      name: "as JSON",
      text: `{"payload":"${payload}","protected":"${header}","signature":"${signature}"}`,
      reason: notOne,
    },
  ])("$name", async ({ text, reason }) => {
    expect(await reasonOf(text)).toBe(reason);
  });

  test.each(["header", "payload", "signature"])("in another spelling of its %s", async (name) => {
    const canonical = signToken({ header: slack(acceptedHeader), payload: slack(acceptedClaims) });
    expect(await identify(canonical)).toMatchObject({ subject: "alice" });
    const parts = canonical.split(".");
    const index = ["header", "payload", "signature"].indexOf(name);
    parts[index] = otherSpelling(parts[index]);
    const bytes = (text: string) => text.split(".").map((part) => Buffer.from(part, "base64url"));
    expect(bytes(parts.join("."))).toEqual(bytes(canonical));
    expect(await reasonOf(parts.join("."))).toBe(noBase64url);
  });

  test("above 8 KiB, whoever signed it", async () => {
    expect(await reasonOf(tokenOfLength(8193))).toBe("the token has more than 8192 bytes");
  });

  test("above 8 KiB, wherever it was read", async () => {
    const keys = resolveJwtKeys({ publicKey: issuerKeys.publicKey });
    const verify = (text: string) => verifyJwt(text, keys, { clockToleranceSeconds: 5 });
    await expect(verify(tokenOfLength(8192))).resolves.toMatchObject({ sub: "alice" });
    await expect(verify(tokenOfLength(8193))).rejects.toMatchObject({
      code: Code.Unauthenticated,
      rawMessage: "invalid token",
      cause: new Error("token: more than 8192 bytes"),
    });
  });

  test.each([
    { name: "its kid", header: { ...acceptedHeader, kid: "k".repeat(10_240) } },
    { name: "its jwk", header: { ...acceptedHeader, jwk: { kty: "EC", x: "x".repeat(10_240) } } },
    { name: "nested lists", header: `{"alg":"ES256","x":${"[".repeat(5000)}${"]".repeat(5000)}}` },
  ])("above 8 KiB because of $name", async ({ header }) => {
    expect(await reasonOf(signToken({ header }))).toBe("the token has more than 8192 bytes");
  });

  test("when it is encrypted", async () => {
    const encrypted = await new EncryptJWT(acceptedClaims)
      .setProtectedHeader({ alg: "dir", enc: "A256GCM" })
      .encrypt(new Uint8Array(32));
    expect(await reasonOf(encrypted)).toBe(segments(5));
  });
});
