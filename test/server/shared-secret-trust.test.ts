import { inspect } from "node:util";
import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { type SharedSecretTrustOptions, sharedSecretTrust } from "../../src/server/index.js";
import { incomingCall } from "../support/incoming-call.js";

const secret = "thirty-two bytes, known to them.";
const next = `${secret}: the next one`;

function authenticate(header: HeadersInit, options: Partial<SharedSecretTrustOptions> = {}) {
  return sharedSecretTrust({ secret, ...options }).authenticate(incomingCall(header));
}

describe("sharedSecretTrust", () => {
  test("takes whoever has the secret for the same caller", async () => {
    expect(await authenticate({ "x-internal-secret": secret })).toEqual({
      subject: "internal",
      roles: [],
      scopes: [],
      claims: {},
      type: "secret",
    });
  });

  test("gives that caller what the options say", async () => {
    const identity = await authenticate(
      { "x-mesh-key": secret },
      {
        header: "X-Mesh-Key",
        subject: "backend",
        roles: ["service"],
        scopes: ["users:read"],
        type: "mesh-key",
      },
    );
    expect(identity).toEqual({
      subject: "backend",
      roles: ["service"],
      scopes: ["users:read"],
      claims: {},
      type: "mesh-key",
    });
  });

  test("shares an identity that no call can change", async () => {
    const roles = ["service"];
    const source = sharedSecretTrust({ secret, roles });
    roles.push("admin");
    const identity = await source.authenticate(incomingCall({ "x-internal-secret": secret }));
    expect(identity?.roles).toEqual(["service"]);
    expect(() => Reflect.apply(Array.prototype.push, identity?.roles, ["admin"])).toThrow(
      TypeError,
    );
    expect(Object.isFrozen(identity)).toBe(true);
  });

  test.each([secret, next])(
    "accepts each of two secrets while one replaces the other",
    async (value) => {
      const options = { secret: [secret, next] };
      expect((await authenticate({ "x-internal-secret": value }, options))?.subject).toBe(
        "internal",
      );
    },
  );

  test("finds no credential where there is no header, or one with underscores", async () => {
    expect(await authenticate({ authorization: `Bearer ${secret}` })).toBeUndefined();
    expect(await authenticate({ x_internal_secret: secret })).toBeUndefined();
  });

  test.each<{ name: string; header: HeadersInit }>([
    { name: "a wrong secret", header: { "x-internal-secret": "wrong" } },
    { name: "an empty secret", header: { "x-internal-secret": "" } },
    { name: "a prefix of the secret", header: { "x-internal-secret": secret.slice(0, -1) } },
    { name: "the secret and more", header: { "x-internal-secret": `${secret}.` } },
    { name: "the secret in capitals", header: { "x-internal-secret": secret.toUpperCase() } },
    { name: "a scheme before the secret", header: { "x-internal-secret": `Bearer ${secret}` } },
    {
      name: "the secret twice",
      header: [
        ["x-internal-secret", secret],
        ["x-internal-secret", secret],
      ],
    },
    { name: "a megabyte", header: { "x-internal-secret": secret.repeat(32_768) } },
  ])("rejects $name", async ({ header }) => {
    const error = await authenticate(header).catch((thrown: unknown) => thrown);
    expect.assert(error instanceof ConnectError);
    expect(error).toMatchObject({ code: Code.Unauthenticated, rawMessage: "invalid credentials" });
    expect(error.cause).toEqual(new Error("x-internal-secret is not the secret"));
    expect(inspect(error)).not.toContain(secret);
  });

  test.each<{ name: string; options: object; message: string }>([
    {
      name: "no secret",
      options: { secret: undefined },
      message: "secret must be a list of one or more secrets, none of them empty",
    },
    {
      name: "an empty list of secrets",
      options: { secret: [] },
      message: "secret must be a list of one or more secrets, none of them empty",
    },
    {
      name: "a secret of 31 bytes beside a long one",
      options: { secret: [secret, "x".repeat(31)] },
      message: "secret: a secret must have at least 32 bytes, not 31",
    },
    {
      name: "a secret that ends in a line break",
      options: { secret: `${secret}\n` },
      message:
        "secret: a secret must be printable ASCII without spaces at its ends, or no header carries it",
    },
    {
      name: "the header of user's tokens",
      options: { header: "Authorization" },
      message:
        'header "Authorization" carries the credentials of users; it must be a header of its own',
    },
    {
      name: "the header of sessions",
      options: { header: "cookie" },
      message: 'header "cookie" carries the credentials of users; it must be a header of its own',
    },
    {
      name: "a header that is none",
      options: { header: "x internal" },
      message: 'header "x internal" must be the name of a header',
    },
    {
      name: "an empty subject",
      options: { subject: "" },
      message: 'subject "" must be a string that is not empty',
    },
    {
      name: "roles that are no list",
      options: { roles: "admin" },
      message: 'roles "admin" must be a list of strings, none empty',
    },
    {
      name: "an empty scope",
      options: { scopes: ["a", ""] },
      message: 'scopes ["a",""] must be a list of strings, none empty',
    },
    {
      name: "a misspelt option",
      options: { secrets: [secret] },
      message:
        'sharedSecretTrust has no option "secrets"; there are secret, header, subject, roles, scopes, type',
    },
  ])("rejects $name", ({ options, message }) => {
    const create = () => sharedSecretTrust({ secret, ...options });
    expect(create).toThrow(new TypeError(message));
    expect(create).not.toThrow(secret);
  });
});
