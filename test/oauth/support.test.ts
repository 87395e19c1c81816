import {
  calculateJwkThumbprint,
  createRemoteJWKSet,
  decodeJwt,
  exportJWK,
  generateKeyPair,
  jwtVerify,
  SignJWT,
} from "jose";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import {
  type ServedMetadata,
  startAuthorizationServer,
  type TestAuthorizationServer,
} from "../support/authorization-server.js";
import { createTlsFetch } from "../support/mutual-tls.js";
import type { SecretClient } from "../support/oauth-clients.js";
import { type Answer, basic, post } from "../support/post-form.js";

const exchange = "urn:ietf:params:oauth:grant-type:token-exchange";
const accessTokenType = "urn:ietf:params:oauth:token-type:access_token";

let as: TestAuthorizationServer;
const printed = vi.spyOn(console, "warn");

beforeAll(async () => {
  as = await startAuthorizationServer();
});

afterEach(() => {
  as.discoveryFault(undefined);
  as.metadata("both");
});

afterAll(() => as.close());

/** The client credentials grant, by default of the client `basic` for `orders:read`. */
function requestToken(
  params: Record<string, string> = {},
  client: SecretClient = as.clients.basic,
): Promise<Answer> {
  const body = { scope: "orders:read", resource: as.resources.orders, ...params };
  return post(as.tokenEndpoint, { grant_type: "client_credentials", ...body }, basic(client));
}

const invalid = (error: string) => ({ status: 400, json: { error } });

test("prints no warning", () => {
  expect(printed).not.toHaveBeenCalled();
});

describe("clients", () => {
  test.each(["basic", "encoded", "limited"] as const)("%s has a secret", async (name) => {
    const client = as.clients[name];
    expect(await requestToken({}, client)).toMatchObject({
      status: 200,
      json: { token_type: "Bearer", scope: "orders:read", expires_in: 300 },
    });
    expect(as.requests.at(-1)).toMatchObject({ grantType: "client_credentials", status: 200 });
    expect(as.requests.at(-1)?.headers.get("authorization")).toBe(basic(client).authorization);
    expect(as.requests.at(-1)?.params.get("scope")).toBe("orders:read");
    expect(await requestToken({}, { ...client, clientSecret: "wrong" })).toMatchObject({
      status: 401,
      json: { error: "invalid_client" },
    });
  });

  test("encoded is not itself without the encoding", async () => {
    const { clientId, clientSecret } = as.clients.encoded;
    const authorization = `Basic ${btoa(`${clientId}:${clientSecret}`)}`;
    const body = { grant_type: "client_credentials" };
    const answer = await post(as.tokenEndpoint, body, { authorization });
    expect(answer).toMatchObject({ status: 401, json: { error: "invalid_client" } });
  });

  test("post has its secret in the body", async () => {
    const { clientId, clientSecret } = as.clients.post;
    const body = { grant_type: "client_credentials", client_id: clientId };
    const answer = await post(as.tokenEndpoint, { ...body, client_secret: clientSecret });
    expect(answer.status).toBe(200);
    expect((await post(as.tokenEndpoint, body)).json).toMatchObject({ error: "invalid_client" });
  });

  test("privateKeyJwt signs an assertion", async () => {
    const { clientId, privateKey, kid } = as.clients.privateKeyJwt;
    const assertion = (key: CryptoKey) =>
      new SignJWT({ jti: crypto.randomUUID() })
        .setProtectedHeader({ alg: "ES256", kid })
        .setIssuer(clientId)
        .setSubject(clientId)
        .setAudience(as.issuer)
        .setIssuedAt()
        .setExpirationTime("1 min")
        .sign(key);
    const ask = async (key: CryptoKey) =>
      post(as.tokenEndpoint, {
        grant_type: "client_credentials",
        client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        client_assertion: await assertion(key),
      });
    expect((await ask(privateKey)).status).toBe(200);
    const other = await generateKeyPair("ES256");
    expect((await ask(other.privateKey)).json).toMatchObject({ error: "invalid_client" });
  });

  test("limited may have orders:read only", async () => {
    const answer = await requestToken({ scope: "orders:read users:read" }, as.clients.limited);
    expect(answer).toMatchObject(invalid("invalid_scope"));
  });

  test("mutualTls shows a certificate, and its tokens are bound to it", async () => {
    const secure = await startAuthorizationServer({ tls: true });
    try {
      const { clientId, certificate } = secure.clients.mutualTls;
      const ask = (fetchOf: typeof fetch) =>
        post(
          secure.tokenEndpoint,
          {
            grant_type: "client_credentials",
            client_id: clientId,
            scope: "orders:read",
            resource: secure.resources.orders,
          },
          {},
          fetchOf,
        );
      const { json } = await ask(createTlsFetch(certificate));
      expect(decodeJwt(String(json.access_token))).toMatchObject({
        iss: secure.issuer,
        cnf: { "x5t#S256": expect.stringMatching(/^[\w-]{43}$/) },
      });
      expect(await ask(createTlsFetch())).toMatchObject({
        status: 401,
        json: { error: "invalid_client" },
      });
      const metadata = await createTlsFetch()(`${secure.issuer}/.well-known/openid-configuration`);
      expect(await metadata.json()).toMatchObject({ issuer: secure.issuer });
    } finally {
      await secure.close();
    }
  });
});

