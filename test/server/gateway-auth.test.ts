import { inspect } from "node:util";
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { Auth } from "../../src/index.js";
import {
  AUTH_HEADERS,
  createGatewayAuthInterceptor,
  createJwtAuthInterceptor,
  createServerAuth,
  type GatewayAuthInterceptorOptions,
  getPublicMethods,
} from "../../src/server/index.js";
import { inMemory } from "../../src/testing/index.js";
import { MatrixServicePolicies } from "../gen/acme/matrix/v1/matrix_auth.js";
import { MatrixService } from "../gen/acme/matrix/v1/matrix_pb.js";
import { incomingCall } from "../support/incoming-call.js";
import { matrixRoutes } from "../support/matrix-routes.js";
import { testSecret } from "../support/test-token.js";
import { callMatrix, createMatrixClient, type PolicyKind } from "../wire/protocols.js";

const secret = "what only the gateway knows";
const trustSource = { expectedValues: [secret] };
const allHeaders = {
  subject: AUTH_HEADERS.SUBJECT,
  name: AUTH_HEADERS.NAME,
  roles: AUTH_HEADERS.ROLES,
  scopes: AUTH_HEADERS.SCOPES,
  claims: AUTH_HEADERS.CLAIMS,
  type: AUTH_HEADERS.TYPE,
};
const valid = { "x-gateway-secret": secret, "x-auth-subject": "svc" };

function authenticate(header: HeadersInit, options: Partial<GatewayAuthInterceptorOptions> = {}) {
  return createGatewayAuthInterceptor({ trustSource, ...options }).authenticate(
    incomingCall(header),
  );
}

