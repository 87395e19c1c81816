import { Code, ConnectError, createContextValues } from "@connectrpc/connect";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  Auth,
  AuthError,
  type AuthOptions,
  type AuthRequest,
  type Challenge,
  callCredentials,
} from "../../src/index.js";
import { callMatrix, createMatrixClient, protocols } from "./protocols.js";
import { type RecordingServer, startRecordingServer } from "./recording-server.js";

const refusal = {
  name: "ConnectError",
  code: Code.Unauthenticated,
  rawMessage: "token refused",
  cause: {
    name: "AuthError",
    code: "credentials_refused",
    message: "the server refused the credential",
    sent: true,
  },
};
const challenge: Challenge = { scheme: "bearer", params: new Map([["error", "invalid_token"]]) };

describe.each(protocols)("after Unauthenticated over $name", (protocol) => {
  let server: RecordingServer;
  beforeAll(async () => {
    server = await startRecordingServer({
      httpVersion: protocol.httpVersion,
      refuses: (authorization) => authorization?.startsWith("Bearer old") === true,
    });
  });
  beforeEach(() => {
    server.requests.length = 0;
  });
  afterAll(() => server.close());

  /** Answers with one token after the other, and keeps what it was asked. */
  function provider(...tokens: [string, ...string[]]) {
    const asked: AuthRequest[] = [];
    const given = tokens.map((token) => Auth.jwt(token));
    return {
      asked,
      given,
      credentials(request: AuthRequest): Auth {
        asked.push(request);
        const auth = given[asked.length - 1];
        if (auth === undefined) {
          throw new Error("asked too often");
        }
        return auth;
      },
    };
  }
  function clientWith(auth: AuthOptions) {
    return createMatrixClient(protocol, { baseUrl: server.baseUrl }, auth);
  }
  function arrived() {
    return server.requests.map(({ credentials }) => credentials);
  }

  test.each(["requires", "authenticated", "denied", "unspecified", "internal"] as const)(
    "the provider of a unary %s call is asked once more, and its answer replaces the header",
    async (policy) => {
      const { asked, given, credentials } = provider("old", "new");
      const client = clientWith({ credentials, internalCredentials: credentials });
      await callMatrix(client, policy, "Unary");
      expect(arrived()).toEqual([
        [["authorization", "Bearer old"]],
        [["authorization", "Bearer new"]],
      ]);
      expect(asked).toEqual([
        expect.objectContaining({ reason: "request" }),
        expect.objectContaining({ reason: "rejected", rejected: given[0], challenge }),
      ]);
      expect(asked[0]).not.toHaveProperty("rejected");
      expect(asked[1]?.rejected).toBe(given[0]);
      expect(asked[1]?.method.localName).toBe(`${policy}Unary`);
    },
  );

  test("headers that the new credential does not have are gone", async () => {
    const client = clientWith({
      credentials: ({ reason }) =>
        reason === "request"
          ? Auth.all(Auth.jwt("old"), Auth.header("x-api-key", "key"))
          : Auth.jwt("new"),
    });
    await callMatrix(client, "requires", "Unary");
    expect(arrived()).toEqual([
      [
        ["authorization", "Bearer old"],
        ["x-api-key", "key"],
      ],
      [["authorization", "Bearer new"]],
    ]);
  });

  test("a source is told of the refused credential before it is asked again", async () => {
    const told: unknown[] = [];
    let current = Auth.jwt("old");
    const old = current;
    const client = clientWith({
      credentials: {
        getAuth: ({ reason }) => {
          told.push(reason);
          return current;
        },
        rejected(auth, challenge) {
          told.push({ auth, challenge });
          current = Auth.jwt("new");
        },
      },
    });
    await callMatrix(client, "requires", "Unary");
    expect(told).toEqual(["request", { auth: old, challenge }, "rejected"]);
    expect(arrived()).toHaveLength(2);
  });

  test("the credential of a call is renewed like the client's", async () => {
    const { credentials } = provider("old", "new");
    const contextValues = createContextValues().set(callCredentials, credentials);
    const client = clientWith({ credentials: Auth.jwt("old-of-the-client") });
    await callMatrix(client, "requires", "Unary", { contextValues });
    expect(arrived()).toEqual([
      [["authorization", "Bearer old"]],
      [["authorization", "Bearer new"]],
    ]);
  });

  test("a call is sent twice at most", async () => {
    const { asked, credentials } = provider("old-1", "old-2", "new");
    await expect(
      callMatrix(clientWith({ credentials }), "requires", "Unary"),
    ).rejects.toMatchObject(refusal);
    expect(arrived()).toEqual([
      [["authorization", "Bearer old-1"]],
      [["authorization", "Bearer old-2"]],
    ]);
    expect(asked).toHaveLength(2);
  });

  test.each<{ name: string; auth: AuthOptions }>([
    { name: "a constant credential", auth: { credentials: Auth.jwt("old") } },
    { name: "the same token", auth: { credentials: () => Auth.jwt("old") } },
    { name: "the same token by another name", auth: { credentials: alternating() } },
  ])("$name is not sent again", async ({ auth }) => {
    await expect(callMatrix(clientWith(auth), "requires", "Unary")).rejects.toMatchObject(refusal);
    expect(arrived()).toEqual([[["authorization", "Bearer old"]]]);
  });

  test("the caller's own header is not replaced", async () => {
    const { asked, credentials } = provider("old", "new");
    await expect(
      callMatrix(clientWith({ credentials }), "requires", "Unary", {
        headers: { authorization: "Bearer old-of-the-caller" },
      }),
    ).rejects.toMatchObject({ code: Code.Unauthenticated, rawMessage: "token refused" });
    expect(arrived()).toEqual([[["authorization", "Bearer old-of-the-caller"]]]);
    expect(asked.filter(({ reason }) => reason === "rejected")).toEqual([]);
  });

  test("the caller's own header is not replaced by a credential of another kind", async () => {
    const headers = { authorization: "Bearer old-of-the-caller" };
    const client = clientWith({
      credentials: ({ reason }) =>
        reason === "request" ? Auth.header("x-api-key", "key") : Auth.jwt("new"),
    });
    await expect(callMatrix(client, "requires", "Unary", { headers })).rejects.toMatchObject(
      refusal,
    );
    expect(arrived()).toEqual([
      [
        ["authorization", "Bearer old-of-the-caller"],
        ["x-api-key", "key"],
      ],
    ]);
  });

  test("what the provider throws takes the place of the answer", async () => {
    const failure = new Error("signed out");
    const client = clientWith({
      credentials: ({ reason }) => {
        if (reason === "rejected") {
          throw failure;
        }
        return Auth.jwt("old");
      },
    });
    const error = await callMatrix(client, "requires", "Unary").catch(ConnectError.from);
    expect(error).toMatchObject({
      code: Code.Unauthenticated,
      rawMessage: "the credential could not be obtained",
      cause: expect.any(AuthError),
    });
    expect(error).toMatchObject({
      cause: { code: "credentials_failed", sent: true, cause: failure },
    });
    expect(arrived()).toHaveLength(1);
  });

  test.each(protocol.streams.filter((stream) => stream === "Client" || stream === "Bidi"))(
    "a %s stream is not sent again, and the next call asks anew",
    async (stream) => {
      const { asked, credentials } = provider("old", "new");
      const client = clientWith({ credentials });
      await expect(callMatrix(client, "requires", stream)).rejects.toMatchObject({
        name: "ConnectError",
        code: Code.Unauthenticated,
        rawMessage: "token refused",
      });
      expect(arrived()).toEqual([[["authorization", "Bearer old"]]]);
      await callMatrix(client, "requires", stream);
      expect(arrived().slice(1)).toEqual([[["authorization", "Bearer new"]]]);
      expect(asked.map(({ reason }) => reason)).toEqual(["request", "request"]);
    },
  );
});

/** The same token, once as a JSON Web Token and once as an opaque one: the same on the wire. */
function alternating(): (request: AuthRequest) => Auth {
  return ({ reason }) => (reason === "request" ? Auth.jwt("old") : Auth.bearer("old"));
}
