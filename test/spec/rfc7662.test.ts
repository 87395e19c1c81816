import { Code } from "@connectrpc/connect";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import {
  createIntrospectionAuthInterceptor,
  type IntrospectionAuthInterceptorOptions,
} from "../../src/server/index.js";
import { incomingCall } from "../support/incoming-call.js";

/** The token of the second request of §2.1. */
const token = "mF_9.B5f-4.1JqM";

/** The first answer of §2.2. */
const active = {
  active: true,
  client_id: "l238j323ds-23ij4",
  username: "jdoe",
  scope: "read write dolphin",
  sub: "Z5O3upPC88QrAjx00dis",
  aud: "https://protected.example.net/resource",
  iss: "https://server.example.com/",
  exp: 1419356238,
  iat: 1419350238,
  extension_field: "twenty-seven",
};

const requests: [string, RequestInit][] = [];

function createInterceptor(
  answer: Response,
  options: Partial<IntrospectionAuthInterceptorOptions> = {},
) {
  return createIntrospectionAuthInterceptor({
    introspectionEndpoint: "https://server.example.com/introspect",
    issuer: "https://server.example.com/",
    clientId: "s6BhdRkqt3",
    ...(options.clientAuthentication === undefined && { clientSecret: "gX1fBat3bV" }),
    audience: "https://protected.example.net/resource",
    fetch: async (url, init) => {
      requests.push([url, init]);
      return answer;
    },
    ...options,
  });
}

const call = incomingCall({ authorization: `Bearer ${token}` });

beforeEach(() => {
  requests.length = 0;
  vi.useFakeTimers({ now: (active.iat + 60) * 1000, toFake: ["Date"] });
});
afterEach(() => {
  vi.useRealTimers();
});

describe("§2.1", () => {
  test("our request is the one with a hint", async () => {
    await createInterceptor(Response.json(active)).authenticate(call);
    expect(requests).toHaveLength(1);
    const [[url, { method, headers, body }] = ["", {}]] = requests;
    expect(url).toBe("https://server.example.com/introspect");
    expect(method).toBe("POST");
    expect(Object.fromEntries(new Headers(headers))).toEqual({
      accept: "application/json",
      "content-type": "application/x-www-form-urlencoded",
      authorization: "Basic czZCaGRSa3F0MzpnWDFmQmF0M2JW",
    });
    expect(body).toBe("token=mF_9.B5f-4.1JqM&token_type_hint=access_token");
  });

  test("an access token of our own can stand in for the secret", async () => {
    const interceptor = createInterceptor(Response.json(active), {
      clientAuthentication: {
        method: "bearer",
        authenticate: (_as, _client, _body, headers) =>
          headers.set("authorization", "Bearer 23410913-abewfq.123483"),
      },
    });
    await interceptor.authenticate(call);
    const headers = requests.map(([, init]) => new Headers(init.headers));
    expect(headers.map((header) => header.get("authorization"))).toEqual([
      "Bearer 23410913-abewfq.123483",
    ]);
  });
});

describe("§2.2", () => {
  test("the active token is that of its subject", async () => {
    expect(await createInterceptor(Response.json(active)).authenticate(call)).toEqual({
      subject: "Z5O3upPC88QrAjx00dis",
      roles: [],
      scopes: ["read", "write", "dolphin"],
      claims: active,
      type: "introspection",
      expiresAt: new Date(1419356238000),
    });
  });

  test("the token that is not active is refused", async () => {
    const interceptor = createInterceptor(Response.json({ active: false }));
    await expect(interceptor.authenticate(call)).rejects.toMatchObject({
      code: Code.Unauthenticated,
      rawMessage: "invalid token",
      cause: new Error("token: not active"),
    });
  });
});

describe("§2.3", () => {
  test("a server that does not accept our client says nothing about the token", async () => {
    const challenge = { "www-authenticate": 'Basic realm="introspection"' };
    const interceptor = createInterceptor(new Response(null, { status: 401, headers: challenge }));
    await expect(interceptor.authenticate(call)).rejects.toMatchObject({
      code: Code.Unavailable,
      rawMessage: "credentials cannot be verified at the moment",
      cause: new Error(
        "introspection: https://server.example.com/introspect answered HTTP 401: it does not accept this server; check clientId, the secret or key, and clientAuthentication",
      ),
    });
  });
});

describe("RFC 9449 §6.2", () => {
  /** The answer about the token of RFC 9449 §7.1, whose request and proof follow. */
  const bound = {
    active: true,
    sub: "someone@example.com",
    iss: "https://server.example.com",
    nbf: 1562262611,
    exp: 1562266216,
    cnf: { jkt: "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" },
  };
  const boundToken = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";
  const proof =
    "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA";
  const request = {
    ...call,
    url: "https://resource.example.org/protectedresource",
    requestMethod: "GET",
  };
  const options = {
    issuer: "https://server.example.com",
    audience: false,
    dpop: { publicOrigins: ["https://resource.example.org"] },
  } as const;

  beforeEach(() => {
    vi.setSystemTime(1562262619_000);
  });

  test("the bound token passes with the proof of §7.1", async () => {
    const header = new Headers({ authorization: `DPoP ${boundToken}`, dpop: proof });
    const interceptor = createInterceptor(Response.json(bound), options);
    expect(await interceptor.authenticate({ ...request, header })).toMatchObject({
      subject: "someone@example.com",
    });
  });

  test("and not as a bearer token", async () => {
    const header = new Headers({ authorization: `Bearer ${boundToken}`, dpop: proof });
    const interceptor = createInterceptor(Response.json(bound), options);
    await expect(interceptor.authenticate({ ...request, header })).rejects.toMatchObject({
      code: Code.Unauthenticated,
      rawMessage: "invalid token",
      cause: new Error('token: bound to a key ("cnf"), so not a bearer token'),
    });
  });
});
