import { describe, expect, test, vi } from "vitest";
import { definePolicies } from "../../src/index.js";
import {
  createJwtAuthInterceptor,
  createServerAuth,
  type ServerAuthOptions,
} from "../../src/server/index.js";
import { UserServicePolicies } from "../gen/acme/user/v1/user_auth.js";
import { buildService } from "../support/build-service.js";
import { createTestToken, testSecret } from "../support/test-token.js";

const alice = { authorization: `Bearer ${await createTestToken({ sub: "alice" })}` };
const path = "/acme.user.v1.UserService/WhoAmI";
const publicPath = "/acme.user.v1.UserService/GetProfile";

function request(target = path, init: RequestInit = {}): Request {
  const headers = { "content-type": "application/json", ...init.headers };
  return new Request(`https://api.test${target}`, { method: "POST", ...init, headers });
}

function createAuth(options: Partial<ServerAuthOptions> = {}) {
  const users = createJwtAuthInterceptor({ secret: testSecret });
  return createServerAuth({ policies: [UserServicePolicies], authenticate: users, ...options });
}

describe("gate", () => {
  test.each(["null", "{}", '"handler"'])("rejects %s in place of a handler", (value) => {
    expect(() => createAuth().gate(JSON.parse(value))).toThrow(
      new TypeError("gate takes a handler of Node's HTTP servers, or one of fetch"),
    );
  });

  test.each([
    { name: "a public method", call: request("/acme.user.v1.UserService/GetProfile") },
    { name: "a service without a table", call: request("/acme.plain.v1.PlainService/Open") },
    { name: "a method that its table has not", call: request("/acme.user.v1.UserService/Other") },
    { name: "a public method with a parameter", call: request(`${publicPath};v=1`) },
    { name: "a service alone", call: request("/acme.user.v1.UserService") },
    { name: "a longer path", call: request(`${path}/more`) },
    { name: "another path", call: request("/") },
    { name: "a path that cannot be decoded", call: request("/%zz") },
    { name: "a name in the query", call: request(`/?${path}`) },
    { name: "OPTIONS", call: request(path, { method: "OPTIONS" }) },
    { name: "PUT", call: request(path, { method: "PUT" }) },
    { name: "HEAD", call: request(path, { method: "HEAD" }) },
  ])("hands $name to the handler at once, as it came", ({ call }) => {
    const answer = new Response("from the handler");
    const handler = vi.fn((_request: Request, _env: string, _n: number) => answer);
    const authenticate = vi.fn();
    const auth = createAuth({ authenticate: { identityHeaders: [], authenticate } });
    expect(auth.gate(handler)(call, "env", 2)).toBe(answer);
    expect(handler).toHaveBeenCalledExactlyOnceWith(call, "env", 2);
    expect(authenticate).not.toHaveBeenCalled();
  });

  test("hands exempt methods to the handler at once", () => {
    const answer = new Response();
    const auth = createAuth({ exempt: ["acme.user.v1.UserService/WhoAmI"] });
    expect(auth.gate((_request: Request) => answer)(request())).toBe(answer);
    expect(
      auth.gate((_request: Request) => answer)(request(path.replace("WhoAmI", "Reindex"))),
    ).toBeInstanceOf(Promise);
  });

  test("looks at credentials on public methods as little as it can", async () => {
    const authenticate = vi.fn();
    const auth = createAuth({
      identifyOnPublic: true,
      authenticate: { identityHeaders: [], authenticate },
    });
    const answer = new Response();
    const call = request("/acme.user.v1.UserService/GetProfile", { headers: alice });
    expect(auth.gate((_request: Request) => answer)(call)).toBe(answer);
    expect(authenticate).not.toHaveBeenCalled();
  });

  test.each([
    { name: "a path", target: path },
    { name: "a query", target: `${path}?x=/acme.user.v1.UserService/GetProfile` },
    { name: "a prefix", target: `/api/v1${path}` },
    { name: "a public method before it", target: `/acme.user.v1.UserService/GetProfile${path}` },
    { name: "doubled slashes", target: "//acme.user.v1.UserService//WhoAmI" },
    { name: "a trailing slash", target: `${path}/` },
    { name: "an encoded letter", target: "/acme.user.v1.UserService/Who%41mI" },
    { name: "an encoded slash", target: "/acme.user.v1.UserService%2fWhoAmI" },
    { name: "a backslash", target: "\\acme.user.v1.UserService\\WhoAmI" },
    { name: "an encoded backslash", target: "/acme.user.v1.UserService%5cWhoAmI" },
    { name: "other capitals", target: "/ACME.user.v1.userservice/whoami" },
    { name: "parameters", target: "/acme.user.v1.UserService;v=1/WhoAmI;v=2" },
    { name: "a semicolon before a public method", target: `${path};${publicPath}` },
    { name: "a semicolon after a public method", target: `${publicPath};v=1${path}` },
    {
      name: "a semicolon after a public method, as one of its name",
      target: `${publicPath};${path}`,
    },
    { name: "dots", target: "/acme.user.v1.UserService/GetProfile/../WhoAmI" },
    { name: "encoded dots", target: "/acme.user.v1.UserService/GetProfile/%2e%2e/WhoAmI" },
    { name: "an encoded question mark before it", target: `/%3f${path}` },
  ])("judges a call by $name", async ({ target }) => {
    const handler = vi.fn((_request: Request) => new Response());
    const { status } = await createAuth().gate(handler)(request(target));
    expect(status).toBe(401);
    expect(handler).not.toHaveBeenCalled();
  });

  test("tells methods apart that differ in capitals only", async () => {
    const service = buildService("Files", undefined, [{ name: "GetItem" }, { name: "Getitem" }]);
    const policies = definePolicies(service, {
      getItem: { kind: "public" },
      getitem: { kind: "denied" },
    });
    const answer = new Response();
    const gate = createAuth({ policies: [policies] }).gate((_request: Request) => answer);
    expect(gate(request("/test.v1.Files/GetItem"))).toBe(answer);
    expect((await gate(request("/test.v1.Files/Getitem"))).status).toBe(401);
  });

  test("judges GET as it does POST", async () => {
    const auth = createAuth();
    const gate = auth.gate((_request: Request) => new Response("passed"));
    const init = { method: "GET", headers: { "content-type": "application/grpc" } };
    const refused = await gate(request(`${path}?encoding=json&message={}`, init));
    expect(refused.status).toBe(401);
    expect(await refused.json()).toEqual({
      code: "unauthenticated",
      message: "missing credentials",
    });
    const passed = await gate(request(path, { method: "GET", headers: alice }));
    expect(await passed.text()).toBe("passed");
  });

  test("reads nothing of a refused body, and leaves that of others to the handler", async () => {
    let pulled = 0;
    const call = (headers: Record<string, string>) => {
      const body = new ReadableStream(
        {
          pull(controller) {
            pulled += 1;
            if (pulled < 5) {
              controller.enqueue(new Uint8Array(10));
            } else {
              controller.close();
            }
          },
        },
        { highWaterMark: 0 },
      );
      // the types of the DOM do not know what fetch asks for here
      const init: RequestInit & { duplex: "half" } = { headers, body, duplex: "half" };
      return request(path, init);
    };
    const gate = createAuth().gate(
      async (sent: Request) => new Response(`${(await sent.arrayBuffer()).byteLength}`),
    );
    const refused = call({});
    expect((await gate(refused)).status).toBe(401);
    expect(refused.bodyUsed).toBe(false);
    expect(pulled).toBe(0);
    expect(await (await gate(call(alice))).text()).toBe("40");
  });
});
