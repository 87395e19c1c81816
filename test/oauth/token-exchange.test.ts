import { decodeJwt } from "jose";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { CachedAuth } from "../../src/index.js";
import {
  clientSecretPost,
  createAuthClient,
  type TokenExchangeOptions,
  tokenExchange,
} from "../../src/oauth/index.js";
import {
  startAuthorizationServer,
  type TestAuthorizationServer,
} from "../support/authorization-server.js";
import { getAuth, tokenOf } from "../support/get-auth.js";
import { startHttpServer, type TestHttpServer } from "../support/http-server.js";
import { watchSecrets } from "../support/secrets.js";

const accessTokenType = "urn:ietf:params:oauth:token-type:access_token";
const secrets = watchSecrets();
let as: TestAuthorizationServer;
/** Answers with a token that names those it was exchanged for. */
let echo: TestHttpServer;

beforeAll(async () => {
  as = await startAuthorizationServer();
  echo = await startHttpServer(({ body }) => {
    const names = ["actor_token", "subject_token", "scope"];
    const params = new URLSearchParams(body);
    const text = JSON.stringify(names.map((name) => params.get(name)));
    const access_token = `exchanged-${Buffer.from(text).toString("base64url")}`;
    return { body: { access_token, token_type: "Bearer", expires_in: 300 } };
  });
});

afterEach(() => {
  as.fault(undefined);
  echo.requests.length = 0;
});

afterAll(async () => {
  await as.close();
  await echo.close();
});

/** A token of a client of the server: the party that calls. */
async function tokenFor(name: "post" | "limited", scope: string): Promise<string> {
  const { clientId, clientSecret } = as.clients[name];
  const auth = createAuthClient({
    issuer: as.issuer,
    clientId,
    ...(name === "post"
      ? {
          clientAuthentication: clientSecretPost(clientSecret),
        }
      : { clientSecret }),
    scope,
    resource: as.resources.orders,
  });
  return (await auth.getToken()).access_token;
}

function exchangeAt(
  server: { issuer: string; tokenEndpoint?: string },
  options: Partial<TokenExchangeOptions>,
): CachedAuth {
  return secrets.watch(
    tokenExchange({
      ...server,
      ...as.clients.basic,
      subjectToken: "token of a subject",
      ...options,
    }),
  );
}
const real = (options: Partial<TokenExchangeOptions>) => exchangeAt({ issuer: as.issuer }, options);
const echoed = (options: Partial<TokenExchangeOptions>) =>
  exchangeAt({ issuer: echo.baseUrl, tokenEndpoint: `${echo.baseUrl}/token` }, options);

/** What a token of `echo` was exchanged for: actor, subject and scopes. */
async function exchangedFor(credentials: CachedAuth, scopes?: readonly string[]) {
  const token = secrets.hide(tokenOf(await getAuth(credentials, scopes)));
  const parts: unknown = JSON.parse(
    Buffer.from(token.replace("exchanged-", ""), "base64url").toString(),
  );
  return parts;
}

describe("a server", () => {
  test("exchanges the token of a caller for one of its own, for another API", async () => {
    const subjectToken = await tokenFor("post", "orders:read users:read");
    const before = as.requests.length;
    const credentials = real({
      subjectToken,
      scope: "users:read",
      resource: as.resources.users,
    });
    const auth = await getAuth(credentials);
    expect(decodeJwt(tokenOf(auth))).toMatchObject({
      sub: "post",
      client_id: "basic",
      aud: as.resources.users,
      scope: "users:read",
      act: { sub: "basic" },
    });
    expect(await getAuth(credentials)).toBe(auth);
    expect(as.requests.slice(before).map(({ params }) => Object.fromEntries(params))).toEqual([
      {
        grant_type: "urn:ietf:params:oauth:grant-type:token-exchange",
        subject_token: subjectToken,
        subject_token_type: accessTokenType,
        scope: "users:read",
        resource: as.resources.users,
      },
    ]);
  });

  test("names the actor, and binds the token to a key", async () => {
    const auth = await getAuth(
      real({
        subjectToken: await tokenFor("post", "orders:read"),
        actorToken: await tokenFor("limited", "orders:read"),
        dpop: true,
      }),
    );
    expect(auth.type).toBe("dpop");
    expect(decodeJwt(tokenOf(auth))).toMatchObject({
      sub: "post",
      act: { sub: "limited" },
      cnf: { jkt: expect.any(String) },
    });
  });

  test("refuses a token that is not its own, and what it says of that stays there", async () => {
    const subjectToken = secrets.hide("not a token of this server");
    const error = await secrets.failure(getAuth(real({ subjectToken })));
    expect(error).toMatchObject({
      name: "AuthError",
      code: "credentials_failed",
      message: `the token endpoint ${as.tokenEndpoint} answered invalid_request, HTTP 400`,
      cause: { name: "AuthClientError", code: "invalid_request", status: 400 },
    });
  });

  test("asks for what each method needs", async () => {
    const before = as.requests.length;
    const credentials = real({
      subjectToken: await tokenFor("post", "orders:read orders:write"),
      scope: "from-policy",
    });
    const scopes = async (names: string[]) =>
      decodeJwt(tokenOf(await getAuth(credentials, names))).scope;
    expect(await scopes(["orders:read"])).toBe("orders:read");
    expect(await scopes(["orders:write"])).toBe("orders:write");
    expect(await scopes(["orders:read"])).toBe("orders:read");
    expect(as.requests.slice(before)).toHaveLength(3);
  });
});

