import { decodeJwt, decodeProtectedHeader, generateKeyPair, jwtVerify } from "jose";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import {
  type AuthClientOptions,
  clientSecretBasic,
  clientSecretPost,
  createAuthClient,
  privateKeyJwt,
  publicClient,
  refreshToken,
  tlsClientAuth,
} from "../../src/oauth/index.js";

import {
  startAuthorizationServer,
  type TestAuthorizationServer,
} from "../support/authorization-server.js";
import { getAuth } from "../support/get-auth.js";
import { startHttpServer } from "../support/http-server.js";
import { createTlsFetch } from "../support/mutual-tls.js";
import { watchSecrets } from "../support/secrets.js";

const secrets = watchSecrets();
let as: TestAuthorizationServer;

beforeAll(async () => {
  as = await startAuthorizationServer();
});

afterEach(() => as.fault(undefined));

afterAll(() => as.close());

/** Gets a token, and returns what was on the wire. */
async function requestToken(options: Omit<AuthClientOptions, "issuer">) {
  const auth = secrets.watch(
    createAuthClient({
      issuer: as.issuer,
      scope: "orders:read",
      resource: as.resources.orders,
      ...options,
    }),
  );
  const token = await auth.getToken();
  const { headers, params } = as.requests.at(-1) ?? {};
  return {
    claims: decodeJwt(token.access_token),
    authorization: headers?.get("authorization") ?? null,
    params: Object.fromEntries(params ?? []),
  };
}

const request = () => ({
  grant_type: "client_credentials",
  scope: "orders:read",
  resource: as.resources.orders,
});

describe("client_secret_basic", () => {
  test.each(["basic", "encoded"] as const)("authenticates %s by the header alone", async (name) => {
    const { clientId, clientSecret } = as.clients[name];
    const { claims, authorization, params } = await requestToken({ clientId, clientSecret });
    expect(claims.client_id).toBe(clientId);
    expect(formDecoded(authorization)).toEqual([clientId, clientSecret]);
    expect(params).toEqual(request());
  });

  test("may be named, and is the same", async () => {
    const { clientId, clientSecret } = as.clients.encoded;
    const clientAuthentication = clientSecretBasic(clientSecret);
    expect(clientAuthentication.method).toBe("client_secret_basic");
    const { authorization } = await requestToken({ clientId, clientAuthentication });
    expect(formDecoded(authorization)).toEqual([clientId, clientSecret]);
  });

  test("raw sends id and secret as they are, to servers that do not decode", async () => {
    const client = { clientId: "a%20b+c", clientSecret: "s3cret +%2B=é/~" };
    secrets.hide(client.clientSecret);
    const server = await startHttpServer(({ headers }) => {
      const [, credentials = ""] = headers.get("authorization")?.split(" ") ?? [];
      const text = Buffer.from(credentials, "base64").toString();
      return text === `${client.clientId}:${client.clientSecret}`
        ? { body: { access_token: "token", token_type: "Bearer", expires_in: 60 } }
        : { status: 401, body: { error: "invalid_client" } };
    });
    try {
      const { clientId, clientSecret } = client;
      const ask = (raw: boolean) =>
        createAuthClient({
          issuer: server.baseUrl,
          tokenEndpoint: `${server.baseUrl}/token`,
          clientId,
          clientAuthentication: clientSecretBasic(clientSecret, { raw }),
        }).getToken();
      expect(await ask(true)).toMatchObject({ access_token: "token" });
      expect(await secrets.failure(ask(false))).toMatchObject({ code: "invalid_client" });
      expect(server.requests.map(({ body }) => body)).toEqual(
        Array(2).fill("grant_type=client_credentials"),
      );
    } finally {
      await server.close();
    }
  });

  test("raw cannot send an id with a colon", async () => {
    const auth = createAuthClient({
      issuer: as.issuer,
      clientId: "a:b",
      clientAuthentication: clientSecretBasic(secrets.hide("s3cret of a:b"), { raw: true }),
    });
    const before = as.requests.length;
    expect(await secrets.failure(auth.getToken())).toMatchObject({
      name: "AuthClientError",
      code: "request_failed",
      message: "the token request could not be made",
      cause: {
        code: "credentials_invalid",
        message: expect.stringMatching(/^a user name with a colon/),
      },
    });
    expect(as.requests).toHaveLength(before);
  });

  test.each([clientSecretBasic, clientSecretPost])("rejects an empty secret", (authentication) => {
    expect(() => authentication("")).toThrow(
      new TypeError("clientSecret must be a string that is not empty"),
    );
  });
});

test("client_secret_post authenticates by the body alone", async () => {
  const { clientId, clientSecret } = as.clients.post;
  const clientAuthentication = clientSecretPost(clientSecret);
  expect(clientAuthentication.method).toBe("client_secret_post");
  const { claims, authorization, params } = await requestToken({ clientId, clientAuthentication });
  expect(claims.client_id).toBe("post");
  expect(authorization).toBeNull();
  expect(params).toEqual({
    ...request(),
    client_id: clientId,
    client_secret: clientSecret,
  });
});