describe("createGatewayAuthInterceptor", () => {
  test("reads the identity of all headers that are mapped", async () => {
    const header = {
      ...valid,
      "x-auth-name": "Service",
      "x-auth-roles": '["a","b"]',
      "x-auth-scopes": "x  y",
      "x-auth-type": "mtls",
      "x-auth-claims": '{"region":"eu"}',
    };
    expect(await authenticate(header, { headerMapping: allHeaders })).toEqual({
      subject: "svc",
      name: "Service",
      roles: ["a", "b"],
      scopes: ["x", "y"],
      claims: { region: "eu" },
      type: "mtls",
    });
    // the others are not part of what Auth.gateway() sends, so nobody vouches for them
    expect(await authenticate(header)).toEqual({
      subject: "svc",
      roles: ["a", "b"],
      scopes: [],
      claims: {},
      type: "gateway",
    });
  });

  test("fills in what the gateway does not send", async () => {
    expect(await authenticate(valid)).toEqual({
      subject: "svc",
      roles: [],
      scopes: [],
      claims: {},
      type: "gateway",
    });
    expect((await authenticate(valid, { defaultType: "kong" }))?.type).toBe("kong");
  });

  test("reads other headers, and only those that are mapped", async () => {
    const context = await authenticate(
      { "x-trust": "b", "x-user-id": "u", "x-user-roles": '["r"]', "x-auth-name": "N" },
      {
        trustSource: { header: "X-Trust", expectedValues: ["a", "b"] },
        headerMapping: { subject: "X-User-Id", roles: "X-User-Roles" },
      },
    );
    expect(context).toEqual({
      subject: "u",
      roles: ["r"],
      scopes: [],
      claims: {},
      type: "gateway",
    });
  });

  test("finds no credential where there is neither secret nor identity", async () => {
    expect(await authenticate({ authorization: "Bearer x" })).toBeUndefined();
  });

  test.each(["old", "new"])("accepts the %s secret while one replaces the other", async (value) => {
    const rotating = { trustSource: { expectedValues: ["old", "new"] } };
    expect(await authenticate({ ...valid, "x-gateway-secret": value }, rotating)).toMatchObject({
      subject: "svc",
    });
  });

  test("accepts values of 8 KiB", async () => {
    const roles = ["r".repeat(8192 - '[""]'.length)];
    const header = { ...valid, "x-auth-roles": JSON.stringify(roles) };
    expect((await authenticate(header))?.roles).toEqual(roles);
  });

  test("accepts a comma in a name, which is for display only", async () => {
    const header = { ...valid, "x-auth-name": "Doe, Jane" };
    expect((await authenticate(header, { headerMapping: allHeaders }))?.name).toBe("Doe, Jane");
  });

  test.each(["x_auth_subject", "x_auth-subject", "X_Auth_Subject", "x-auth_subject"])(
    "takes %s for nobody's name",
    async (twin) => {
      expect(await authenticate({ [twin]: "mallory" })).toBeUndefined();
      expect((await authenticate({ ...valid, [twin]: "mallory" }))?.subject).toBe("svc");
    },
  );

  const withoutTrust = "identity headers without the right x-gateway-secret";
  const twice = (name: string, ...values: string[]): HeadersInit => [
    ...Object.entries(valid).filter(([known]) => known !== name),
    ...values.map((value): [string, string] => [name, value]),
  ];

  test.each<{ name: string; header: HeadersInit; reason: string }>([
    {
      name: "an identity without the secret",
      header: { "x-auth-subject": "svc" },
      reason: withoutTrust,
    },
    { name: "roles without the secret", header: { "x-auth-roles": "[]" }, reason: withoutTrust },
    { name: "scopes without the secret", header: { "x-auth-scopes": "a" }, reason: withoutTrust },
    { name: "claims without the secret", header: { "x-auth-claims": "{}" }, reason: withoutTrust },
    {
      name: "a wrong secret",
      header: { ...valid, "x-gateway-secret": "wrong" },
      reason: withoutTrust,
    },
    {
      name: "a prefix of the secret",
      header: { ...valid, "x-gateway-secret": secret.slice(0, -1) },
      reason: withoutTrust,
    },
    {
      name: "the secret and more",
      header: { ...valid, "x-gateway-secret": `${secret}x` },
      reason: withoutTrust,
    },
    {
      name: "the secret in capitals",
      header: { ...valid, "x-gateway-secret": secret.toUpperCase() },
      reason: withoutTrust,
    },
    { name: "an empty secret", header: { ...valid, "x-gateway-secret": "" }, reason: withoutTrust },
    {
      name: "the secret twice",
      header: twice("x-gateway-secret", secret, secret),
      reason: withoutTrust,
    },
    {
      name: "a guess beside the secret",
      header: twice("x-gateway-secret", "guess", secret),
      reason: withoutTrust,
    },
    {
      name: "the secret under a name with underscores",
      header: { "x-auth-subject": "svc", x_gateway_secret: secret },
      reason: withoutTrust,
    },
    {
      name: "no subject",
      header: { "x-gateway-secret": secret },
      reason: "no subject in x-auth-subject",
    },
    {
      name: "an empty subject",
      header: { ...valid, "x-auth-subject": "" },
      reason: "no subject in x-auth-subject",
    },
    {
      name: "a blank subject",
      header: { ...valid, "x-auth-subject": " \t " },
      reason: "no subject in x-auth-subject",
    },
    {
      name: "two subjects",
      header: twice("x-auth-subject", "mallory", "alice"),
      reason: "x-auth-subject looks as if it had been sent twice",
    },
    {
      name: "a subject that a proxy joined without a space",
      header: { ...valid, "x-auth-subject": "mallory,alice" },
      reason: "x-auth-subject looks as if it had been sent twice",
    },
    {
      name: "two types",
      header: twice("x-auth-type", "mtls", "jwt"),
      reason: "x-auth-type looks as if it had been sent twice",
    },
    {
      name: "scopes that were sent twice",
      header: twice("x-auth-scopes", "read admin", "read"),
      reason: "x-auth-scopes looks as if it had been sent twice",
    },
    ...["admin x,read", "admin,read", ",read", "read,"].map((scopes) => ({
      name: `scopes that a proxy joined to "${scopes}"`,
      header: { ...valid, "x-auth-scopes": scopes },
      reason: "x-auth-scopes looks as if it had been sent twice",
    })),
    {
      name: "roles that were sent twice",
      header: twice("x-auth-roles", '["admin"]', '["user"]'),
      reason: "x-auth-roles is not JSON",
    },
    {
      name: "claims that were sent twice",
      header: twice("x-auth-claims", '{"tenant":"a"}', '{"tenant":"b"}'),
      reason: "x-auth-claims is not JSON",
    },
    {
      name: "roles that are no JSON",
      header: { ...valid, "x-auth-roles": "admin,user" },
      reason: "x-auth-roles is not JSON",
    },
    {
      name: "roles that are empty",
      header: { ...valid, "x-auth-roles": "" },
      reason: "x-auth-roles is not JSON",
    },
    {
      name: "roles that are null",
      header: { ...valid, "x-auth-roles": "null" },
      reason: "x-auth-roles is not JSON",
    },
    ...[
      ["text", '"admin"'],
      ["a number", "1"],
      ["false", "false"],
      ["an object", '{"0":"admin","length":1}'],
      ["a list in a list", '[["admin"]]'],
      ["a list with a number", '["a",1]'],
      ["a list with null", '["a",null]'],
      ["a list with an object", '[{"role":"admin"}]'],
    ].map(([name, roles = ""]) => ({
      name: `roles that are ${name}`,
      header: { ...valid, "x-auth-roles": roles },
      reason: "x-auth-roles is not a JSON array of strings",
    })),
    ...["subject", "name", "roles", "scopes", "type", "claims"].map((field) => ({
      name: `more than 8 KiB of x-auth-${field}`,
      header: { ...valid, [`x-auth-${field}`]: "r".repeat(8193) },
      reason: `x-auth-${field} has more than 8192 bytes`,
    })),
    ...[
      ["a list", "[]"],
      ["text", '"admin"'],
      ["a number", "1"],
    ].map(([name, claims = ""]) => ({
      name: `claims that are ${name}`,
      header: { ...valid, "x-auth-claims": claims },
      reason: "x-auth-claims is not a JSON object",
    })),
  ])("rejects $name", async ({ header, reason }) => {
    const error = await authenticate(header, { headerMapping: allHeaders }).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect.assert(error instanceof ConnectError);
    expect(error).toMatchObject({ code: Code.Unauthenticated, rawMessage: "invalid credentials" });
    expect(error.cause).toEqual(new Error(reason));
    expect(inspect(error)).not.toContain(secret);
  });

  test.each([[[]], [[""]], [["a", ""]]])("rejects the expected values %j", (expectedValues) => {
    expect(() => createGatewayAuthInterceptor({ trustSource: { expectedValues } })).toThrow(
      new TypeError(
        "trustSource.expectedValues must be a list of one or more secrets, none of them empty",
      ),
    );
  });

  test.each<{ name: string; options: object; message: string }>([
    {
      name: "no trust source",
      options: {},
      message: "trustSource takes an object of options",
    },
    {
      name: "a trust source without secrets",
      options: { trustSource: { header: "x-trust" } },
      message:
        "trustSource.expectedValues must be a list of one or more secrets, none of them empty",
    },
    {
      name: "a misspelt option of the trust source",
      options: { trustSource: { ...trustSource, headers: "x-trust" } },
      message: 'trustSource has no option "headers"; there are header, expectedValues',
    },
    {
      name: "a secret with a line break at its end",
      options: { trustSource: { expectedValues: ["hunter2\n"] } },
      message:
        "trustSource.expectedValues: a secret must be printable ASCII without spaces at its ends, or no header carries it",
    },
    {
      name: "a secret with a space at its beginning",
      options: { trustSource: { expectedValues: [" hunter2"] } },
      message:
        "trustSource.expectedValues: a secret must be printable ASCII without spaces at its ends, or no header carries it",
    },
    {
      name: "a secret in other letters",
      options: { trustSource: { expectedValues: ["geheimÜ"] } },
      message:
        "trustSource.expectedValues: a secret must be printable ASCII without spaces at its ends, or no header carries it",
    },
    {
      name: "a secret that is no list",
      options: { trustSource: { expectedValues: secret } },
      message:
        "trustSource.expectedValues must be a list of one or more secrets, none of them empty",
    },
    {
      name: "an empty trust header",
      options: { trustSource: { ...trustSource, header: "" } },
      message: 'trustSource.header "" must be the name of a header',
    },
    {
      name: "a mapping without a subject",
      options: { trustSource, headerMapping: { roles: "x-roles" } },
      message: "headerMapping.subject undefined must be the name of a header",
    },
    {
      name: "a misspelt mapping",
      options: { trustSource, headerMapping: { subject: "x-user", role: "x-roles" } },
      message:
        'headerMapping has no option "role"; there are subject, name, roles, scopes, type, claims',
    },
    {
      name: "the secret as the subject",
      options: { trustSource, headerMapping: { subject: "X-Gateway-Secret" } },
      message: 'headerMapping.subject "X-Gateway-Secret" carries something else already',
    },
    {
      name: "a header for two things",
      options: { trustSource, headerMapping: { subject: "x-user", name: "X-User" } },
      message: 'headerMapping.name "X-User" carries something else already',
    },
    {
      name: "a single name in place of a list",
      options: { trustSource, stripHeaders: "x-internal" },
      message: "stripHeaders must be a list of header names",
    },
    {
      name: "a header to strip that is none",
      options: { trustSource, stripHeaders: ["x internal"] },
      message: 'stripHeaders "x internal" must be the name of a header',
    },
    {
      name: "a misspelt option",
      options: { trustSource, stripHeader: ["x-a"] },
      message:
        'createGatewayAuthInterceptor has no option "stripHeader"; there are trustSource, headerMapping, stripHeaders, skipMethods, propagateHeaders, propagatedClaims, defaultType',
    },
  ])("rejects $name", ({ options, message }) => {
    const create: (options: never) => unknown = createGatewayAuthInterceptor;
    expect(() => create(options as never)).toThrow(new TypeError(message));
  });

  test("accepts a mapping with an entry that is undefined", async () => {
    const headerMapping = JSON.parse('{"subject":"x-auth-subject"}');
    headerMapping.name = undefined;
    expect((await authenticate(valid, { headerMapping }))?.subject).toBe("svc");
  });

  const spellings = {
    ...valid,
    "x-auth-roles": "[]",
    "x-auth-scopes": "admin",
    x_auth_subject: "mallory",
    "X-Auth_Roles": '["admin"]',
    x_gateway_secret: "guess",
    "x.auth.subject": "mallory",
    "X~Auth!Roles": '["admin"]',
    "x-internal": "1",
    x_internal: "1",
    "x.internal": "1",
    "x-user-name": "Svc",
    x_user_name: "Mallory",
    "x-other": "1",
  };
  const options: GatewayAuthInterceptorOptions = {
    trustSource,
    headerMapping: { subject: "x-auth-subject", name: "X-User-Name" },
    stripHeaders: ["X-Internal"],
  };

  test.each<{ name: string; interceptors: () => Interceptor[]; policy: PolicyKind }>([
    {
      name: "alone",
      policy: "authenticated",
      interceptors: () => [
        createGatewayAuthInterceptor({
          ...options,
          skipMethods: getPublicMethods([MatrixService]),
        }),
      ],
    },
    {
      name: "in createServerAuth",
      policy: "authenticated",
      interceptors: () =>
        createServerAuth({
          policies: [MatrixServicePolicies],
          authenticate: createGatewayAuthInterceptor(options),
        }).interceptors,
    },
    {
      name: "as the trust source of internal methods",
      policy: "internal",
      interceptors: () =>
        createServerAuth({
          policies: [MatrixServicePolicies],
          authenticate: createJwtAuthInterceptor({ secret: testSecret }),
          internal: createGatewayAuthInterceptor(options),
        }).interceptors,
    },
  ])(
    "$name, hides its headers from handlers in every spelling",
    async ({ interceptors, policy }) => {
      const seen: string[] = [];
      const createTransport = inMemory(
        matrixRoutes(({ method, subject, header }) => {
          const names = [...header.keys()].filter((name) => /^x[^a-z]/.test(name));
          seen.push(`${method}: ${subject}, ${names}`);
        }),
        { interceptors: interceptors() },
      );
      const client = createMatrixClient(
        { name: "in memory", httpVersion: "2", streams: [], createTransport },
        { baseUrl: "https://api.test" },
        { credentials: Auth.none(), internalCredentials: Auth.none() },
      );
      const streams = ["Unary", "Server", "Client", "Bidi"] as const;
      for (const stream of streams) {
        await callMatrix(client, "public", stream, { headers: spellings });
        await callMatrix(client, policy, stream, { headers: spellings });
      }
      const other = policy === "internal" ? "Internal" : "Authenticated";
      expect(seen).toEqual(
        streams.flatMap((stream) => [
          `Public${stream}: nobody, x-other`,
          `${other}${stream}: svc, x-other`,
        ]),
      );
    },
  );
});
