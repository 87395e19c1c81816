import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  Auth,
  type AuthRequest,
  type CredentialSource,
  type Credentials,
  cachedAuth,
} from "../../src/index.js";
import { createJwtAuthInterceptor, createServerAuth } from "../../src/server/index.js";
import { MatrixServicePolicies } from "../gen/acme/matrix/v1/matrix_auth.js";
import { createTestToken, testSecret } from "../support/test-token.js";
import { callMatrix, createMatrixClient, protocols } from "./protocols.js";
import { type RecordingServer, startRecordingServer } from "./recording-server.js";

const denied = { code: Code.PermissionDenied, rawMessage: "access denied", cause: undefined };
const roles = ["admin"];

describe.each(protocols)("a token without the scopes of a method, over $name", (protocol) => {
  let server: RecordingServer;
  let weak: string;
  let weakToo: string;
  let strong: string;
  let powerless: string;
  /** Comes before the decision of our server. */
  let before: Interceptor;

  beforeAll(async () => {
    weak = await createTestToken({ roles, scope: "other" });
    weakToo = await createTestToken({ roles, scope: "another" });
    strong = await createTestToken({ roles, scope: "matrix:use" });
    powerless = await createTestToken({ roles: [], scope: "matrix:use" });
    const auth = createServerAuth({
      policies: [MatrixServicePolicies],
      authenticate: createJwtAuthInterceptor({ secret: testSecret, algorithms: ["HS256"] }),
    });
    server = await startRecordingServer({
      httpVersion: protocol.httpVersion,
      interceptors: [(next) => (req) => before(next)(req), ...auth.interceptors],
    });
  });
  beforeEach(() => {
    server.requests.length = 0;
    before = (next) => next;
  });
  afterAll(() => server.close());

  const sentAgain = protocol.streams.filter((kind) => kind === "Unary" || kind === "Server");
  const sentOnce = protocol.streams.filter((kind) => kind === "Client" || kind === "Bidi");

  /** A function that gives one token after the other, and keeps what it was asked. */
  function provider(...given: (string | Error)[]) {
    const asked: AuthRequest[] = [];
    const credentials = (request: AuthRequest): Auth => {
      const token = given[asked.push(request) - 1] ?? new Error("asked too often");
      if (token instanceof Error) {
        throw token;
      }
      return Auth.jwt(token);
    };
    return { asked, credentials };
  }
  function clientWith(credentials: Credentials) {
    return createMatrixClient(protocol, { baseUrl: server.baseUrl }, { credentials });
  }
  const arrived = () =>
    server.requests.map(({ credentials }) => credentials.map(([, value]) => value).join());

  test.each(sentAgain)("is replaced in a %s call, for the scopes it lacks", async (stream) => {
    const { asked, credentials } = provider(weak, strong);
    await callMatrix(clientWith(credentials), "requires", stream);
    expect(arrived()).toEqual([`Bearer ${weak}`, `Bearer ${strong}`]);
    expect(asked).toEqual([
      expect.objectContaining({ reason: "request" }),
      expect.objectContaining({
        reason: "rejected",
        rejected: expect.objectContaining({ token: weak }),
        challenge: {
          scheme: "bearer",
          params: new Map([
            ["error", "insufficient_scope"],
            ["scope", "matrix:use"],
          ]),
        },
      }),
    ]);
  });

  test.each(sentAgain)(
    "of which there is no better one leaves a %s call denied",
    async (stream) => {
      const { asked, credentials } = provider(weak, weak);
      await expect(callMatrix(clientWith(credentials), "requires", stream)).rejects.toMatchObject(
        denied,
      );
      expect(arrived()).toEqual([`Bearer ${weak}`]);
      expect(asked).toHaveLength(2);
    },
  );

  test.each(sentAgain)("is replaced once in a %s call", async (stream) => {
    const { asked, credentials } = provider(weak, weakToo, strong);
    await expect(callMatrix(clientWith(credentials), "requires", stream)).rejects.toMatchObject(
      denied,
    );
    expect(arrived()).toEqual([`Bearer ${weak}`, `Bearer ${weakToo}`]);
    expect(asked).toHaveLength(2);
  });

  test.each(sentAgain)("leaves a %s call denied where the provider throws", async (stream) => {
    const { asked, credentials } = provider(weak, new Error("no consent"));
    await expect(callMatrix(clientWith(credentials), "requires", stream)).rejects.toMatchObject(
      denied,
    );
    expect(arrived()).toEqual([`Bearer ${weak}`]);
    expect(asked).toHaveLength(2);
  });

  test.each(protocol.streams)(
    "is not what is wrong where a %s call is denied for other reasons",
    async (stream) => {
      const told: unknown[] = [];
      const { asked, credentials } = provider(powerless);
      const source: CredentialSource = {
        getAuth: credentials,
        rejected: (...args) => {
          told.push(args);
        },
      };
      await expect(callMatrix(clientWith(source), "requires", stream)).rejects.toMatchObject(
        denied,
      );
      expect(asked).toHaveLength(1);
      expect(told).toEqual([]);
    },
  );

  test.each(['Bearer error="insufficient_scope"', 'Bearer scope="matrix:use"', 'Basic realm="x"'])(
    "is not replaced where the server says %s",
    async (challenge) => {
      before = () => () => {
        throw new ConnectError("access denied", Code.PermissionDenied, {
          "www-authenticate": challenge,
        });
      };
      const { asked, credentials } = provider(weak);
      await expect(callMatrix(clientWith(credentials), "requires", "Unary")).rejects.toMatchObject(
        denied,
      );
      expect(asked).toHaveLength(1);
    },
  );

  test.each(sentAgain)("is replaced in a %s call that is Unauthenticated", async (stream) => {
    before = (next) => (req) => {
      if (req.header.get("authorization") === `Bearer ${strong}`) {
        return next(req);
      }
      throw new ConnectError("more, please", Code.Unauthenticated, {
        "www-authenticate": 'Bearer error="insufficient_scope", scope="matrix:use"',
      });
    };
    const { asked, credentials } = provider(weak, strong);
    await callMatrix(clientWith(credentials), "requires", stream);
    expect(asked[1]?.challenge?.params.get("scope")).toBe("matrix:use");
    expect(arrived()).toEqual([`Bearer ${weak}`, `Bearer ${strong}`]);
  });

  test.each(sentOnce)("is told of after a %s stream, which is not sent again", async (stream) => {
    const told: unknown[] = [];
    const { asked, credentials } = provider(weak, strong);
    const client = clientWith({
      getAuth: credentials,
      rejected: (_auth, challenge) => {
        told.push(challenge?.params.get("scope"));
      },
    });
    await expect(callMatrix(client, "requires", stream)).rejects.toMatchObject(denied);
    expect(told).toEqual(["matrix:use"]);
    await callMatrix(client, "requires", stream);
    expect(asked).toHaveLength(2);
    expect(arrived()).toEqual([`Bearer ${weak}`, `Bearer ${strong}`]);
  });

  test("stays in a cache, beside the better one if that has another key", async () => {
    const { asked, credentials } = provider(weak, strong);
    const key = ({ challenge }: AuthRequest) => [challenge?.params.get("scope") ?? ""];
    const client = clientWith(cachedAuth(credentials, { key }));
    await callMatrix(client, "requires", "Unary");
    await callMatrix(client, "requires", "Unary");
    expect(asked).toHaveLength(2);
    expect(arrived()).toEqual([weak, strong, weak, strong].map((token) => `Bearer ${token}`));
  });

  test("stays in a cache that has no other", async () => {
    const { asked, credentials } = provider(weak);
    const client = clientWith(cachedAuth(credentials));
    await expect(callMatrix(client, "requires", "Unary")).rejects.toMatchObject(denied);
    await callMatrix(client, "authenticated", "Unary");
    expect(asked).toHaveLength(1);
    expect(arrived()).toEqual([weak, weak].map((token) => `Bearer ${token}`));
  });
});
