import {
  Code,
  type ConnectError,
  type ConnectRouter,
  createClient,
  createConnectRouter,
  createRouterTransport,
  type Interceptor,
} from "@connectrpc/connect";
import { createFetchHandler } from "@connectrpc/connect/protocol";
import { createConnectTransport } from "@connectrpc/connect-web";
import { beforeEach, describe, expect, test, vi } from "vitest";
import {
  authContextKey,
  createAuthInterceptor,
  createJwtAuthInterceptor,
  createServerAuth,
  type FindCredential,
  getAuthContext,
  type ServerAuth,
} from "../../src/server/index.js";
import { UserServicePolicies } from "../gen/acme/user/v1/user_auth.js";
import { UserService } from "../gen/acme/user/v1/user_pb.js";
import { createDpopKeys, signDpopProof } from "../support/dpop-proof.js";
import { createTestToken, testSecret } from "../support/test-token.js";

type Fetch = (request: Request) => Response | Promise<Response>;

/** Whose API keys were verified, in order. */
const verified: string[] = [];
beforeEach(() => {
  verified.length = 0;
});

/** Callers are who their API key says. */
function createAuth(isKnown: (key: string) => boolean = () => true): ServerAuth {
  const extractCredentials: FindCredential = ({ header }) => header.get("x-api-key");
  const authenticate = createAuthInterceptor({
    extractCredentials,
    async verifyCredentials(key) {
      verified.push(key);
      if (!isKnown(key)) {
        throw new Error("unknown key");
      }
      const scopes = ["users:write"];
      return { subject: key, roles: ["admin"], scopes, claims: {}, type: "api-key" };
    },
  });
  return createServerAuth({ policies: [UserServicePolicies], authenticate });
}

const whoAmI = () => ({ subject: getAuthContext()?.subject ?? "nobody" });
const defaultRoutes = (router: ConnectRouter) => {
  router.service(UserService, { whoAmI, getProfile: () => ({ name: whoAmI().subject }) });
};

function createFetch({ guard, interceptors }: ServerAuth, routes = defaultRoutes): Fetch {
  const router = createConnectRouter({ interceptors });
  guard(routes)(router);
  const handlers = router.handlers.map((handler) => createFetchHandler(handler));
  return async (request) => {
    const { pathname } = new URL(request.url);
    const at = router.handlers.findIndex(({ requestPath }) => requestPath === pathname);
    return (await handlers[at]?.(request)) ?? new Response(null, { status: 404 });
  };
}

function clientOf(handler: Fetch) {
  const transport = createConnectTransport({
    baseUrl: "https://api.test",
    fetch: async (input, init) => handler(new Request(input, init)),
  });
  return createClient(UserService, transport);
}

const as = (key: string) => ({ headers: { "x-api-key": key } });
const missing = { code: Code.Unauthenticated, rawMessage: "missing credentials" };

describe("a call that passed the gate", () => {
  test("is not judged again, and its handler knows the caller", async () => {
    const auth = createAuth();
    const client = clientOf(auth.gate(createFetch(auth)));
    const calls = ["alice", "bob", "carol"].map((key) => client.whoAmI({}, as(key)));
    const subjects = (await Promise.all(calls)).map(({ subject }) => subject);
    expect(subjects).toEqual(["alice", "bob", "carol"]);
    expect(verified).toEqual(["alice", "bob", "carol"]);
  });

  test("is not judged again by a second gate", async () => {
    const auth = createAuth();
    const client = clientOf(auth.gate(auth.gate(createFetch(auth))));
    expect((await client.whoAmI({}, as("alice"))).subject).toBe("alice");
    expect(verified).toEqual(["alice"]);
    await expect(client.whoAmI({})).rejects.toMatchObject(missing);
  });

  test("is judged again by the interceptor of another server", async () => {
    const gate = createAuth();
    const other = createAuth((key) => key === "bob");
    const client = clientOf(gate.gate(createFetch(other)));
    expect((await client.whoAmI({}, as("bob"))).subject).toBe("bob");
    await expect(client.whoAmI({}, as("alice"))).rejects.toMatchObject({
      code: Code.Unauthenticated,
      rawMessage: "invalid credentials",
    });
    expect(verified).toEqual(["bob", "bob", "alice", "alice"]);
  });

  test.each([
    { name: "it lost its credential", set: {}, remove: "x-api-key", want: missing },
    { name: "it has a credential more", set: { cookie: "a=b" }, verified: 2 },
    { name: "a header has changed", set: { origin: "https://b.test" }, verified: 2 },
    { name: "a header was added", set: { "x-request-id": "1" }, verified: 1 },
  ])("is judged as it is then, where $name", async ({ set, remove, want, verified: times }) => {
    const auth = createAuth();
    const handler = createFetch(auth);
    const client = clientOf(
      auth.gate((request: Request) => {
        const headers = new Headers(request.headers);
        for (const [name, value] of Object.entries(set)) {
          headers.set(name, value);
        }
        if (remove !== undefined) {
          headers.delete(remove);
        }
        return handler(new Request(request, { headers }));
      }),
    );
    const call = client.whoAmI({}, { headers: { "x-api-key": "alice", origin: "https://a.test" } });
    if (want !== undefined) {
      await expect(call).rejects.toMatchObject(want);
    } else {
      expect((await call).subject).toBe("alice");
      expect(verified).toHaveLength(times ?? 0);
    }
  });

  test("is judged as it is then, where the handler changed the very request", async () => {
    const auth = createAuth();
    const handler = createFetch(auth);
    const client = clientOf(
      auth.gate((request: Request) => {
        request.headers.delete("x-api-key");
        return handler(request);
      }),
    );
    await expect(client.whoAmI({}, as("alice"))).rejects.toMatchObject(missing);
  });

  test("does not let a public call know whose it was", async () => {
    const auth = createAuth();
    const client = clientOf(auth.gate(createFetch(auth)));
    expect((await client.getProfile({}, as("alice"))).name).toBe("nobody");
    expect(verified).toEqual([]);
  });

  test("reaches its handler where the interceptors of a service replace those of the router", async () => {
    const auth = createAuth();
    const seen: (string | undefined)[] = [];
    const own: Interceptor = (next) => (req) => {
      seen.push(req.contextValues.get(authContextKey)?.subject);
      return next(req);
    };
    const handler = createFetch(auth, (router) => {
      router.service(UserService, { whoAmI }, { interceptors: [own] });
    });
    const client = clientOf(auth.gate(handler));
    expect((await client.whoAmI({}, as("alice"))).subject).toBe("alice");
    expect(verified).toEqual(["alice"]);
    await expect(client.whoAmI({})).rejects.toMatchObject(missing);
    expect(seen).toEqual(["alice"]);
  });
});

