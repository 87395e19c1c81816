import type { ConnectRouter } from "@connectrpc/connect";
import { describe, expect, test, vi } from "vitest";
import { Auth, definePolicies } from "../../src/index.js";
import { createJwtAuthInterceptor, createServerAuth } from "../../src/server/index.js";
import {
  createTestJwt,
  describePolicies,
  startTestIssuer,
  TEST_JWT_SECRET,
} from "../../src/testing/index.js";
import { MatrixServicePolicies } from "../gen/acme/matrix/v1/matrix_auth.js";
import { PlainService } from "../gen/acme/plain/v1/plain_pb.js";
import { UserServicePolicies } from "../gen/acme/user/v1/user_auth.js";
import { UserService } from "../gen/acme/user/v1/user_pb.js";
import { buildService } from "../support/build-service.js";
import { createDpopKeys, signDpopProof } from "../support/dpop-proof.js";
import { buildDemandingService } from "./demanding-service.js";
import { matrixReport, untriedReport } from "./describe-policies.testdata.js";
import { callers, describeUsers, serverAuth, services } from "./describe-users.js";

describe("describePolicies", () => {
  test("finds a server that does what its table says, whatever the kind of stream", async () => {
    const policies = [MatrixServicePolicies];
    const report = await describePolicies(policies, { auth: serverAuth({ policies }), callers });
    expect(report.differences).toEqual([]);
    expect(`${report}`).toBe(matrixReport);
  });

  test("says who was called as whom, what was expected and what happened", async () => {
    const { cells } = await describeUsers();
    const deleting = cells.filter(({ method }) => method === "acme.user.v1.UserService/DeleteUser");
    const policy = { kind: "requires", roles: ["admin"], scopes: ["users:write"] };
    const method = "acme.user.v1.UserService/DeleteUser";
    const refused = (expected: string, message: string) => ({
      method,
      policy,
      expected,
      actual: "Unauthenticated",
      message,
      differs: false,
    });
    const denied = { ...refused("PermissionDenied", "access denied"), actual: "PermissionDenied" };
    const nothing = { roles: [], scopes: [] };
    const everything = { roles: ["admin"], scopes: ["users:write"] };
    expect(deleting).toEqual([
      {
        ...refused("Unauthenticated", "missing credentials"),
        caller: { kind: "nobody", ...nothing },
      },
      { ...refused("Unauthenticated", "invalid token"), caller: { kind: "invalid", ...nothing } },
      { ...denied, caller: { kind: "underPrivileged", ...nothing } },
      ...[[], ["another-role"], ["admin-x"], ["ADMIN"]].map((roles) => ({
        ...denied,
        caller: { kind: "underPrivileged", roles, scopes: ["users:write"] },
      })),
      ...[[], ["another-scope"], ["users:write-x"], ["USERS:WRITE"]].map((scopes) => ({
        ...denied,
        caller: { kind: "underPrivileged", roles: ["admin"], scopes },
      })),
      {
        method,
        policy,
        caller: { kind: "privileged", ...everything },
        expected: "allowed",
        actual: "allowed",
        differs: false,
      },
      {
        ...refused("undecided", "missing credentials"),
        caller: { kind: "internal", ...everything },
      },
    ]);
  });

  test("calls with the keys of an issuer, for one request of its keys", async () => {
    await using issuer = await startTestIssuer({ audience: "https://api.test" });
    const authenticate = createJwtAuthInterceptor({
      jwksUri: issuer.jwksUri,
      issuer: issuer.issuer,
      audience: "https://api.test",
    });
    const report = await describeUsers({
      auth: serverAuth({ authenticate }),
      callers: {
        ...callers,
        user: async ({ roles, scopes }) =>
          Auth.jwt(await issuer.createToken({ sub: "alice", roles, scope: scopes.join(" ") })),
      },
    });
    expect(report.differences).toEqual([]);
    expect(issuer.requests).toBe(1);
  });

  test("runs no handler of the routes", async () => {
    const handler = vi.fn(() => ({}));
    const routes = (router: ConnectRouter) =>
      router
        .service(UserService, { getProfile: handler, whoAmI: handler, deleteUser: handler })
        .rpc(PlainService.method.open, handler);
    const auth = serverAuth({ exempt: ["acme.plain.v1.PlainService/Open"] });
    for (const given of [routes, auth.guard(routes)]) {
      const report = await describeUsers({ auth, routes: given });
      expect(report.differences).toEqual([]);
    }
    expect(handler).not.toHaveBeenCalled();
  });

  test("counts the plain headers of a caller, too", async () => {
    const report = await describeUsers({
      callers: {
        user: async ({ roles, scopes }) => {
          const token = await createTestJwt({ sub: "alice", roles, scope: scopes.join(" ") });
          return { authorization: `Bearer ${token}` };
        },
        internal: () => new Headers({ "x-gateway-secret": "mesh", "x-auth-subject": "indexer" }),
      },
    });
    expect(report.differences).toEqual([]);
  });

  test("calls with a proof for each request, and with the nonce that the server asks for", async () => {
    const keys = await createDpopKeys();
    const origin = "https://api.test";
    const report = await describeUsers({
      auth: serverAuth({
        authenticate: createJwtAuthInterceptor({
          secret: TEST_JWT_SECRET,
          dpop: { publicOrigins: [origin], nonces: true, required: true },
        }),
      }),
      callers: {
        ...callers,
        user: async ({ roles, scopes }) => {
          const cnf = { jkt: keys.jkt };
          const scope = scopes.join(" ");
          const token = await createTestJwt({ sub: "alice", roles, scope, cnf });
          return Auth.dpop(token, ({ htm, htu, nonce }) =>
            signDpopProof(keys, { claims: { htm, htu, nonce } }, token),
          );
        },
      },
      origin,
    });
    expect(report.differences).toEqual([]);
  });
});