test("all parameters are sent", async () => {
  const credentials = echoed({
    subjectToken: "token of a subject",
    subjectTokenType: "urn:ietf:params:oauth:token-type:id_token",
    actorToken: async () => "actor",
    actorTokenType: "urn:ietf:params:oauth:token-type:jwt",
    requestedTokenType: accessTokenType,
    audience: ["billing", "mail"],
    resource: ["https://b.test/", "https://a.test/"],
    parameters: { tenant: "1" },
  });
  expect(await exchangedFor(credentials)).toEqual(["actor", "token of a subject", null]);
  expect([...new URLSearchParams(echo.requests[0]?.body)].sort()).toEqual([
    ["actor_token", "actor"],
    ["actor_token_type", "urn:ietf:params:oauth:token-type:jwt"],
    ["audience", "billing"],
    ["audience", "mail"],
    ["grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"],
    ["requested_token_type", accessTokenType],
    ["resource", "https://a.test/"],
    ["resource", "https://b.test/"],
    ["subject_token", "token of a subject"],
    ["subject_token_type", "urn:ietf:params:oauth:token-type:id_token"],
    ["tenant", "1"],
  ]);
});

describe("callers", () => {
  test("get one token each, and never that of another", async () => {
    let subject = "";
    const credentials = echoed({ subjectToken: () => subject });
    for (let round = 0; round < 2; round++) {
      for (const name of ["alice", "bob"]) {
        subject = name;
        expect(await exchangedFor(credentials)).toEqual([null, name, null]);
      }
    }
    expect(echo.requests).toHaveLength(2);
  });

  test("at once keep their own", async () => {
    const credentials = echoed({
      subjectToken: async ({ url }) => {
        await Promise.resolve();
        return new URL(url).pathname.slice(1);
      },
    });
    const names = Array.from({ length: 100 }, (_, i) => `user-${i % 10}`);
    const tokens = await Promise.all(
      names.map((name) => getAuth(credentials, [], { url: `https://api.test/${name}` })),
    );
    tokens.forEach((auth, i) => {
      const text = Buffer.from(tokenOf(auth).replace("exchanged-", ""), "base64url").toString();
      expect(JSON.parse(text)).toEqual([null, names[i], null]);
    });
    expect(echo.requests).toHaveLength(10);
  });

  test.each([
    {
      name: "a separator in a token",
      pairs: [
        ["a", 'b","c'],
        ['a","b', "c"],
      ],
    },
    {
      name: "a colon",
      pairs: [
        ["a", "b:c"],
        ["a:b", "c"],
      ],
    },
    {
      name: "the other way round",
      pairs: [
        ["a", "b"],
        ["b", "a"],
      ],
    },
    {
      name: "actor and subject alike",
      pairs: [
        ["a", "a"],
        ["a", "b"],
        ["b", "b"],
      ],
    },
    {
      name: "end and beginning",
      pairs: [
        ["ab", "c"],
        ["a", "bc"],
      ],
    },
  ])("are not mistaken for others by crafted tokens: $name", async ({ pairs }) => {
    let pair: readonly (string | undefined)[] = [];
    const credentials = echoed({
      actorToken: () => pair[0] ?? "",
      subjectToken: () => pair[1] ?? "",
    });
    for (pair of [...pairs, ...pairs]) {
      expect(await exchangedFor(credentials)).toEqual([...pair, null]);
    }
    expect(echo.requests).toHaveLength(pairs.length);
  });

  test("with scopes that look like a hash are not mistaken", async () => {
    let subject = "alice";
    const credentials = echoed({ subjectToken: () => subject, scope: "from-policy" });
    const hash = Buffer.from(
      await crypto.subtle.digest("SHA-256", new TextEncoder().encode("bob")),
    ).toString("base64url");
    expect(await exchangedFor(credentials, [hash])).toEqual([null, "alice", hash]);
    subject = "bob";
    expect(await exchangedFor(credentials)).toEqual([null, "bob", null]);
    expect(echo.requests).toHaveLength(2);
  });

  test("beyond 1,000 push out the one that was seen longest ago", async () => {
    let subject = "";
    const credentials = echoed({ subjectToken: () => subject });
    const call = async (name: string) => {
      subject = name;
      const before = echo.requests.length;
      await getAuth(credentials);
      return echo.requests.length > before;
    };
    await call("first");
    await call("second");
    for (let i = 0; i < 998; i++) {
      await call(`user-${i}`);
    }
    expect(await call("first")).toBe(false);
    expect(await call("one more")).toBe(true);
    expect(await call("first")).toBe(false);
    expect(await call("second")).toBe(true);
  }, 60_000);

  test("are kept under hashes: no key of a map shows a token", async () => {
    const kept: unknown[] = [];
    const set = Map.prototype.set;
    Map.prototype.set = function (key, value) {
      kept.push(key);
      return set.call(this, key, value);
    };
    try {
      const subjectToken = secrets.hide("the-token-of-a-caller");
      await getAuth(echoed({ subjectToken, actorToken: subjectToken }));
    } finally {
      Map.prototype.set = set;
    }
    const keys = kept.filter((key) => typeof key === "string");
    expect(keys.filter((key) => /^\["[\w-]{43}","[\w-]{43}"\]$/.test(key))).not.toEqual([]);
    expect(keys.filter((key) => key.includes("caller"))).toEqual([]);
  });
});

