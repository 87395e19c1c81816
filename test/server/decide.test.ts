import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, test, vi } from "vitest";
import type { MethodPolicy } from "../../src/policy/method-policy.js";
import { createDecision, type FallbackOptions } from "../../src/server/decide.js";
import { type AuthContext, AuthzDeniedError } from "../../src/server/index.js";
import { UserService } from "../gen/acme/user/v1/user_pb.js";

const method = UserService.method.whoAmI;

function identity(granted: Partial<Pick<AuthContext, "roles" | "scopes">> = {}): AuthContext {
  return { subject: "alice", roles: [], scopes: [], claims: {}, type: "test", ...granted };
}

const call = (header: HeadersInit = {}) => ({ method, header: new Headers(header) });

/** `allow`, `Unauthenticated`, or the rule that denied. */
async function decided(
  policy: MethodPolicy,
  who: AuthContext | undefined,
  options: FallbackOptions = {},
): Promise<string> {
  try {
    await createDecision(options)(policy, call(), who);
    return "allow";
  } catch (error) {
    if (error instanceof AuthzDeniedError) {
      expect(error).toMatchObject({ code: Code.PermissionDenied, rawMessage: "access denied" });
      return `denied by ${error.ruleName}`;
    }
    expect.assert(error instanceof ConnectError);
    expect(error.rawMessage).toBe("missing credentials");
    return Code[error.code];
  }
}

const both = { roles: ["admin", "owner"], scopes: ["a", "b"] };