describe("who calls", () => {
  test("lacks one thing of the policy each time, or has just enough of it", async () => {
    const service = buildService("ManyService", undefined, [{ name: "Get" }, { name: "Sync" }]);
    const policies = [
      definePolicies(service, {
        get: { kind: "requires", roles: ["a", "b"], scopes: ["x", "y"] },
        sync: { kind: "internal", roles: ["c"] },
      }),
    ];
    const report = await describePolicies(policies, { auth: serverAuth({ policies }), callers });
    expect(report.differences).toEqual([]);
    const granted = (name: string) =>
      report.cells
        .filter(({ method }) => method === `test.v1.ManyService/${name}`)
        .map(({ caller: { kind, roles, scopes } }) => `${kind} ${roles}|${scopes}`);
    expect(granted("Get")).toEqual([
      "nobody |",
      "invalid |",
      "underPrivileged |",
      "underPrivileged |x,y",
      "underPrivileged another-role|x,y",
      "underPrivileged a-x,b-x|x,y",
      "underPrivileged A,B|x,y",
      "underPrivileged a,b|y",
      "underPrivileged a,b|another-scope,y",
      "underPrivileged a,b|x-x,y",
      "underPrivileged a,b|X,y",
      "underPrivileged a,b|x",
      "underPrivileged a,b|x,another-scope",
      "underPrivileged a,b|x,y-x",
      "underPrivileged a,b|x,Y",
      "privileged a|x,y",
      "privileged b|x,y",
      "internal a,b,c|x,y",
    ]);
    expect(granted("Sync")).toEqual([
      "nobody |",
      "invalid |",
      "underPrivileged |",
      "privileged a,b,c|x,y",
      "internal c|",
      "underPrivilegedInternal |",
      "underPrivilegedInternal another-role|",
      "underPrivilegedInternal c-x|",
      "underPrivilegedInternal C|",
    ]);
  });

  test("is given no wrong name that is a right one", async () => {
    const service = buildService("TwinService", undefined, [{ name: "Get" }]);
    const policies = [
      definePolicies(service, {
        get: {
          kind: "requires",
          roles: ["another-role", "a", "A", "a-x", "1"],
          scopes: ["x", "X", "another-scope"],
        },
      }),
    ];
    const report = await describePolicies(policies, { auth: serverAuth({ policies }), callers });
    expect(report.differences).toEqual([]);
    const lacking = report.cells.flatMap(({ caller: { kind, roles, scopes } }) =>
      kind === "underPrivileged" ? [`${roles}|${scopes}`] : [],
    );
    expect(lacking).toEqual([
      "|",
      "|x,X,another-scope",
      "another-role-x,A-x,a-x-x,1-x|x,X,another-scope",
      "ANOTHER-ROLE,A-X|x,X,another-scope",
      "another-role,a,A,a-x,1|X,another-scope",
      "another-role,a,A,a-x,1|another-scope,X",
      "another-role,a,A,a-x,1|x-x,X,another-scope",
      "another-role,a,A,a-x,1|x,another-scope",
      "another-role,a,A,a-x,1|x,X-x,another-scope",
      "another-role,a,A,a-x,1|x,X",
      "another-role,a,A,a-x,1|x,X,another-scope-x",
      "another-role,a,A,a-x,1|x,X,ANOTHER-SCOPE",
    ]);
  });

  test("shows where the requirements of internal callers are not looked at", async () => {
    const service = buildService("SyncService", undefined, [{ name: "Sync" }]);
    const policies = (roles: string[]) => [
      definePolicies(service, { sync: { kind: "internal", roles } }),
    ];
    const auth = serverAuth({ policies: policies([]) });
    const report = await describePolicies(policies(["indexer"]), { auth, callers });
    expect(report.differences).toEqual(
      ["", "another-role", "indexer-x", "INDEXER"].map(
        (role) =>
          `test.v1.SyncService/Sync, called by an internal caller with roles [${role}], scopes []: expected PermissionDenied, was allowed`,
      ),
    );
  });

  test("may not exist: the table says so", async () => {
    const report = await describeUsers({
      callers: {
        user: async (caller, method) =>
          caller.kind === "privileged" ? callers.user(caller, method) : undefined,
        internal: () => undefined,
      },
    });
    expect(report.differences).toEqual([]);
    expect(report.toString()).toBe(untriedReport);
  });

  test("has an invalid credential of the kind that the server reads", async () => {
    const auth = createServerAuth({ policies: [UserServicePolicies], authenticate: services });
    const invalid = { "x-gateway-secret": "wrong", "x-auth-subject": "alice" };
    const report = await describeUsers({
      auth,
      callers: { user: () => ({}), internal: () => undefined, invalid },
    });
    const messages = report.cells.flatMap(({ caller, message }) =>
      caller.kind === "invalid" ? [message] : [],
    );
    // GetProfile is public, and nobody reads credentials of services for Reindex
    expect(messages).toEqual([
      undefined,
      "invalid credentials",
      "invalid credentials",
      "missing credentials",
    ]);
  });

  test("is told which method is called", async () => {
    const user = vi.fn(callers.user);
    await describeUsers({ callers: { ...callers, user } });
    expect(new Set(user.mock.calls.map(([, { localName }]) => localName))).toEqual(
      new Set(["getProfile", "whoAmI", "deleteUser", "reindex"]),
    );
  });
});