describe("private_key_jwt", () => {
  test("signs an assertion for the issuer, with a key that cannot be exported", async () => {
    const { clientId, privateKey: key, kid } = as.clients.privateKeyJwt;
    expect(key.extractable).toBe(false);
    const clientAuthentication = privateKeyJwt({ key, kid });
    expect(clientAuthentication.method).toBe("private_key_jwt");
    const { authorization, params } = await requestToken({ clientId, clientAuthentication });
    const { client_assertion: assertion = "", ...others } = params;
    expect(authorization).toBeNull();
    expect(others).toEqual({
      ...request(),
      client_id: clientId,
      client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    });
    expect(decodeProtectedHeader(assertion)).toEqual({ alg: "ES256", kid });
    const { exp = 0, iat = 0, ...claims } = decodeJwt(assertion);
    expect(exp - iat).toBe(60);
    expect(claims).toMatchObject({ aud: as.issuer, iss: clientId, sub: clientId });
    const again = await requestToken({ clientId, clientAuthentication });
    expect(decodeJwt(again.params.client_assertion ?? "").jti).not.toBe(claims.jti);
  });

  test("may name another audience, and no key", async () => {
    const { privateKey, publicKey } = await generateKeyPair("EdDSA");
    const server = await startHttpServer(() => ({
      body: { access_token: "token", token_type: "Bearer" },
    }));
    try {
      const audience = `${server.baseUrl}/token`;
      const auth = createAuthClient({
        issuer: server.baseUrl,
        tokenEndpoint: audience,
        clientId: "a",
        clientAuthentication: privateKeyJwt({ key: privateKey, audience }),
      });
      await auth.getToken();
      const sent = new URLSearchParams(server.requests[0]?.body).get("client_assertion") ?? "";
      expect(decodeProtectedHeader(sent)).toEqual({ alg: "Ed25519" });
      const { payload } = await jwtVerify(sent, publicKey, { audience, issuer: "a" });
      expect(payload.sub).toBe("a");
    } finally {
      await server.close();
    }
  });

  test("is refused with another key", async () => {
    const { privateKey: key } = await generateKeyPair("ES256");
    const { clientId, kid } = as.clients.privateKeyJwt;
    const clientAuthentication = privateKeyJwt({ key, kid });
    expect(await secrets.failure(requestToken({ clientId, clientAuthentication }))).toMatchObject({
      code: "invalid_client",
      status: 401,
    });
  });

  test("rejects a public key", async () => {
    const { publicKey: key } = await generateKeyPair("ES256");
    expect(() => privateKeyJwt({ key })).toThrow(TypeError);
    expect(() => privateKeyJwt({ key })).toThrow(/must be a private CryptoKey/);
  });
});

test("tls_client_auth shows the certificate of the given fetch, and tokens are bound to it", async () => {
  const secure = await startAuthorizationServer({ tls: true });
  try {
    const { clientId, certificate } = secure.clients.mutualTls;
    const clientAuthentication = tlsClientAuth();
    expect(clientAuthentication).toMatchObject({
      method: "tls_client_auth",
      usesMtlsEndpoints: true,
    });
    const ask = (fetch: typeof globalThis.fetch) =>
      createAuthClient({
        issuer: secure.issuer,
        clientId,
        clientAuthentication,
        scope: "orders:read",
        resource: secure.resources.orders,
        fetch,
      }).getToken();
    const { access_token } = await ask(createTlsFetch(certificate));
    expect(decodeJwt(secrets.hide(access_token)).cnf).toEqual({
      "x5t#S256": expect.stringMatching(/^[\w-]{43}$/),
    });
    const [request] = secure.requests;
    expect(request?.headers.has("authorization")).toBe(false);
    expect(Object.fromEntries(request?.params ?? [])).toEqual({
      grant_type: "client_credentials",
      client_id: clientId,
      scope: "orders:read",
      resource: secure.resources.orders,
    });
    expect(await secrets.failure(ask(createTlsFetch()))).toMatchObject({
      code: "invalid_client",
      status: 401,
    });
  } finally {
    await secure.close();
  }
});

test("tls_client_auth uses the endpoint that the server has for certificates", async () => {
  const server = await startHttpServer(({ path }) =>
    path === "/mtls/token"
      ? { body: { access_token: "token", token_type: "Bearer" } }
      : {
          body: {
            issuer: server.baseUrl,
            token_endpoint: `${server.baseUrl}/token`,
            mtls_endpoint_aliases: { token_endpoint: `${server.baseUrl}/mtls/token` },
          },
        },
  );
  try {
    const auth = createAuthClient({
      issuer: server.baseUrl,
      clientId: "a",
      clientAuthentication: tlsClientAuth(),
    });
    expect(await auth.getToken()).toMatchObject({ access_token: "token" });
    expect(server.requests.at(-1)?.body).toBe("grant_type=client_credentials&client_id=a");
  } finally {
    await server.close();
  }
});

test("a public client names itself", async () => {
  const { clientId } = as.clients.public;
  const clientAuthentication = publicClient();
  expect(clientAuthentication.method).toBe("none");
  const token = await as.createRefreshToken({ clientId, scope: "orders:read" });
  const credentials = refreshToken({
    issuer: as.issuer,
    clientId,
    clientAuthentication,
    refreshToken: secrets.hide(token),
  });
  const before = as.requests.length;
  await getAuth(credentials);
  const request = as.requests[before];
  expect(request?.headers.has("authorization")).toBe(false);
  expect(Object.fromEntries(request?.params ?? [])).toEqual({
    grant_type: "refresh_token",
    client_id: "public",
    refresh_token: token,
  });
});

/** RFC 6749 §2.3.1: id and secret are form-encoded, then joined. */
function formDecoded(authorization: string | null): string[] {
  const text = atob(authorization?.replace(/^Basic /, "") ?? "");
  return text.split(":").map((part) => [...new URLSearchParams(`v=${part}`).values()].join());
}
