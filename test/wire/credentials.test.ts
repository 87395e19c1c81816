import { createContextValues } from "@connectrpc/connect";
import * as node from "@connectrpc/connect-node";
import * as web from "@connectrpc/connect-web";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  Auth,
  type AuthOptions,
  type Credentials,
  callCredentials,
  type TransportOptions,
} from "../../src/index.js";
import { createUserServiceClient } from "../gen/acme/user/v1/user_auth.js";
import {
  callMatrix,
  createMatrixClient,
  matrixPath,
  type PolicyKind,
  policyKinds,
  protocols,
  type StreamKind,
} from "./protocols.js";
import { type RecordingServer, startRecordingServer } from "./recording-server.js";

const both: AuthOptions = {
  credentials: Auth.jwt("user-token"),
  internalCredentials: Auth.gateway({ secret: "s3cret", subject: "billing", roles: ["ops"] }),
};
type Header = readonly [name: string, value: string];
const userHeaders: Header[] = [["authorization", "Bearer user-token"]];
const internalHeaders: Header[] = [
  ["x-auth-roles", '["ops"]'],
  ["x-auth-subject", "billing"],
  ["x-gateway-secret", "s3cret"],
];

/** What must arrive, by the model of the policies. */
const expected: Record<PolicyKind, Header[]> = {
  public: [],
  internal: internalHeaders,
  requires: userHeaders,
  authenticated: userHeaders,
  denied: userHeaders,
  unspecified: userHeaders,
};

describe.each(protocols)("over $name", (protocol) => {
  let server: RecordingServer;
  beforeAll(async () => {
    server = await startRecordingServer({ httpVersion: protocol.httpVersion });
  });
  beforeEach(() => {
    server.requests.length = 0;
  });
  afterAll(() => server.close());

  function clientWith(auth: AuthOptions) {
    return createMatrixClient(protocol, { baseUrl: server.baseUrl }, auth);
  }
  function arrived(policy: PolicyKind, stream: StreamKind, credentials: Header[]) {
    return [{ httpMethod: "POST", path: matrixPath(policy, stream), credentials }];
  }

  const cases = protocol.streams.flatMap((stream) =>
    policyKinds.map((policy) => ({ name: `${policy}${stream}`, policy, stream })),
  );

  test.each(cases)("$name carries what its policy says", async ({ policy, stream }) => {
    await callMatrix(clientWith(both), policy, stream);
    expect(server.requests).toEqual(arrived(policy, stream, expected[policy]));
  });

  test.each(cases)(
    "$name carries no more where sendOnPublic is set",
    async ({ policy, stream }) => {
      await callMatrix(clientWith({ ...both, sendOnPublic: "if-available" }), policy, stream);
      const want = policy === "public" ? userHeaders : expected[policy];
      expect(server.requests).toEqual(arrived(policy, stream, want));
    },
  );

  test.each(cases)(
    "$name carries the caller's own header and nothing beside it",
    async ({ policy, stream }) => {
      const auth: AuthOptions = {
        credentials: Auth.all(Auth.jwt("user-token"), Auth.header("x-api-key", "key")),
        internalCredentials: Auth.jwt("internal-token"),
        sendOnPublic: "if-available",
      };
      const headers = { authorization: "Bearer own" };
      await callMatrix(clientWith(auth), policy, stream, { headers });
      expect(server.requests).toEqual(arrived(policy, stream, [["authorization", "Bearer own"]]));
    },
  );

  test.each(cases)(
    "$name carries the credential of the call in place of the client's",
    async ({ policy, stream }) => {
      const contextValues = createContextValues().set(callCredentials, Auth.jwt("for-this-call"));
      await callMatrix(clientWith(both), policy, stream, { contextValues });
      const want: Header[] = policy === "public" ? [] : [["authorization", "Bearer for-this-call"]];
      expect(server.requests).toEqual(arrived(policy, stream, want));
    },
  );

  test.each(cases)(
    "$name carries nothing where the call asks for none",
    async ({ policy, stream }) => {
      const contextValues = createContextValues().set(callCredentials, Auth.none());
      const client = clientWith({ ...both, sendOnPublic: "if-available" });
      await callMatrix(client, policy, stream, { contextValues });
      expect(server.requests).toEqual(arrived(policy, stream, []));
    },
  );

  test.each(cases.filter(({ policy }) => policy !== "public"))(
    "$name is not called without its credentials",
    async ({ policy, stream }) => {
      const option = policy === "internal" ? "internalCredentials" : "credentials";
      const other = policy === "internal" ? "credentials" : "internalCredentials";
      const auths: AuthOptions[] = [{}, { [other]: Auth.jwt("of-the-other-kind") }];
      for (const auth of auths) {
        await expect(callMatrix(clientWith(auth), policy, stream)).rejects.toMatchObject({
          name: "ConnectError",
          code: 16,
          cause: {
            name: "AuthError",
            code: "credentials_missing",
            message: `${matrixPath(policy, stream).slice(1)} needs a client with \`${option}\``,
            sent: false,
          },
        });
      }
      expect(server.requests).toEqual([]);
    },
  );

  test.each(protocol.streams)("public%s needs no credentials", async (stream) => {
    await callMatrix(clientWith({}), "public", stream);
    expect(server.requests).toEqual(arrived("public", stream, []));
  });

  test.each(protocol.streams)(
    "public%s is called where sendOnPublic finds no credential",
    async (stream) => {
      const auth: AuthOptions = {
        credentials: () => {
          throw new Error("nobody is signed in");
        },
        sendOnPublic: "if-available",
      };
      await callMatrix(clientWith(auth), "public", stream);
      expect(server.requests).toEqual(arrived("public", stream, []));
    },
  );

  test("an identity header of the caller keeps the whole gateway credential away", async () => {
    const headers = { "x-auth-subject": "own" };
    await callMatrix(clientWith(both), "internal", "Unary", { headers });
    expect(server.requests).toEqual(arrived("internal", "Unary", [["x-auth-subject", "own"]]));
  });

  test("a header of the caller that the credential does not use goes beside it", async () => {
    const headers = { authorization: "Bearer own" };
    await callMatrix(clientWith(both), "internal", "Unary", { headers });
    expect(server.requests).toEqual(
      arrived("internal", "Unary", [["authorization", "Bearer own"], ...internalHeaders]),
    );
  });

  test.each<{ name: string; credentials: Credentials; want: Header[] }>([
    {
      name: "an opaque token",
      credentials: Auth.bearer("opaque"),
      want: [["authorization", "Bearer opaque"]],
    },
    {
      name: "an API key",
      credentials: Auth.header("X-Api-Key", "key"),
      want: [["x-api-key", "key"]],
    },
    {
      name: "a session cookie",
      credentials: Auth.session("sid", { cookie: "session" }),
      want: [["cookie", "session=sid"]],
    },
    {
      name: "a function's answer",
      credentials: async () => Auth.jwt("from-function"),
      want: [["authorization", "Bearer from-function"]],
    },
    {
      name: "a source's answer",
      credentials: { getAuth: () => Auth.jwt("from-source") },
      want: [["authorization", "Bearer from-source"]],
    },
    {
      name: "two credentials at once",
      credentials: Auth.all(Auth.jwt("user-token"), Auth.header("x-api-key", "key")),
      want: [
        ["authorization", "Bearer user-token"],
        ["x-api-key", "key"],
      ],
    },
  ])("$name arrives as it is", async ({ credentials, want }) => {
    await callMatrix(clientWith({ credentials }), "requires", "Unary");
    expect(server.requests).toEqual(arrived("requires", "Unary", want));
  });
});