describe("a method without a policy", () => {
  const policies = [MatrixServicePolicies];
  const options = {
    auth: serverAuth({ policies, defaultPolicy: "allow" as const }),
    callers,
  };

  test("is not judged, but for those who have no identity", async () => {
    const report = await describePolicies(policies, options);
    const outcomes = report.cells
      .filter(({ method }) => method.endsWith("/UnspecifiedBidi"))
      .map(({ caller: { kind }, expected, actual }) => `${kind} ${expected} ${actual}`);
    expect(outcomes).toEqual([
      "nobody Unauthenticated Unauthenticated",
      "invalid Unauthenticated Unauthenticated",
      "underPrivileged undecided allowed",
      "privileged undecided allowed",
      "internal undecided Unauthenticated",
    ]);
  });

  test("is judged by what is expected of it", async () => {
    const report = await describePolicies(policies, {
      ...options,
      unspecified: (method, { kind }) =>
        method.methodKind === "unary" && kind === "underPrivileged" ? "refused" : undefined,
    });
    expect(report.differences).toEqual([
      "acme.matrix.v1.MatrixService/UnspecifiedUnary, called by a user with roles [], scopes []: expected refused, was allowed",
    ]);
  });
});

describe("a message that cannot be empty", () => {
  test("does not keep a method from being called", async () => {
    const service = buildDemandingService();
    const policies = [
      definePolicies(service, { ask: { kind: "authenticated" }, watch: { kind: "public" } }),
    ];
    const report = await describePolicies(policies, { auth: serverAuth({ policies }), callers });
    expect(report.differences).toEqual([]);
  });
});