describe("the decision", () => {
  test.each<{ name: string; policy: MethodPolicy; who?: AuthContext; want: string }>([
    { name: "1 public, nobody", policy: { kind: "public" }, want: "allow" },
    {
      name: "2 internal, nobody",
      policy: { kind: "internal", roles: [], scopes: [] },
      want: "Unauthenticated",
    },
    {
      name: "2 internal, somebody",
      policy: { kind: "internal", roles: [], scopes: [] },
      who: identity(),
      want: "allow",
    },
    {
      name: "2 internal with requirements, nobody",
      policy: { kind: "internal", ...both },
      want: "Unauthenticated",
    },
    {
      name: "2 internal with requirements, not met",
      policy: { kind: "internal", ...both },
      who: identity({ roles: ["admin"] }),
      want: "denied by requires",
    },
    {
      name: "2 internal with requirements, met",
      policy: { kind: "internal", ...both },
      who: identity({ roles: ["owner"], scopes: ["b", "a"] }),
      want: "allow",
    },
    { name: "3 requires, nobody", policy: { kind: "requires", ...both }, want: "Unauthenticated" },
    {
      name: "3 requires, one role and all scopes",
      policy: { kind: "requires", ...both },
      who: identity({ roles: ["x", "admin"], scopes: ["a", "b", "c"] }),
      want: "allow",
    },
    {
      name: "3 requires, no role",
      policy: { kind: "requires", ...both },
      who: identity({ scopes: ["a", "b"] }),
      want: "denied by requires",
    },
    {
      name: "3 requires, one scope missing",
      policy: { kind: "requires", ...both },
      who: identity({ roles: ["admin"], scopes: ["a"] }),
      want: "denied by requires",
    },
    {
      name: "3 requires scopes only",
      policy: { kind: "requires", roles: [], scopes: ["a"] },
      who: identity({ scopes: ["a"] }),
      want: "allow",
    },
    {
      name: "3 requires roles only",
      policy: { kind: "requires", roles: ["r"], scopes: [] },
      who: identity({ roles: ["R"] }),
      want: "denied by requires",
    },
    {
      name: "3 requires nothing, nobody",
      policy: { kind: "requires", roles: [], scopes: [] },
      want: "Unauthenticated",
    },
    {
      name: "3 requires nothing, somebody",
      policy: { kind: "requires", roles: [], scopes: [] },
      who: identity(),
      want: "allow",
    },
    { name: "4 allow, nobody", policy: { kind: "authenticated" }, want: "allow" },
    { name: "4 deny, nobody", policy: { kind: "denied" }, want: "denied by policy" },
    {
      name: "4 deny, somebody",
      policy: { kind: "denied" },
      who: identity(both),
      want: "denied by policy",
    },
    { name: "7 default, nobody", policy: { kind: "unspecified" }, want: "Unauthenticated" },
    {
      name: "7 default, somebody",
      policy: { kind: "unspecified" },
      who: identity(both),
      want: "denied by defaultPolicy",
    },
  ])("$name: $want", async ({ policy, who, want }) => {
    expect(await decided(policy, who)).toBe(want);
  });

  const unspecified: MethodPolicy = { kind: "unspecified" };
  const methods = ["acme.user.v1.UserService/*"];

  test.each<{ name: string; options: FallbackOptions; who?: AuthContext; want: string }>([
    {
      name: "5 the first rule that matches",
      options: {
        rules: [
          { name: "one", methods: ["other.v1.S/*"], effect: "deny" },
          { name: "two", methods, effect: "allow" },
          { name: "three", methods, effect: "deny" },
        ],
      },
      want: "allow",
    },
    {
      name: "5 a rule that denies",
      options: {
        rules: [{ name: "closed", methods: ["*"], effect: "deny" }],
        defaultPolicy: "allow",
      },
      who: identity(),
      want: "denied by closed",
    },
    {
      name: "5 a rule whose requirements are met",
      options: {
        rules: [{ name: "admins", methods, effect: "allow", requires: { roles: ["admin"] } }],
      },
      who: identity({ roles: ["admin"] }),
      want: "allow",
    },
    {
      name: "5 a rule whose requirements are not met",
      options: {
        rules: [{ name: "admins", methods, effect: "allow", requires: { roles: ["admin"] } }],
      },
      who: identity(),
      want: "denied by defaultPolicy",
    },
    {
      name: "5 a rule with requirements and nobody",
      options: {
        rules: [{ name: "bots", methods, effect: "deny", requires: { roles: ["bot"] } }],
        defaultPolicy: "allow",
      },
      want: "allow",
    },
    {
      name: "6 authorize says yes",
      options: { authorize: () => true },
      who: identity(),
      want: "allow",
    },
    {
      name: "6 authorize says no",
      options: { authorize: async () => false, defaultPolicy: "allow" },
      who: identity(),
      want: "denied by authorize",
    },
    {
      name: "6 authorize throws",
      options: {
        authorize: () => {
          throw new Error("x");
        },
        defaultPolicy: "allow",
      },
      who: identity(),
      want: "denied by authorize",
    },
    {
      name: "6 authorize answers with something else",
      options: { authorize: () => JSON.parse('"yes"') },
      who: identity(),
      want: "denied by authorize",
    },
    {
      name: "6 authorize and nobody",
      options: { authorize: () => true, defaultPolicy: "allow" },
      want: "Unauthenticated",
    },
    { name: "7 default allow, nobody", options: { defaultPolicy: "allow" }, want: "allow" },
    {
      name: "7 default deny",
      options: { defaultPolicy: "deny" },
      who: identity(),
      want: "denied by defaultPolicy",
    },
  ])("$name: $want", async ({ options, who, want }) => {
    expect(await decided(unspecified, who, options)).toBe(want);
  });

  test("denies a policy of an unknown kind, whatever the default is", async () => {
    const policy: MethodPolicy = JSON.parse('{"kind":"open"}');
    expect(await decided(policy, identity(), { defaultPolicy: "allow" })).toBe(
      "denied by unknown policy",
    );
  });

  test("asks authorize about the call, and only where no rule matches", async () => {
    const authorize = vi.fn(() => true);
    const alice = identity();
    await createDecision({ authorize })(unspecified, call(), alice);
    await createDecision({ authorize, rules: [{ name: "r", methods, effect: "allow" }] })(
      unspecified,
      call(),
      alice,
    );
    expect(authorize.mock.calls).toEqual([
      [alice, { service: "acme.user.v1.UserService", method: "WhoAmI" }],
    ]);
  });

  test("passes on the ConnectError of authorize, and keeps another error as the cause", async () => {
    const down = new ConnectError("down", Code.Unavailable);
    const decide = async (authorize: () => never) =>
      createDecision({ authorize })(unspecified, call(), identity());
    await expect(
      decide(() => {
        throw down;
      }),
    ).rejects.toBe(down);
    await expect(
      decide(() => {
        throw new Error("bug");
      }),
    ).rejects.toMatchObject({ cause: new Error("bug") });
  });

  async function deniedBy(authorization: string, who: AuthContext): Promise<AuthzDeniedError> {
    const header = { authorization };
    const decide = async () => createDecision({})({ kind: "requires", ...both }, call(header), who);
    const error: unknown = await decide().catch((thrown: unknown) => thrown);
    expect.assert(error instanceof AuthzDeniedError);
    return error;
  }

  test.each([
    { authorization: "Bearer t", challenge: 'Bearer error="insufficient_scope", scope="a b"' },
    { authorization: "DPoP t", challenge: 'DPoP error="insufficient_scope", scope="a b"' },
    { authorization: "", challenge: null },
  ])(
    "tells who came with $authorization which scopes are missing, and the log all",
    async (row) => {
      const error = await deniedBy(row.authorization, identity());
      expect(error.authzDetails).toEqual({
        ruleName: "requires",
        requiredRoles: ["admin", "owner"],
        requiredScopes: ["a", "b"],
      });
      expect(error.metadata.get("www-authenticate")).toBe(row.challenge);
    },
  );

  test("asks for no scopes where a role is missing", async () => {
    const error = await deniedBy("Bearer t", identity({ scopes: ["a", "b"] }));
    expect(error.metadata.get("www-authenticate")).toBeNull();
  });

  test.each<{ name: string; options: object; message: string }>([
    {
      name: "an unknown default",
      options: { defaultPolicy: "alow" },
      message: 'defaultPolicy "alow" must be "allow" or "deny"',
    },
    {
      name: "an unknown effect",
      options: { rules: [{ name: "r", methods, effect: "permit" }] },
      message: 'rule "r": effect "permit" must be "allow" or "deny"',
    },
    {
      name: "a misspelt requirement",
      options: { rules: [{ name: "r", methods, effect: "allow", requires: { role: ["a"] } }] },
      message: 'rule "r": requires has no "role", only roles and scopes',
    },
    {
      name: "an empty requirement",
      options: { rules: [{ name: "r", methods, effect: "allow", requires: { roles: [] } }] },
      message: 'rule "r": requires must name a role or a scope; leave it out for any call',
    },
    {
      name: "a requirement that is undefined",
      options: { rules: [{ name: "r", methods, effect: "allow", requires: undefined }] },
      message: 'rule "r": requires must name a role or a scope; leave it out for any call',
    },
    {
      name: "a role that is undefined",
      options: {
        rules: [
          { name: "r", methods, effect: "allow", requires: { roles: undefined, scopes: ["a"] } },
        ],
      },
      message: 'rule "r": roles must be a list of strings',
    },
    {
      name: "a misspelt member",
      options: { rules: [{ name: "r", methods, effect: "allow", require: { roles: ["a"] } }] },
      message: 'a rule has no option "require"; there are name, methods, effect, requires',
    },
    {
      name: "no method",
      options: { rules: [{ name: "r", methods: [], effect: "deny" }] },
      message: 'rule "r": methods must be a list of patterns',
    },
    {
      name: "a requirement that is null",
      options: { rules: [{ name: "r", methods, effect: "allow", requires: null }] },
      message: 'rule "r": requires must name a role or a scope; leave it out for any call',
    },
    {
      name: "a role that is no list",
      options: { rules: [{ name: "r", methods, effect: "allow", requires: { roles: "admin" } }] },
      message: 'rule "r": roles must be a list of strings',
    },
    {
      name: "a malformed pattern",
      options: { rules: [{ name: "r", methods: ["/a"], effect: "deny" }] },
      message: 'method pattern "/a" must be "package.Service/Method", "package.Service/*" or "*"',
    },
  ])("rejects $name", ({ options, message }) => {
    expect(() => createDecision(options)).toThrow(new TypeError(message));
  });
});
