import { inspect } from "node:util";
import {
  Code,
  ConnectError,
  createClient,
  createConnectRouter,
  type Interceptor,
} from "@connectrpc/connect";
import { createFetchHandler } from "@connectrpc/connect/protocol";
import { createConnectTransport } from "@connectrpc/connect-web";
import { describe, expect, test } from "vitest";
import {
  AuthzDeniedError,
  createAuthInterceptor,
  createJwtAuthInterceptor,
  createServerAuth,
  type Denial,
  type ServerAuth,
  type ServerAuthOptions,
} from "../../src/server/index.js";
import { UserServicePolicies } from "../gen/acme/user/v1/user_auth.js";
import { UserService } from "../gen/acme/user/v1/user_pb.js";
import { createDpopKeys, signDpopProof } from "../support/dpop-proof.js";
import { createTestToken, testSecret } from "../support/test-token.js";

const afterGate = (names: string) =>
  `; the call had passed the gate, and was judged again as these headers changed on the way: ${names}`;

/** A server behind a gate, and what was refused there. */
function createServer(
  options: Omit<ServerAuthOptions, "policies" | "onDenied">,
  change: (header: Headers) => void,
) {
  const denials: Denial[] = [];
  const auth = createServerAuth({
    policies: [UserServicePolicies],
    ...options,
    onDenied: (denial) => denials.push(denial),
  });
  const changing: Interceptor = (next) => (req) => {
    change(req.header);
    return next(req);
  };
  return { client: clientOf(auth, changing), denials };
}

function clientOf(auth: ServerAuth, before: Interceptor) {
  const router = createConnectRouter({ interceptors: [before, ...auth.interceptors] });
  const whoAmI = () => ({ subject: "somebody" });
  auth.guard(({ service }) => service(UserService, { whoAmI, deleteUser: () => ({}) }))(router);
  const handlers = new Map(
    router.handlers.map((handler) => [handler.requestPath, createFetchHandler(handler)]),
  );
  const gate = auth.gate(async (request: Request) => {
    const handler = handlers.get(new URL(request.url).pathname);
    return (await handler?.(request)) ?? new Response(null, { status: 404 });
  });
  const transport = createConnectTransport({
    baseUrl: "https://api.test",
    fetch: async (input, init) => gate(new Request(input, init)),
  });
  return createClient(UserService, transport);
}