describe("resources", () => {
  test.each(["orders", "users"] as const)("%s gets JWTs for itself", async (name) => {
    const resource = as.resources[name];
    const { json } = await requestToken({ resource, scope: "orders:read users:read" });
    const scope = name === "users" ? "users:read" : "orders:read users:read";
    expect(json.scope).toBe(scope);
    const keys = createRemoteJWKSet(new URL(as.jwksUri));
    const options = { issuer: as.issuer, audience: resource, typ: "at+jwt" };
    const { payload } = await jwtVerify(String(json.access_token), keys, options);
    expect(payload).toMatchObject({ sub: "basic", client_id: "basic", scope });
  });

  test("opaque gets tokens that are introspected", async () => {
    const { json } = await requestToken({ resource: as.resources.opaque });
    expect(json.access_token).toMatch(/^[\w-]+$/);
    const body = { token: String(json.access_token) };
    const answer = await post(as.introspectionEndpoint, body, basic(as.clients.basic));
    expect(answer.json).toMatchObject({ active: true, aud: as.resources.opaque });
    expect((await post(as.introspectionEndpoint, body)).json).toMatchObject(
      invalid("invalid_request").json,
    );
  });

  test("an unknown one, and two at once, are refused", async () => {
    expect(await requestToken({ resource: "https://other.test/" })).toMatchObject(
      invalid("invalid_target"),
    );
    const two: [string, string][] = [
      ["grant_type", "client_credentials"],
      ["resource", as.resources.orders],
      ["resource", as.resources.users],
    ];
    const answer = await post(as.tokenEndpoint, two, basic(as.clients.basic));
    expect(answer).toMatchObject(invalid("invalid_target"));
  });
});

test("sets the lifetime of the next tokens", async () => {
  as.setTokenLifetime(7);
  const { json } = await requestToken();
  as.setTokenLifetime(300);
  expect(json.expires_in).toBe(7);
  const { exp = 0, iat = 0 } = decodeJwt(String(json.access_token));
  expect(exp - iat).toBe(7);
});

describe("refresh tokens", () => {
  const refresh = (token: unknown, params: Record<string, string> = {}, dpop?: string) =>
    post(
      as.tokenEndpoint,
      {
        grant_type: "refresh_token",
        refresh_token: String(token),
        client_id: clientId,
        ...params,
      },
      dpop === undefined ? {} : { dpop },
    );
  const clientId = "public";

  test("rotate, and a second use revokes what came from the first", async () => {
    const first = await as.createRefreshToken({ clientId, scope: "orders:read orders:write" });
    const { json } = await refresh(first, { scope: "orders:read" });
    expect(json).toMatchObject({ scope: "orders:read", refresh_token: expect.any(String) });
    expect(decodeJwt(String(json.access_token)).sub).toBe("alice");
    expect(json.refresh_token).not.toBe(first);
    expect(await refresh(first)).toMatchObject(invalid("invalid_grant"));
    expect(await refresh(json.refresh_token)).toMatchObject(invalid("invalid_grant"));
  });

  test("for several resources need one to be named", async () => {
    const resources = [as.resources.orders, as.resources.users];
    const token = await as.createRefreshToken({ clientId, scope: "users:read", resources });
    const { json } = await refresh(token, { resource: as.resources.users });
    expect(decodeJwt(String(json.access_token)).aud).toBe(as.resources.users);
    expect(await refresh(json.refresh_token)).toMatchObject(invalid("invalid_target"));
  });

  test("may be bound to a key", async () => {
    const key = await createDpopKey("ES256");
    const options = { clientId, scope: "orders:read", dpopJkt: key.thumbprint };
    const token = await as.createRefreshToken(options);
    expect(await refresh(token)).toMatchObject(invalid("invalid_grant"));
    const { json } = await refresh(token, {}, await key.prove(as.tokenEndpoint));
    expect(json).toMatchObject({ token_type: "DPoP" });
  });

  test("of an unknown client cannot be made", async () => {
    const made = as.createRefreshToken({ clientId: "nobody", scope: "orders:read" });
    await expect(made).rejects.toThrow(/^there is no client "nobody"$/);
  });
});

