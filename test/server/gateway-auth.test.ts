import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import {
  AUTH_HEADERS,
  createGatewayAuthInterceptor,
  type GatewayAuthInterceptorOptions,
  getAuthContext,
} from "../../src/server/index.js";
import { inMemory } from "../../src/testing/index.js";
import { createMatrixServiceClient } from "../gen/acme/matrix/v1/matrix_auth.js";
import { MatrixService } from "../gen/acme/matrix/v1/matrix_pb.js";
import { incomingCall } from "../support/incoming-call.js";

const secret = "gateway-secret";
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

  test.each<{ name: string; header: HeadersInit; reason: string }>([
    {
      name: "an identity without the secret",
      header: { "x-auth-subject": "svc" },
      reason: "identity headers without the right x-gateway-secret",
    },
    {
      name: "roles without the secret",
      header: { "x-auth-roles": "[]" },
      reason: "identity headers without the right x-gateway-secret",
    },
    {
      name: "a wrong secret",
      header: { ...valid, "x-gateway-secret": "wrong" },
      reason: "identity headers without the right x-gateway-secret",
    },
    {
      name: "a prefix of the secret",
      header: { ...valid, "x-gateway-secret": secret.slice(0, -1) },
      reason: "identity headers without the right x-gateway-secret",
    },
    {
      name: "an empty secret",
      header: { ...valid, "x-gateway-secret": "" },
      reason: "identity headers without the right x-gateway-secret",
    },
    {
      name: "the secret twice",
      header: [...Object.entries(valid), ["x-gateway-secret", secret]],
      reason: "identity headers without the right x-gateway-secret",
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
      name: "roles that are no JSON",
      header: { ...valid, "x-auth-roles": "admin,user" },
      reason: "x-auth-roles is not JSON",
    },
    {
      name: "roles that are null",
      header: { ...valid, "x-auth-roles": "null" },
      reason: "x-auth-roles is not JSON",
    },
    {
      name: "roles that are text",
      header: { ...valid, "x-auth-roles": '"admin"' },
      reason: "x-auth-roles is not a JSON array of strings",
    },
    {
      name: "a role that is a number",
      header: { ...valid, "x-auth-roles": '["a",1]' },
      reason: "x-auth-roles is not a JSON array of strings",
    },
    {
      name: "oversized roles",
      header: { ...valid, "x-auth-roles": JSON.stringify(["r".repeat(8192)]) },
      reason: "x-auth-roles has more than 8192 bytes",
    },
    {
      name: "claims that are a list",
      header: { ...valid, "x-auth-claims": "[]" },
      reason: "x-auth-claims is not a JSON object",
    },
  ])("rejects $name", async ({ header, reason }) => {
    const error = await authenticate(header, { headerMapping: allHeaders }).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect.assert(error instanceof ConnectError);
    expect(error).toMatchObject({ code: Code.Unauthenticated, rawMessage: "invalid credentials" });
    expect(error.cause).toEqual(new Error(reason));
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
      message:
        "trustSource.expectedValues must be a list of one or more secrets, none of them empty",
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

  test("hides its headers from handlers, in every spelling, on skipped methods too", async () => {
    const seen: string[][] = [];
    const look = (_: unknown, { requestHeader }: { requestHeader: Headers }) => {
      const names = [...requestHeader.keys()].filter((name) => /^x[-_]/.test(name));
      seen.push([...names, getAuthContext()?.subject ?? "nobody"]);
      return {};
    };
    const factory = inMemory(
      (router) => {
        router.service(MatrixService, { publicUnary: look, authenticatedUnary: look });
      },
      {
        interceptors: [
          createGatewayAuthInterceptor({
            trustSource,
            stripHeaders: ["X-Internal"],
            skipMethods: ["acme.matrix.v1.MatrixService/PublicUnary"],
          }),
        ],
      },
    );
    const client = createMatrixServiceClient(
      factory,
      { baseUrl: "https://api.test" },
      { credentials: () => ({ type: "none" }) },
    );
    const headers = {
      ...valid,
      "x-auth-roles": "[]",
      x_auth_subject: "mallory",
      "X-Auth_Roles": '["admin"]',
      "x-internal": "1",
      "x-other": "1",
    };
    await client.publicUnary({}, { headers });
    await client.authenticatedUnary({}, { headers });
    expect(seen).toEqual([
      ["x-other", "nobody"],
      ["x-other", "svc"],
    ]);
  });
});