describe("a call whose headers changed behind the gate", async () => {
  const keys = await createDpopKeys();
  const token = await createTestToken({ sub: "alice", cnf: { jkt: keys.jkt } });
  const dpopCall = async () => {
    const htu = "https://api.test/acme.user.v1.UserService/WhoAmI";
    const dpop = await signDpopProof(keys, { claims: { htm: "POST", htu } }, token);
    return { headers: { authorization: `DPoP ${token}`, dpop, traceparent: "00-trace" } };
  };
  const authenticate = createJwtAuthInterceptor({
    secret: testSecret,
    dpop: { publicOrigins: ["https://api.test"] },
  });

  test("is refused with the reason and the names of the headers, where its proof was used by the gate", async () => {
    const { client, denials } = createServer({ authenticate }, (header) => {
      header.delete("traceparent");
    });
    const options = await dpopCall();
    await expect(client.whoAmI({}, options)).rejects.toMatchObject({
      code: Code.Unauthenticated,
      rawMessage: "invalid DPoP proof",
    });
    expect(denials).toHaveLength(1);
    const error = denials[0]?.error;
    expect(error).toMatchObject({
      code: Code.Unauthenticated,
      rawMessage: "invalid DPoP proof",
      cause: {
        message: `proof: "jti" was used before${afterGate("traceparent")}`,
        cause: new Error('proof: "jti" was used before'),
      },
    });
    expect(error?.metadata.get("www-authenticate")).toContain('error="invalid_dpop_proof"');
    for (const value of Object.values(options.headers)) {
      expect(inspect(error)).not.toContain(value);
    }
  });

  test("is told nothing of that where the gate refuses it", async () => {
    const { client, denials } = createServer({ authenticate }, () => {});
    const options = await dpopCall();
    expect((await client.whoAmI({}, options)).subject).toBe("somebody");
    await expect(client.whoAmI({}, options)).rejects.toMatchObject({
      code: Code.Unauthenticated,
      rawMessage: "invalid DPoP proof",
    });
    expect(denials.map(({ error }) => error.cause)).toEqual([
      new Error('proof: "jti" was used before'),
    ]);
  });

  test("passes where nothing but a header was added", async () => {
    const { client, denials } = createServer({ authenticate }, (header) => {
      header.set("x-request-id", "1");
    });
    expect((await client.whoAmI({}, await dpopCall())).subject).toBe("somebody");
    expect(denials).toEqual([]);
  });

  test("is refused by a second gate with the same reason", async () => {
    const denials: Denial[] = [];
    const { gate } = createServerAuth({
      policies: [UserServicePolicies],
      authenticate,
      onDenied: (denial) => denials.push(denial),
    });
    const inner = gate(async (_request: Request) => new Response("{}"));
    const outer = gate((request: Request) => {
      request.headers.delete("traceparent");
      return inner(request);
    });
    const { headers } = await dpopCall();
    const url = "https://api.test/acme.user.v1.UserService/WhoAmI";
    const response = await outer(new Request(url, { method: "POST", headers }));
    expect(response.status).toBe(401);
    expect(denials.map(({ error }) => error)).toMatchObject([
      {
        code: Code.Unauthenticated,
        rawMessage: "invalid DPoP proof",
        cause: { message: `proof: "jti" was used before${afterGate("traceparent")}` },
      },
    ]);
  });

  test("is refused with the message where there is no other cause", async () => {
    const { client, denials } = createServer({ authenticate }, (header) => {
      header.delete("authorization");
      header.delete("dpop");
    });
    await expect(client.whoAmI({}, await dpopCall())).rejects.toMatchObject({
      code: Code.Unauthenticated,
      rawMessage: "missing credentials",
    });
    expect(denials.map(({ error }) => error.cause)).toEqual([
      new Error(`missing credentials${afterGate("authorization, dpop")}`),
    ]);
  });

  test("does not change an error that was thrown", async () => {
    const constant = Object.freeze(
      new ConnectError("not today", Code.Unavailable, { "retry-after": "60" }),
    );
    const byKey = createAuthInterceptor({
      extractCredentials: ({ header }) => header.get("x-api-key"),
      verifyCredentials: (key) => {
        if (key !== "known") {
          throw constant;
        }
        return { subject: key, roles: [], scopes: [], claims: {}, type: "api-key" };
      },
    });
    const { client, denials } = createServer({ authenticate: byKey }, (header) => {
      header.set("x-api-key", "other");
    });
    for (const _attempt of [1, 2]) {
      await expect(client.whoAmI({}, { headers: { "x-api-key": "known" } })).rejects.toMatchObject({
        code: Code.Unavailable,
        rawMessage: "not today",
      });
    }
    for (const { error } of denials) {
      expect(error.cause).toEqual(new Error(`not today${afterGate("x-api-key")}`));
      expect(error.metadata.get("retry-after")).toBe("60");
    }
    expect(denials).toHaveLength(2);
    expect(constant.cause).toBeUndefined();
  });

  test("is denied with what it did not meet", async () => {
    const claims = { roles: ["admin"], scope: "users:write" };
    const admin = `Bearer ${await createTestToken(claims)}`;
    const user = `Bearer ${await createTestToken()}`;
    const { client, denials } = createServer({ authenticate }, (header) => {
      header.set("authorization", user);
    });
    await expect(
      client.deleteUser({}, { headers: { authorization: admin } }),
    ).rejects.toMatchObject({ code: Code.PermissionDenied, rawMessage: "access denied" });
    const [denial] = denials;
    expect.assert(denial?.error instanceof AuthzDeniedError);
    expect(denial.error.authzDetails).toEqual({
      ruleName: "requires",
      requiredRoles: ["admin"],
      requiredScopes: ["users:write"],
    });
    expect(denial.error.cause).toEqual(new Error(`access denied${afterGate("authorization")}`));
    expect(denial.identity?.subject).toBe("user");
  });
});
