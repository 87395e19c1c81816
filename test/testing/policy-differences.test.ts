import { AsyncResource } from "node:async_hooks";
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { definePolicies, type ServicePolicies } from "../../src/index.js";
import {
  type AuthContext,
  authContextKey,
  createJwtAuthInterceptor,
  createProtoAuthzInterceptor,
  createServerAuth,
} from "../../src/server/index.js";
import {
  type DescribePoliciesOptions,
  describePolicies,
  TEST_JWT_SECRET,
} from "../../src/testing/index.js";
import { UserServicePolicies } from "../gen/acme/user/v1/user_auth.js";
import { buildService } from "../support/build-service.js";
import { callers, describeUsers, serverAuth, services, users } from "./describe-users.js";

describe("a difference", () => {
  const method = (name: string) => `acme.user.v1.UserService/${name}`;
  const nobody = "called by nobody";
  const invalid = "called by somebody with an invalid credential";
  const weak = "called by a user with roles [], scopes []";
  const admin = "called by a user with roles [admin], scopes [users:write]";

  const deleted = (grants: string) =>
    `${method("DeleteUser")}, called by a user with ${grants}: expected PermissionDenied, was allowed`;
  const withWrongRole = ["", "another-role", "admin-x", "ADMIN"].map((role) =>
    deleted(`roles [${role}], scopes [users:write]`),
  );
  const withWrongScope = ["", "another-scope", "users:write-x", "USERS:WRITE"].map((scope) =>
    deleted(`roles [admin], scopes [${scope}]`),
  );

  /** As if the rule of one method had been changed. */
  const changed = (policy: Partial<typeof UserServicePolicies.methods>): ServicePolicies => ({
    ...UserServicePolicies,
    methods: { ...UserServicePolicies.methods, ...policy },
  });

  const identify: Interceptor = (next) => async (req) => {
    const identity = await users.authenticate(req);
    req.contextValues.set(authContextKey, identity);
    return next(req);
  };

  test.each<{ name: string; auth: () => DescribePoliciesOptions["auth"]; differences: string[] }>([
    {
      name: "interceptors were forgotten, and routes are guarded",
      auth: () => ({ ...serverAuth(), interceptors: [] }),
      differences: expect.arrayContaining([
        `${method("GetProfile")}, ${nobody}: expected allowed, was Internal (auth.interceptors did not run: pass them to whatever serves auth.guard(routes))`,
        `${method("WhoAmI")}, ${weak}: expected allowed, was Internal (auth.interceptors did not run: pass them to whatever serves auth.guard(routes))`,
      ]),
    },
    {
      name: "interceptors were forgotten, and routes are open",
      auth: () => ({ interceptors: [] }),
      differences: [
        `${method("DeleteUser")}, ${nobody}: expected Unauthenticated, was allowed`,
        `${method("DeleteUser")}, ${invalid}: expected Unauthenticated, was allowed`,
        `${method("DeleteUser")}, ${weak}: expected PermissionDenied, was allowed`,
        ...withWrongRole,
        ...withWrongScope,
        `${method("WhoAmI")}, ${nobody}: expected Unauthenticated, was allowed`,
        `${method("WhoAmI")}, ${invalid}: expected Unauthenticated, was allowed`,
        `${method("Reindex")}, ${nobody}: expected Unauthenticated, was allowed`,
        `${method("Reindex")}, ${invalid}: expected Unauthenticated, was allowed`,
        `${method("Reindex")}, ${weak}: expected refused, was allowed`,
        `${method("Reindex")}, ${admin}: expected refused, was allowed`,
      ],
    },
    {
      name: "the server was given a table that says public",
      auth: () => serverAuth({ policies: [changed({ whoAmI: { kind: "public" } })] }),
      differences: [
        `${method("WhoAmI")}, ${nobody}: expected Unauthenticated, was allowed`,
        `${method("WhoAmI")}, ${invalid}: expected Unauthenticated, was allowed`,
      ],
    },
    {
      name: "the server was given a table that asks for less",
      auth: () =>
        serverAuth({
          policies: [changed({ deleteUser: { kind: "requires", roles: ["admin"], scopes: [] } })],
        }),
      differences: withWrongScope,
    },
    {
      name: "the server was given a table that asks for more",
      auth: () =>
        serverAuth({
          policies: [
            changed({
              deleteUser: { kind: "requires", roles: ["admin"], scopes: ["users:write", "x"] },
            }),
          ],
        }),
      differences: [
        `${method("DeleteUser")}, ${admin}: expected allowed, was PermissionDenied (access denied)`,
      ],
    },
    {
      name: "a method of a table is exempt",
      auth: () => serverAuth({ exempt: [method("WhoAmI")] }),
      differences: [
        `${method("WhoAmI")}, ${nobody}: expected Unauthenticated, was allowed`,
        `${method("WhoAmI")}, ${invalid}: expected Unauthenticated, was allowed`,
      ],
    },
    {
      name: "nobody is trusted as internal",
      auth: () =>
        createServerAuth({ policies: [UserServicePolicies], authenticate: [users, services] }),
      differences: [
        `${method("Reindex")}, called by an internal caller with roles [], scopes []: expected allowed, was Unauthenticated (missing credentials)`,
      ],
    },
    {
      name: "users pass as internal",
      auth: () => serverAuth({ internal: users }),
      differences: [
        `${method("Reindex")}, ${weak}: expected refused, was allowed`,
        `${method("Reindex")}, ${admin}: expected refused, was allowed`,
        `${method("Reindex")}, called by an internal caller with roles [], scopes []: expected allowed, was Unauthenticated (missing credentials)`,
      ],
    },
    {
      name: "roles are read from another claim",
      auth: () =>
        serverAuth({
          authenticate: createJwtAuthInterceptor({
            secret: TEST_JWT_SECRET,
            claimsMapping: { roles: "permissions" },
          }),
        }),
      differences: [
        `${method("DeleteUser")}, ${admin}: expected allowed, was PermissionDenied (access denied)`,
      ],
    },
    {
      name: "authentication stands before the public methods",
      auth: () => ({ interceptors: [users, createProtoAuthzInterceptor()] }),
      differences: expect.arrayContaining([
        `${method("GetProfile")}, ${nobody}: expected allowed, was Unauthenticated (missing credentials)`,
        `${method("GetProfile")}, ${invalid}: expected allowed, was Unauthenticated (invalid token)`,
      ]),
    },
    {
      name: "authorization knows the scopes only",
      auth: () => ({
        interceptors: [
          identify,
          (next) => async (req) => {
            const identity = req.contextValues.get(authContextKey);
            if (req.method.name === "DeleteUser" && !identity?.scopes.includes("users:write")) {
              throw new ConnectError("no", identity ? Code.PermissionDenied : Code.Unauthenticated);
            }
            return next(req);
          },
        ],
      }),
      differences: expect.arrayContaining([
        `${method("DeleteUser")}, called by a user with roles [], scopes [users:write]: expected PermissionDenied, was allowed`,
      ]),
    },
    {
      name: "authorization comes without authentication",
      auth: () => ({ interceptors: [createProtoAuthzInterceptor()] }),
      differences: expect.arrayContaining([
        `${method("DeleteUser")}, ${admin}: expected allowed, was Unauthenticated (missing credentials)`,
      ]),
    },
    {
      name: "a handler runs before its caller is refused",
      auth: () => ({
        interceptors: [
          (next) => async (req) => {
            const response = await next(req);
            if (req.method.name === "WhoAmI") {
              throw new ConnectError("too late", Code.Unauthenticated);
            }
            return response;
          },
          ...serverAuth({ policies: [changed({ whoAmI: { kind: "public" } })] }).interceptors,
        ],
      }),
      differences: [
        `${method("WhoAmI")}, ${nobody}: expected Unauthenticated, was allowed`,
        `${method("WhoAmI")}, ${invalid}: expected Unauthenticated, was allowed`,
      ],
    },
    {
      name: "an interceptor fails in a way of its own",
      auth: () => ({
        interceptors: [
          () => () => {
            throw new ConnectError("the database is down", Code.Unavailable);
          },
        ],
      }),
      differences: expect.arrayContaining([
        `${method("DeleteUser")}, ${nobody}: expected Unauthenticated, was Unavailable (the database is down)`,
        `${method("Reindex")}, ${weak}: expected refused, was Unavailable (the database is down)`,
      ]),
    },
  ])("shows where $name", async ({ auth, differences }) => {
    const report = await describeUsers({ auth: auth() });
    expect(report.differences).toEqual(differences);
    for (const difference of report.differences) {
      expect(`${report}`).toContain(`!  ${difference}\n`);
    }
  });

  test.each<{ name: string; mayPass: (identity: AuthContext) => boolean; differences: string[] }>([
    {
      name: "any role and any scope will do",
      mayPass: ({ roles, scopes }) => roles.length > 0 && scopes.length > 0,
      differences: [...withWrongRole.slice(1), ...withWrongScope.slice(1)],
    },
    {
      name: "any role will do",
      mayPass: ({ roles, scopes }) => roles.length > 0 && scopes.includes("users:write"),
      differences: withWrongRole.slice(1),
    },
    {
      name: "any scope will do",
      mayPass: ({ roles, scopes }) => roles.includes("admin") && scopes.length > 0,
      differences: withWrongScope.slice(1),
    },
    {
      name: "a role needs to begin with the right one only",
      mayPass: ({ roles, scopes }) =>
        roles.some((role) => role.startsWith("admin")) && scopes.includes("users:write"),
      differences: withWrongRole.slice(2, 3),
    },
    {
      name: "scopes are searched as one text",
      mayPass: ({ roles, scopes }) =>
        roles.includes("admin") && /\busers:write\b/.test(scopes.join(" ")),
      differences: withWrongScope.slice(2, 3),
    },
    {
      name: "capitals in roles do not count",
      mayPass: ({ roles, scopes }) =>
        roles.some((role) => role.toLowerCase() === "admin") && scopes.includes("users:write"),
      differences: withWrongRole.slice(3),
    },
    {
      name: "capitals in scopes do not count",
      mayPass: ({ roles, scopes }) =>
        roles.includes("admin") && scopes.some((scope) => scope.toLowerCase() === "users:write"),
      differences: withWrongScope.slice(3),
    },
    {
      name: "nothing is wrong",
      mayPass: ({ roles, scopes }) => roles.includes("admin") && scopes.includes("users:write"),
      differences: [],
    },
  ])("of a check by hand shows where $name", async ({ mayPass, differences }) => {
    const byHand: Interceptor = (next) => (req) => {
      const identity = req.contextValues.get(authContextKey);
      if (req.method.name === "DeleteUser" && identity !== undefined && !mayPass(identity)) {
        throw new ConnectError("no", Code.PermissionDenied);
      }
      return next(req);
    };
    const policies = [changed({ deleteUser: { kind: "authenticated" } })];
    const interceptors = [...serverAuth({ policies }).interceptors, byHand];
    const report = await describeUsers({ auth: { interceptors } });
    expect(report.differences).toEqual(differences);
  });

  test("shows where a table says public, and the proto file does not", async () => {
    const policies = [changed({ deleteUser: { kind: "public" }, reindex: { kind: "denied" } })];
    const report = await describePolicies(policies, { auth: serverAuth({ policies }), callers });
    expect(report.differences).toEqual([
      "acme.user.v1.UserService/DeleteUser: the table says public, the proto file says requires roles [admin], scopes [users:write]",
      "acme.user.v1.UserService/Reindex: the table says denied, the proto file says internal",
    ]);
    expect(report.cells.filter(({ differs }) => differs)).toEqual([]);
  });

  test("is none where a table repeats itself in another order", async () => {
    const service = buildService("OrderedService", undefined, [
      { name: "Get", auth: { requires: { roles: ["a", "b"], scopes: ["x", "y"] } } },
    ]);
    const policies = [
      definePolicies(service, {
        get: { kind: "requires", roles: ["b", "a", "b"], scopes: ["y", "x", "x"] },
      }),
    ];
    const report = await describePolicies(policies, { auth: serverAuth({ policies }), callers });
    expect(report.differences).toEqual([]);
    expect(report.cells.map(({ caller }) => [caller.roles, caller.scopes])).not.toContainEqual([
      ["b", "a", "b"],
      expect.anything(),
    ]);
  });

  test("is not made of an identity that one call leaves to the next", async () => {
    let last: string | null = null;
    const sticky: Interceptor = (next) => (req) => {
      last = req.header.get("authorization") ?? last;
      if (last !== null) {
        req.header.set("authorization", last);
      }
      return next(req);
    };
    const auth = serverAuth();
    const report = await describeUsers({
      auth: { ...auth, interceptors: [sticky, ...auth.interceptors] },
    });
    expect(report.differences).toContain(
      `${method("WhoAmI")}, ${nobody}: expected Unauthenticated, was allowed`,
    );
  });

  test("is not made of a handler that runs late, during another call", async () => {
    let runLate: (() => Promise<unknown>) | undefined;
    const refuse: Interceptor = (next) => async (req) => {
      await runLate?.();
      runLate = AsyncResource.bind(async () => next(req));
      throw new ConnectError("refused", Code.Unauthenticated);
    };
    const { cells } = await describeUsers({ auth: { interceptors: [refuse] } });
    expect(new Set(cells.map(({ actual }) => actual))).toEqual(new Set(["Unauthenticated"]));
  });
});