describe("subjectToken", () => {
  test("is told of the call", async () => {
    const asked: string[] = [];
    const credentials = echoed({
      subjectToken: ({ method, url, reason }) => {
        asked.push(`${method.name} ${url} ${reason}`);
        return "token of a subject";
      },
    });
    await getAuth(credentials);
    expect(asked).toEqual([
      "DeleteUser https://api.test/acme.user.v1.UserService/DeleteUser request",
    ]);
  });

  test.each([
    { name: "throws", subjectToken: () => Promise.reject(new Error("nobody is signed in")) },
    { name: "returns nothing", subjectToken: () => "" },
    { name: "returns undefined", subjectToken: async () => JSON.parse("null") },
  ])("that $name makes this call fail, and no other", async ({ subjectToken }) => {
    let isBroken = true;
    const credentials = echoed({
      subjectToken: () => (isBroken ? subjectToken() : "token of a subject"),
    });
    const error = await secrets.failure(getAuth(credentials));
    expect(error.message).toMatch(
      /^(nobody is signed in|subjectToken must be a string that is not empty)$/,
    );
    expect(echo.requests).toEqual([]);
    isBroken = false;
    expect(await exchangedFor(credentials)).toEqual([null, "token of a subject", null]);
  });

  test("that is refused fails for its caller alone", async () => {
    let subject = "not valid";
    const good = await tokenFor("post", "orders:read");
    const credentials = real({ subjectToken: () => subject });
    const failure = { code: "credentials_failed", cause: { code: "invalid_request" } };
    expect(await secrets.failure(getAuth(credentials))).toMatchObject(failure);
    subject = good;
    expect(decodeJwt(tokenOf(await getAuth(credentials))).sub).toBe("post");
    subject = "not valid";
    const before = as.requests.length;
    expect(await secrets.failure(getAuth(credentials))).toMatchObject(failure);
    expect(as.requests).toHaveLength(before);
  });
});

test("a call that needs more scopes gets them once, and the usual ones if they are refused", async () => {
  const credentials = real({
    subjectToken: await tokenFor("post", "orders:read orders:write"),
    scope: "from-policy",
  });
  const challenge = (scope: string) => ({
    reason: "rejected" as const,
    challenge: {
      scheme: "bearer",
      params: new Map([
        ["error", "insufficient_scope"],
        ["scope", scope],
      ]),
    },
  });
  const scopeOf = async (init?: ReturnType<typeof challenge>) =>
    decodeJwt(tokenOf(await getAuth(credentials, ["orders:read"], init))).scope;
  expect(await scopeOf()).toBe("orders:read");
  for (let i = 0; i < 2; i++) {
    const refused = getAuth(credentials, ["orders:read"], challenge("users:write"));
    expect(await secrets.failure(refused)).toMatchObject({ cause: { code: "invalid_scope" } });
    expect(await scopeOf()).toBe("orders:read");
  }
  expect(await scopeOf(challenge("orders:write"))).toBe("orders:read orders:write");
  expect(await scopeOf()).toBe("orders:read orders:write");
});

test.each([
  { options: { subject: "a" }, message: /^tokenExchange has no option "subject"; there are/ },
  { options: { resource: "a" }, message: /^resource "a" must be an absolute URI/ },
  { options: { subjectToken: "" }, message: /^subjectToken must be a string that is not empty$/ },
  { options: { actorToken: "" }, message: /^actorToken must be a string that is not empty$/ },
])("rejects $options", ({ options, message }) => {
  const make = () => echoed(options);
  expect(make).toThrow(TypeError);
  expect(make).toThrow(message);
});
