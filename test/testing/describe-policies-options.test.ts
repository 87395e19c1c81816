import { describe, expect, test } from "vitest";
import { Auth } from "../../src/index.js";
import { describePolicies, type PolicyCallers } from "../../src/testing/index.js";
import { UserServicePolicies } from "../gen/acme/user/v1/user_auth.js";
import { callers, serverAuth } from "./describe-users.js";

describe("describePolicies rejects", () => {
  test.each<{ name: string; policies?: unknown; options?: object; message: string }>([
    {
      name: "no table",
      policies: [],
      message: "policies have no method: there is nothing to call",
    },
    {
      name: "what is no list of tables",
      policies: UserServicePolicies,
      message: "policies must be a list of policy tables, such as [UserServicePolicies]",
    },
    {
      name: "two different tables of a service",
      policies: [
        UserServicePolicies,
        {
          ...UserServicePolicies,
          methods: { ...UserServicePolicies.methods, whoAmI: { kind: "public" } },
        },
      ],
      message: "two different policy tables for acme.user.v1.UserService",
    },
    {
      name: "an unknown option",
      options: { interceptors: [] },
      message:
        'describePolicies has no option "interceptors"; there are auth, callers, routes, unspecified, origin',
    },
    {
      name: "an unknown caller",
      options: { callers: { ...callers, admin: callers.user } },
      message: 'callers has no option "admin"; there are user, internal, invalid',
    },
    {
      name: "auth that secures nothing",
      options: { auth: {} },
      message: "auth must be what createServerAuth() returned, or have interceptors",
    },
    {
      name: "a user that is no function",
      options: { callers: { user: Auth.jwt("token") } },
      message: "callers.user must be a function that makes the credentials of a user",
    },
    {
      name: "no internal caller where a method is internal",
      options: { callers: { user: callers.user } },
      message:
        "callers.internal must be a function that makes the credentials of another service: acme.user.v1.UserService/Reindex is internal",
    },
    {
      name: "an origin with a path",
      options: { origin: "https://api.test/v1" },
      message: 'origin "https://api.test/v1" must be an origin, such as "https://api.acme.dev"',
    },
    {
      name: "an origin that is none",
      options: { origin: "api.test" },
      message: 'origin "api.test" must be an origin, such as "https://api.acme.dev"',
    },
    {
      name: "async routes",
      options: { routes: async () => {} },
      message: "routes must not be async: what they register later would not be seen",
    },
    {
      name: "routes without a service that auth knows",
      options: { routes: () => {} },
      message:
        "auth.guard: there is a policy table for acme.user.v1.UserService, which is not served; pass the tables of all services, and `routes` where auth exempts others",
    },
    {
      name: "auth that exempts what is not served",
      options: { auth: serverAuth({ exempt: ["acme.plain.v1.PlainService/*"] }) },
      message:
        'auth.guard: exempt "acme.plain.v1.PlainService/*" matches no served method; pass the tables of all services, and `routes` where auth exempts others',
    },
    {
      name: "a password as a credential",
      options: { callers: { ...callers, user: () => Auth.basic("alice", "s3cr3t") } },
      message: "callers.user: a password is for passwordLogin()",
    },
    {
      name: "a header that cannot be sent",
      options: { callers: { ...callers, internal: () => ({ "x-key": "s3cr3t\n1" }) } },
      message: "callers.internal: must give an Auth, or headers",
    },
    {
      name: "a token that is no credential",
      options: { callers: { ...callers, invalid: "s3cr3t" } },
      message: "callers.invalid: must give an Auth, or headers",
    },
  ])("$name", async ({ policies = [UserServicePolicies], options, message }) => {
    // as JavaScript would
    const described: Promise<unknown> = Reflect.apply(describePolicies, undefined, [
      policies,
      { auth: serverAuth(), callers, ...options },
    ]);
    await expect(described).rejects.toThrow(new TypeError(message));
  });

  test("what the types do not allow", async () => {
    const auth = serverAuth();
    const policies = [UserServicePolicies];
    // @ts-expect-error callers are needed
    await expect(describePolicies(policies, { auth })).rejects.toThrow(
      new TypeError("callers takes an object of options"),
    );
    // @ts-expect-error a token is no credential: Auth.jwt(token) is
    const tokens: PolicyCallers = { ...callers, user: () => "token" };
    await expect(describePolicies(policies, { auth, callers: tokens })).rejects.toThrow(
      new TypeError("callers.user: must give an Auth, or headers"),
    );
    // @ts-expect-error there is no such caller
    const admins: PolicyCallers = { ...callers, admin: callers.user };
    await expect(describePolicies(policies, { auth, callers: admins })).rejects.toThrow(
      new TypeError('callers has no option "admin"; there are user, internal, invalid'),
    );
  });
});