describe("token exchange", () => {
  const exchangeToken = (params: Record<string, string>, dpop?: string) =>
    post(
      as.tokenEndpoint,
      { grant_type: exchange, subject_token_type: accessTokenType, ...params },
      { ...basic(as.clients.basic), ...(dpop === undefined ? {} : { dpop }) },
    );

  test("keeps the subject and names who acts", async () => {
    const { json } = await requestToken({ scope: "orders:read users:read" }, as.clients.post);
    const params = { subject_token: String(json.access_token), resource: as.resources.users };
    const key = await createDpopKey("ES256");
    const exchanged = await exchangeToken(params, await key.prove(as.tokenEndpoint));
    expect(exchanged.json).toMatchObject({
      issued_token_type: accessTokenType,
      token_type: "DPoP",
      scope: "users:read",
    });
    expect(decodeJwt(String(exchanged.json.access_token))).toMatchObject({
      sub: "post",
      aud: as.resources.users,
      act: { sub: "basic" },
      cnf: { jkt: key.thumbprint },
    });
    const actor = {
      actor_token: String((await requestToken({}, as.clients.limited)).json.access_token),
    };
    const acted = await exchangeToken({ ...params, ...actor, actor_token_type: accessTokenType });
    expect(decodeJwt(String(acted.json.access_token)).act).toEqual({ sub: "limited" });
  });

  test("refuses foreign tokens, and scopes that the subject does not have", async () => {
    const { privateKey } = await generateKeyPair("ES256");
    const foreign = await new SignJWT({ sub: "alice", iss: as.issuer, aud: as.resources.orders })
      .setProtectedHeader({ alg: "ES256", typ: "at+jwt" })
      .sign(privateKey);
    expect(await exchangeToken({ subject_token: foreign })).toMatchObject(
      invalid("invalid_request"),
    );
    const subject_token = String((await requestToken()).json.access_token);
    expect(await exchangeToken({ subject_token, scope: "users:read" })).toMatchObject(
      invalid("invalid_scope"),
    );
  });
});

/** A key, and proofs of having it for POST requests. */
async function createDpopKey(alg: string) {
  const { privateKey, publicKey } = await generateKeyPair(alg);
  const jwk = await exportJWK(publicKey);
  return {
    thumbprint: await calculateJwkThumbprint(jwk),
    prove: (htu: string, nonce?: string | null) =>
      new SignJWT({ jti: crypto.randomUUID(), htm: "POST", htu, ...(nonce ? { nonce } : {}) })
        .setProtectedHeader({ alg, typ: "dpop+jwt", jwk })
        .setIssuedAt()
        .sign(privateKey),
  };
}

