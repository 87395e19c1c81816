import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Auth, type AuthEvent, type CredentialSource, cachedAuth } from "../../src/index.js";
import { callMatrix, createMatrixClient, matrixPath, protocols } from "./protocols.js";
import { type RecordingServer, startRecordingServer } from "./recording-server.js";

/** The `error` of a challenge, or `undefined` to let the call pass. */
type Verdict = "use_dpop_nonce" | "invalid_token" | undefined;

describe.each(protocols)("DPoP nonces over $name", (protocol) => {
  let server: RecordingServer;
  /** What the server says of one call after the other. */
  const verdicts: Verdict[] = [];

  beforeAll(async () => {
    const demand: Interceptor = (next) => async (req) => {
      const nonce = `nonce-${server.requests.length}`;
      const error = verdicts.shift();
      if (error !== undefined) {
        throw new ConnectError("token refused", Code.Unauthenticated, {
          "www-authenticate": `Bearer, DPoP algs="ES256", error="${error}"`,
          "dpop-nonce": nonce,
        });
      }
      const res = await next(req);
      res.header.set("dpop-nonce", nonce);
      return res;
    };
    const { httpVersion } = protocol;
    server = await startRecordingServer({ httpVersion, interceptors: [demand] });
  });
  beforeEach(() => {
    server.requests.length = 0;
    verdicts.length = 0;
  });
  afterAll(() => server.close());

  /** Tokens with proofs that hold the last nonce, as a source, and what it was told. */
  function createSource() {
    const told: string[] = [];
    const nonces: (string | null)[] = [];
    const urls = new Set<string>();
    let tokens = 0;
    let proofs = 0;
    const makeAuth = () =>
      Auth.dpop(
        `token-${++tokens}`,
        () => `proof-${++proofs}.${nonces.findLast((nonce) => nonce !== null) ?? "none"}`,
        {
          onNonce(nonce, url) {
            nonces.push(nonce);
            urls.add(url);
          },
        },
      );
    let current = makeAuth();
    const source: CredentialSource = {
      getAuth: ({ reason }) => {
        told.push(reason);
        return current;
      },
      rejected: (_auth, challenge) => {
        told.push(`refused: ${challenge?.params.get("error")}`);
        current = makeAuth();
      },
    };
    return { source, told, nonces, urls };
  }
  function clientWith(credentials: CredentialSource) {
    return createMatrixClient(protocol, { baseUrl: server.baseUrl }, { credentials });
  }
  const arrived = () => server.requests.map(({ credentials }) => credentials.map(([, v]) => v));
  const refused = {
    code: Code.Unauthenticated,
    rawMessage: "token refused",
    cause: { name: "AuthError", code: "credentials_refused", sent: true },
  };

  test.each(protocol.streams)("of answers to %s calls are in the next proof", async (stream) => {
    const { source, nonces, urls } = createSource();
    const client = clientWith(source);
    await callMatrix(client, "requires", stream);
    await callMatrix(client, "requires", stream);
    expect(nonces).toEqual(["nonce-1", "nonce-2"]);
    expect([...urls]).toEqual([`${server.baseUrl}${matrixPath("requires", stream)}`]);
    expect(arrived()).toEqual([
      ["DPoP token-1", "proof-1.none"],
      ["DPoP token-1", "proof-2.nonce-1"],
    ]);
  });

  const sentAgain = protocol.streams.filter((kind) => kind === "Unary" || kind === "Server");

  test.each(sentAgain)("that a %s call lacks cost one more attempt", async (stream) => {
    verdicts.push("use_dpop_nonce");
    const { source, told, nonces } = createSource();
    await callMatrix(clientWith(source), "requires", stream);
    expect(arrived()).toEqual([
      ["DPoP token-1", "proof-1.none"],
      ["DPoP token-1", "proof-2.nonce-1"],
    ]);
    expect(nonces.filter((nonce) => nonce !== null)).toEqual(["nonce-1", "nonce-2"]);
    // nothing is wrong with the token
    expect(told).toEqual(["request"]);
  });

  const orders: { verdicts: Verdict[]; proofs: string[][] }[] = [
    {
      verdicts: ["use_dpop_nonce", "invalid_token"],
      proofs: [
        ["DPoP token-1", "proof-1.none"],
        ["DPoP token-1", "proof-2.nonce-1"],
        ["DPoP token-2", "proof-3.nonce-2"],
      ],
    },
    {
      verdicts: ["invalid_token", "use_dpop_nonce"],
      proofs: [
        ["DPoP token-1", "proof-1.none"],
        ["DPoP token-2", "proof-2.nonce-1"],
        ["DPoP token-2", "proof-3.nonce-2"],
      ],
    },
  ];

  test.each(orders.flatMap((order) => sentAgain.map((stream) => ({ ...order, stream }))))(
    "and a new token cost a $stream call two attempts: $verdicts",
    async ({ verdicts: given, proofs, stream }) => {
      verdicts.push(...given);
      const { source, told } = createSource();
      await callMatrix(clientWith(source), "requires", stream);
      expect(arrived()).toEqual(proofs);
      expect(told).toEqual(["request", "refused: invalid_token", "rejected"]);
    },
  );

  const endless: { verdicts: Verdict[]; attempts: number }[] = [
    { verdicts: ["use_dpop_nonce", "use_dpop_nonce"], attempts: 2 },
    { verdicts: ["invalid_token", "invalid_token"], attempts: 2 },
    // with the new token it may take a nonce again, but no more than one
    {
      verdicts: ["use_dpop_nonce", "invalid_token", "use_dpop_nonce", "use_dpop_nonce"],
      attempts: 4,
    },
    {
      verdicts: ["use_dpop_nonce", "invalid_token", "use_dpop_nonce", "invalid_token"],
      attempts: 4,
    },
    { verdicts: ["use_dpop_nonce", "invalid_token", "invalid_token"], attempts: 3 },
    { verdicts: ["invalid_token", "use_dpop_nonce", "use_dpop_nonce"], attempts: 3 },
    { verdicts: ["invalid_token", "use_dpop_nonce", "invalid_token"], attempts: 3 },
  ];

  test.each(endless.flatMap((end) => sentAgain.map((stream) => ({ ...end, stream }))))(
    "and tokens are tried $attempts times in a $stream call: $verdicts",
    async ({ verdicts: given, attempts, stream }) => {
      verdicts.push(...given);
      const { source } = createSource();
      await expect(callMatrix(clientWith(source), "requires", stream)).rejects.toMatchObject(
        refused,
      );
      expect(arrived()).toHaveLength(attempts);
      expect(verdicts).toEqual([]);
    },
  );

  test.each(protocol.streams.filter((kind) => kind === "Client" || kind === "Bidi"))(
    "that a %s stream lacks are in the proof of the next one",
    async (stream) => {
      verdicts.push("use_dpop_nonce");
      const { source, told } = createSource();
      const client = clientWith(source);
      await expect(callMatrix(client, "requires", stream)).rejects.toMatchObject(refused);
      expect(arrived()).toEqual([["DPoP token-1", "proof-1.none"]]);
      await callMatrix(client, "requires", stream);
      expect(arrived().slice(1)).toEqual([["DPoP token-1", "proof-2.nonce-1"]]);
      expect(told).toEqual(["request", "request"]);
    },
  );

  test("leave a cached token alone", async () => {
    verdicts.push("use_dpop_nonce");
    const { source } = createSource();
    const events: AuthEvent["type"][] = [];
    const client = clientWith(cachedAuth(source, { onEvent: ({ type }) => events.push(type) }));
    await callMatrix(client, "requires", "Unary");
    await callMatrix(client, "requires", "Unary");
    expect(events).toEqual(["token_acquired"]);
    expect(arrived().map(([token]) => token)).toEqual(Array(3).fill("DPoP token-1"));
  });
});
