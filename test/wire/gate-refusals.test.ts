import { StringValueSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Authenticator, createJwtAuthInterceptor } from "../../src/server/index.js";
import { MatrixService } from "../gen/acme/matrix/v1/matrix_pb.js";
import {
  type CountingServer,
  createTestApi,
  createTestHandler,
  serve,
  type TestApi,
} from "../support/gated-server.js";
import { createTestToken, testSecret } from "../support/test-token.js";
import { callMatrix, type PolicyKind, protocols, type StreamKind } from "./protocols.js";

const alice = await createTestToken({ sub: "alice" });
const admin = await createTestToken({ sub: "admin", roles: ["admin"], scope: "matrix:use" });
const withoutScope = await createTestToken({ sub: "bob", roles: ["admin"], scope: "other" });
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

/** What an authentication answers that is set up in another way, by what the caller asks for. */
const thrown: Record<string, ConnectError> = {
  nonce: new ConnectError("invalid DPoP proof", Code.Unauthenticated, {
    "www-authenticate": 'DPoP error="use_dpop_nonce", algs="ES256"',
    "dpop-nonce": "next",
    "cache-control": "no-store",
  }),
  outage: new ConnectError("credentials cannot be verified at the moment", Code.Unavailable),
  details: new ConnectError("größer als 100 %\n", Code.PermissionDenied, { "reason-bin": "AAEC" }, [
    { desc: StringValueSchema, value: { value: "a detail" } },
  ]),
};
const throwing: Authenticator = {
  identityHeaders: [],
  async authenticate({ header }) {
    const name = header.get("x-throw");
    if (name !== null) {
      throw thrown[name];
    }
    return undefined;
  },
};

interface Refused {
  readonly name: string;
  readonly policy: PolicyKind;
  readonly headers: Record<string, string>;
  readonly code: Code;
  readonly message: string;
  readonly metadata: Record<string, string>;
}

const refused: readonly Refused[] = [
  {
    name: "no credential",
    policy: "authenticated",
    headers: {},
    code: Code.Unauthenticated,
    message: "missing credentials",
    metadata: { "www-authenticate": "Bearer" },
  },
  {
    name: "a bad token",
    policy: "requires",
    headers: bearer(`${admin.slice(0, -4)}AAAA`),
    code: Code.Unauthenticated,
    message: "invalid token",
    metadata: { "www-authenticate": 'Bearer error="invalid_token"' },
  },
  {
    name: "another role",
    policy: "requires",
    headers: bearer(alice),
    code: Code.PermissionDenied,
    message: "access denied",
    metadata: {
      "www-authenticate": 'Bearer error="insufficient_scope", scope="matrix:use"',
    },
  },
  {
    name: "another scope",
    policy: "requires",
    headers: bearer(withoutScope),
    code: Code.PermissionDenied,
    message: "access denied",
    metadata: {
      "www-authenticate": 'Bearer error="insufficient_scope", scope="matrix:use"',
    },
  },
  {
    name: "a user's token for services",
    policy: "internal",
    headers: bearer(admin),
    code: Code.Unauthenticated,
    message: "missing credentials",
    metadata: {},
  },
  {
    name: "a method that nobody may call",
    policy: "denied",
    headers: bearer(admin),
    code: Code.PermissionDenied,
    message: "access denied",
    metadata: {},
  },
  {
    name: "a proof without a nonce",
    policy: "authenticated",
    headers: { "x-throw": "nonce" },
    code: Code.Unauthenticated,
    message: "invalid DPoP proof",
    metadata: {
      "www-authenticate": 'DPoP error="use_dpop_nonce", algs="ES256"',
      "dpop-nonce": "next",
      "cache-control": "no-store",
    },
  },
  {
    name: "an outage",
    policy: "authenticated",
    headers: { "x-throw": "outage" },
    code: Code.Unavailable,
    message: "credentials cannot be verified at the moment",
    metadata: {},
  },
  {
    name: "an error with details",
    policy: "authenticated",
    headers: { "x-throw": "details" },
    code: Code.PermissionDenied,
    message: "größer als 100 %\n",
    metadata: { "reason-bin": "AAEC" },
  },
];

const metadataNames = ["www-authenticate", "dpop-nonce", "cache-control", "reason-bin"];

describe.each(protocols)("over $name", (protocol) => {
  let api: TestApi;
  let servers: Record<"interceptor" | "gate", CountingServer>;
  beforeAll(async () => {
    api = createTestApi({
      authenticate: [throwing, createJwtAuthInterceptor({ secret: testSecret })],
    });
    const handler = createTestHandler(api);
    servers = {
      interceptor: await serve(protocol.httpVersion, handler),
      gate: await serve(protocol.httpVersion, api.gate(handler)),
    };
  });
  beforeEach(() => {
    api.calls.length = 0;
    api.denials.length = 0;
  });
  afterAll(() => Promise.all([servers.interceptor.close(), servers.gate.close()]));

  function callTo(
    by: keyof typeof servers,
    policy: PolicyKind,
    stream: StreamKind,
    headers: Record<string, string>,
  ): Promise<void> {
    const transport = protocol.createTransport({ baseUrl: servers[by].baseUrl });
    return callMatrix(createClient(MatrixService, transport), policy, stream, { headers });
  }

  /** What the client is told, and what the server remembers. */
  async function refusalOf(by: keyof typeof servers, stream: StreamKind, refusal: Refused) {
    const { policy, headers } = refusal;
    const error = await callTo(by, policy, stream, headers).catch((reason) => reason);
    expect.assert(error instanceof ConnectError);
    const metadata = metadataNames.flatMap((name) => {
      const value = error.metadata.get(name);
      return value === null ? [] : [[name, value]];
    });
    return {
      code: error.code,
      message: error.rawMessage,
      metadata: Object.fromEntries(metadata),
      details: error.findDetails(StringValueSchema).map(({ value }) => value),
      denials: api.denials.splice(0).map((denial) => denial.error.rawMessage),
    };
  }

  describe.each(protocol.streams)("a %s call", (stream) => {
    test.each(refused)("is refused by the gate as by the interceptor: $name", async (refusal) => {
      const { name, code, message, metadata } = refusal;
      const byGate = await refusalOf("gate", stream, refusal);
      expect(byGate).toEqual({
        code,
        message,
        metadata,
        details: name === "an error with details" ? ["a detail"] : [],
        denials: [message],
      });
      expect(byGate).toEqual(await refusalOf("interceptor", stream, refusal));
      expect(api.calls).toEqual([]);
    });

    test("passes with what it needs, and its handler knows the caller", async () => {
      await callTo("gate", "public", stream, bearer("whatever"));
      await callTo("gate", "authenticated", stream, bearer(alice));
      await callTo("gate", "requires", stream, bearer(admin));
      await callTo("gate", "internal", stream, {
        "x-gateway-secret": "mesh",
        "x-auth-subject": "indexer",
      });
      expect(api.calls).toEqual([
        `Public${stream} by undefined: 0`,
        `Authenticated${stream} by alice: 0`,
        `Requires${stream} by admin: 0`,
        `Internal${stream} by indexer: 0`,
      ]);
      expect(api.denials).toEqual([]);
    });
  });
});