describe("DPoP", () => {
  const ask = (server: TestAuthorizationServer, dpop: string, url = server.tokenEndpoint) =>
    post(
      url,
      {
        grant_type: "client_credentials",
        scope: "orders:read",
        resource: server.resources.orders,
      },
      { ...basic(server.clients.basic), dpop },
    );

  test.each(["ES256", "Ed25519", "EdDSA"])("binds tokens to keys of %s", async (alg) => {
    const key = await createDpopKey(alg);
    const { json, headers } = await ask(as, await key.prove(as.tokenEndpoint));
    expect(json).toMatchObject({ token_type: "DPoP" });
    expect(decodeJwt(String(json.access_token)).cnf).toEqual({ jkt: key.thumbprint });
    expect(headers.get("dpop-nonce")).toBeNull();
  });

  test("asks for nonces, shows them to browsers, and forgets them", async () => {
    const server = await startAuthorizationServer({ dpopNonces: true });
    try {
      const key = await createDpopKey("ES256");
      const prove = async (nonce?: string | null) =>
        ask(server, await key.prove(server.tokenEndpoint, nonce));
      const needed = await prove();
      expect(needed).toMatchObject(invalid("use_dpop_nonce"));
      expect(needed.headers.get("access-control-expose-headers")).toContain("DPoP-Nonce");
      const nonce = needed.headers.get("dpop-nonce");
      expect((await prove(nonce)).status).toBe(200);
      const token = await server.createRefreshToken({ clientId: "basic", scope: "orders:read" });
      server.restartNonces();
      const stale = await prove(nonce);
      expect(stale).toMatchObject(invalid("use_dpop_nonce"));
      expect((await prove(stale.headers.get("dpop-nonce"))).status).toBe(200);
      // only the nonces are gone
      const body = { grant_type: "refresh_token", refresh_token: token };
      const refreshed = await post(server.tokenEndpoint, body, basic(server.clients.basic));
      expect(refreshed.status).toBe(200);
    } finally {
      await server.close();
    }
  });

  test("expects the URL of the fall-back path there", async () => {
    const fallback = `${as.issuer}/api/v1/auth/oauth/token`;
    const key = await createDpopKey("ES256");
    expect((await fetch(fallback, { method: "POST" })).status).toBe(404);
    as.metadata("none");
    expect((await ask(as, await key.prove(fallback), fallback)).status).toBe(200);
    expect(as.requests.at(-1)?.path).toBe("/api/v1/auth/oauth/token");
    const misplaced = await ask(as, await key.prove(as.tokenEndpoint), fallback);
    expect(misplaced).toMatchObject(invalid("invalid_dpop_proof"));
  });
});

describe("metadata", () => {
  const paths = [
    "/.well-known/oauth-authorization-server",
    "/.well-known/openid-configuration",
  ] as const;
  const foreign = { issuer: "https://other.test" };
  const cases: { served: ServedMetadata; statuses: [number, number] }[] = [
    { served: "both", statuses: [200, 200] },
    { served: "oauth", statuses: [200, 404] },
    { served: "oidc", statuses: [404, 200] },
    { served: "none", statuses: [404, 404] },
    { served: foreign, statuses: [200, 200] },
  ];

  test.each(cases)("$served", async ({ served, statuses }) => {
    as.metadata(served);
    const before = as.discoveryRequests.length;
    const answers = await Promise.all(paths.map((path) => fetch(`${as.issuer}${path}`)));
    expect(answers.map(({ status }) => status)).toEqual(statuses);
    expect(as.discoveryRequests.slice(before).sort()).toEqual(paths);
    for (const answer of answers) {
      expect(answer.headers.get("access-control-allow-origin")).toBe("*");
      const body = await answer.text();
      if (answer.ok) {
        expect(JSON.parse(body)).toMatchObject(
          served === foreign ? foreign : { issuer: as.issuer, token_endpoint: as.tokenEndpoint },
        );
      }
    }
  });

  test("has faults of its own", async () => {
    as.discoveryFault((n) => (n === 1 ? { type: "status", status: 503 } : undefined));
    const url = `${as.issuer}${paths[0]}`;
    expect((await fetch(url)).status).toBe(503);
    expect((await fetch(url)).status).toBe(200);
    expect((await requestToken()).status).toBe(200);
  });
});

test("lets scripts of other origins ask for tokens", async () => {
  const preflight = await fetch(as.tokenEndpoint, {
    method: "OPTIONS",
    headers: {
      origin: "https://app.test",
      "access-control-request-method": "POST",
      "access-control-request-headers": "authorization, dpop",
    },
  });
  expect(preflight.status).toBe(204);
  expect(preflight.headers.get("access-control-allow-origin")).toBe("https://app.test");
  expect(preflight.headers.get("access-control-allow-headers")).toBe("authorization, dpop");
  const origin = { ...basic(as.clients.basic), origin: "https://app.test" };
  const { headers } = await post(as.tokenEndpoint, { grant_type: "client_credentials" }, origin);
  expect(headers.get("access-control-allow-origin")).toBe("https://app.test");
});