describe("a call that is made within one that passed the gate", () => {
  const auth = createAuth();
  const inProcess = createClient(
    UserService,
    createRouterTransport(auth.guard(defaultRoutes), {
      router: { interceptors: auth.interceptors },
    }),
  );

  test("is judged by itself, in a handler of Connect", async () => {
    const answers: unknown[] = [];
    const server = createAuth();
    const routes = (router: ConnectRouter) => {
      router.service(UserService, { whoAmI, deleteUser });
    };
    const self = createClient(
      UserService,
      createRouterTransport(server.guard(routes), {
        router: { interceptors: server.interceptors },
      }),
    );
    async function deleteUser() {
      answers.push(await self.whoAmI({}).catch(({ rawMessage }: ConnectError) => rawMessage));
      answers.push((await self.whoAmI({}, as("alice"))).subject);
      answers.push((await self.whoAmI({}, as("bob"))).subject);
      return {};
    }
    const client = clientOf(server.gate(createFetch(server, routes)));
    await client.deleteUser({}, as("alice"));
    expect(answers).toEqual(["missing credentials", "alice", "bob"]);
    expect(verified).toEqual(["alice", "alice", "bob"]);
  });

  test("is judged by itself, in another handler", async () => {
    const answers: unknown[] = [];
    const handler = vi.fn(async (_request: Request) => {
      answers.push(await inProcess.whoAmI({}).catch(({ rawMessage }: ConnectError) => rawMessage));
      answers.push((await inProcess.whoAmI({}, as("bob"))).subject);
      return new Response("{}", { headers: { "content-type": "application/json" } });
    });
    await clientOf(auth.gate(handler)).whoAmI({}, as("alice"));
    expect(answers).toEqual(["missing credentials", "bob"]);
    expect(verified).toEqual(["alice", "bob"]);
  });
});

describe("a DPoP proof", async () => {
  const keys = await createDpopKeys();
  const token = await createTestToken({ sub: "alice", cnf: { jkt: keys.jkt } });
  const url = "https://api.test/acme.user.v1.UserService/WhoAmI";
  const auth = createServerAuth({
    policies: [UserServicePolicies],
    authenticate: createJwtAuthInterceptor({
      secret: testSecret,
      dpop: { publicOrigins: ["https://api.test"] },
    }),
  });

  test("counts once, at the gate and at the interceptor behind it together", async () => {
    const client = clientOf(auth.gate(createFetch(auth)));
    const dpop = await signDpopProof(keys, { claims: { htm: "POST", htu: url } }, token);
    const options = { headers: { authorization: `DPoP ${token}`, dpop } };
    expect((await client.whoAmI({}, options)).subject).toBe("alice");
    await expect(client.whoAmI({}, options)).rejects.toMatchObject({
      code: Code.Unauthenticated,
      rawMessage: "invalid DPoP proof",
    });
  });

  test("counts once of a hundred calls at the same time", async () => {
    const client = clientOf(auth.gate(createFetch(auth)));
    const dpop = await signDpopProof(keys, { claims: { htm: "POST", htu: url } }, token);
    const options = { headers: { authorization: `DPoP ${token}`, dpop } };
    const calls = Array.from({ length: 100 }, () => client.whoAmI({}, options));
    const results = await Promise.allSettled(calls);
    expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  });
});