describe("Connect with GET", () => {
  let server: RecordingServer;
  beforeAll(async () => {
    server = await startRecordingServer({ httpVersion: "1.1" });
  });
  beforeEach(() => {
    server.requests.length = 0;
  });
  afterAll(() => server.close());

  type Options = TransportOptions & { useHttpGet: boolean };
  const createNodeTransport = (options: Options) =>
    node.createConnectTransport({ ...options, httpVersion: "1.1" });
  const createWebTransport = (options: Options) => web.createConnectTransport(options);

  test.each([
    { name: "connect-node", createTransport: createNodeTransport },
    { name: "connect-web", createTransport: createWebTransport },
  ])("carries nothing to public methods with $name", async ({ createTransport }) => {
    const users = createUserServiceClient(
      createTransport,
      { baseUrl: server.baseUrl, useHttpGet: true },
      { ...both, credentials: Auth.jwt("user-token") },
    );
    await users.getProfile({ id: "1" });
    await users.whoAmI({});
    await users.deleteUser({ id: "1" });
    const path = "/acme.user.v1.UserService";
    expect(server.requests).toEqual([
      { httpMethod: "GET", path: `${path}/GetProfile`, credentials: [] },
      { httpMethod: "GET", path: `${path}/WhoAmI`, credentials: userHeaders },
      { httpMethod: "POST", path: `${path}/DeleteUser`, credentials: userHeaders },
    ]);
  });

  test("proves possession of a key for the method on the wire", async () => {
    const users = createUserServiceClient(
      createNodeTransport,
      { baseUrl: server.baseUrl, useHttpGet: true },
      { credentials: Auth.dpop("bound", ({ htm, htu }) => `${htm}.${new URL(htu).pathname}`) },
    );
    await users.whoAmI({});
    await users.deleteUser({ id: "1" });
    const path = "/acme.user.v1.UserService";
    expect(server.requests.map(({ credentials }) => credentials)).toEqual([
      [
        ["authorization", "DPoP bound"],
        ["dpop", `GET.${path}/WhoAmI`],
      ],
      [
        ["authorization", "DPoP bound"],
        ["dpop", `POST.${path}/DeleteUser`],
      ],
    ]);
  });
});
