import { describe, expect, test } from "vitest";
import { createMockAuthContext } from "../../src/testing/index.js";

describe("createMockAuthContext", () => {
  test("is an ordinary user unless told otherwise", () => {
    expect(createMockAuthContext()).toEqual({
      subject: "test-user",
      name: "Test User",
      roles: ["user"],
      scopes: ["read"],
      claims: {},
      type: "test",
    });
  });

  test("takes what is given in place of the defaults", () => {
    const given = {
      subject: "alice",
      name: "Alice",
      roles: ["admin"],
      scopes: [],
      claims: { tenant: 7 },
      type: "jwt",
      expiresAt: new Date(0),
    };
    expect(createMockAuthContext(given)).toEqual(given);
  });

  test("keeps the default where undefined is given, and has no name then", () => {
    const context = createMockAuthContext({
      subject: undefined,
      name: undefined,
      roles: undefined,
      expiresAt: undefined,
    });
    expect(context).toStrictEqual({
      subject: "test-user",
      roles: ["user"],
      scopes: ["read"],
      claims: {},
      type: "test",
    });
  });

  test("shares nothing with the next one", () => {
    const [first, second] = [createMockAuthContext(), createMockAuthContext()];
    expect(first.roles).not.toBe(second.roles);
    expect(first.scopes).not.toBe(second.scopes);
    expect(first.claims).not.toBe(second.claims);
  });

  test("rejects a field that there is not", () => {
    // @ts-expect-error the field is called roles
    expect(() => createMockAuthContext({ role: "admin" })).toThrow(
      new TypeError(
        'createMockAuthContext has no option "role"; there are subject, name, roles, scopes, claims, type, expiresAt',
      ),
    );
    // @ts-expect-error roles are a list
    createMockAuthContext({ roles: "admin" });
  });
});
