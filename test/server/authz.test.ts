import {
  Code,
  ConnectError,
  createClient,
  createRouterTransport,
  type Interceptor,
} from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import {
  AuthzDeniedError,
  type AuthzInterceptorOptions,
  createAuthzInterceptor,
  createJwtAuthInterceptor,
} from "../../src/server/index.js";
import { UserService } from "../gen/acme/user/v1/user_pb.js";
import { createTestToken, testSecret } from "../support/test-token.js";

const allMethods = ["acme.user.v1.UserService/*"];
const profile = "acme.user.v1.UserService/GetProfile";
const deletion = "acme.user.v1.UserService/DeleteUser";

/** Calls a method through an authentication and this authorization, and says how it went. */
async function outcome(
  method: "getProfile" | "whoAmI" | "deleteUser",
  claims: object | undefined,
  options: AuthzInterceptorOptions,
): Promise<string> {
  const errors: unknown[] = [];
  const logger: Interceptor = (next) => async (req) => {
    try {
      return await next(req);
    } catch (error) {
      errors.push(error);
      throw error;
    }
  };
  const transport = createRouterTransport(
    (router) => {
      router.service(UserService, {
        getProfile: () => ({}),
        whoAmI: () => ({}),
        deleteUser: () => ({}),
      });
    },
    {
      router: {
        interceptors: [
          logger,
          createJwtAuthInterceptor({
            secret: testSecret,
            skipMethods: claims === undefined ? ["*"] : [],
          }),
          createAuthzInterceptor(options),
        ],
      },
    },
  );
  const headers: HeadersInit =
    claims === undefined ? {} : { authorization: `Bearer ${await createTestToken({ ...claims })}` };
  try {
    await createClient(UserService, transport)[method]({}, { headers });
    return "ok";
  } catch (error) {
    const { code, rawMessage } = ConnectError.from(error);
    const [logged] = errors;
    const by = logged instanceof AuthzDeniedError ? ` by ${logged.ruleName}` : "";
    return `${Code[code]}: ${rawMessage}${by}`;
  }
}

const admins: AuthzInterceptorOptions = {
  rules: [
    { name: "public", methods: [profile], effect: "allow" },
    { name: "admin", methods: allMethods, requires: { roles: ["admin", "root"] }, effect: "allow" },
    {
      name: "writers",
      methods: [deletion],
      requires: { scopes: ["users:write", "users:delete"] },
      effect: "allow",
    },
    { name: "closed", methods: [deletion], effect: "deny" },
  ],
};

describe("createAuthzInterceptor", () => {
  test.each<{
    name: string;
    method: "getProfile" | "whoAmI" | "deleteUser";
    claims: object | undefined;
    options: AuthzInterceptorOptions;
    want: string;
  }>([
    {
      name: "allows nobody without options",
      method: "getProfile",
      claims: { roles: ["admin"] },
      options: {},
      want: "PermissionDenied: access denied by defaultPolicy",
    },
    {
      name: "does not look at the options of the proto file, which says public",
      method: "getProfile",
      claims: undefined,
      options: {},
      want: "Unauthenticated: missing credentials",
    },
    {
      name: "lets anybody pass by a rule without requirements",
      method: "getProfile",
      claims: undefined,
      options: admins,
      want: "ok",
    },
    {
      name: "lets a caller pass who has one of the roles",
      method: "whoAmI",
      claims: { roles: ["root"] },
      options: admins,
      want: "ok",
    },
    {
      name: "refuses a caller who has none of the roles",
      method: "whoAmI",
      claims: { roles: ["user"] },
      options: admins,
      want: "PermissionDenied: access denied by defaultPolicy",
    },
    {
      name: "lets a caller pass who has all scopes",
      method: "deleteUser",
      claims: { scope: "users:write users:delete" },
      options: admins,
      want: "ok",
    },
    {
      name: "goes on to the next rule where one scope is missing",
      method: "deleteUser",
      claims: { scope: "users:write" },
      options: admins,
      want: "PermissionDenied: access denied by closed",
    },
    {
      name: "lets the first rule that matches decide",
      method: "deleteUser",
      claims: { roles: ["admin"] },
      options: { rules: [...(admins.rules ?? [])].reverse() },
      want: "PermissionDenied: access denied by closed",
    },
    {
      name: "asks authorize where no rule matches",
      method: "whoAmI",
      claims: { sub: "alice" },
      options: {
        authorize: ({ subject }, { method }) => subject === "alice" && method === "WhoAmI",
      },
      want: "ok",
    },
    {
      name: "does not ask authorize for nobody",
      method: "whoAmI",
      claims: undefined,
      options: { authorize: () => true },
      want: "Unauthenticated: missing credentials",
    },
    {
      name: "falls back to defaultPolicy",
      method: "whoAmI",
      claims: undefined,
      options: { defaultPolicy: "allow" },
      want: "ok",
    },
    {
      name: "decides nothing about methods that are skipped",
      method: "deleteUser",
      claims: undefined,
      options: { ...admins, skipMethods: [deletion] },
      want: "ok",
    },
    {
      name: "decides about methods beside those",
      method: "whoAmI",
      claims: undefined,
      options: { ...admins, skipMethods: [deletion] },
      want: "Unauthenticated: missing credentials",
    },
  ])("$name", async ({ method, claims, options, want }) => {
    expect(await outcome(method, claims, options)).toBe(want);
  });

  test("before the authentication refuses calls: there is no identity yet", async () => {
    const transport = createRouterTransport(
      (router) => {
        router.service(UserService, { whoAmI: () => ({}) });
      },
      {
        router: {
          interceptors: [
            createAuthzInterceptor(admins),
            createJwtAuthInterceptor({ secret: testSecret }),
          ],
        },
      },
    );
    const headers = { authorization: `Bearer ${await createTestToken({ roles: ["admin"] })}` };
    await expect(
      createClient(UserService, transport).whoAmI({}, { headers }),
    ).rejects.toMatchObject({ code: Code.Unauthenticated, rawMessage: "missing credentials" });
  });

  test.each<{ name: string; options: object; message: string }>([
    {
      name: "a misspelt option",
      options: { rule: [] },
      message:
        'createAuthzInterceptor has no option "rule"; there are rules, authorize, defaultPolicy, skipMethods',
    },
    {
      name: "a malformed pattern of methods to skip",
      options: { skipMethods: ["UserService.WhoAmI"] },
      message:
        'method pattern "UserService.WhoAmI" must be "package.Service/Method", "package.Service/*" or "*"',
    },
    {
      name: "an unknown default",
      options: { defaultPolicy: "open" },
      message: 'defaultPolicy "open" must be "allow" or "deny"',
    },
  ])("rejects $name", ({ options, message }) => {
    expect(() => createAuthzInterceptor(options)).toThrow(new TypeError(message));
  });
});
