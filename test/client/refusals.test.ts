import { Code, ConnectError, type HandlerContext, type Interceptor } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import {
  Auth,
  type AuthEvent,
  type AuthOptions,
  type Credentials,
  cachedAuth,
  type DpopProofRequest,
  type TransportOptions,
} from "../../src/index.js";
import { inMemory } from "../../src/testing/index.js";
import { createMatrixServiceClient } from "../gen/acme/matrix/v1/matrix_auth.js";
import { MatrixService } from "../gen/acme/matrix/v1/matrix_pb.js";
import { authRequest } from "../support/auth-request.js";
import { createUserApi } from "../support/user-api.js";

type Answer = (header: Headers, context: HandlerContext) => void;

/** A client of a server in this process, which answers as `answer` says. */
function clientOf(
  answer: Answer,
  { credentials, ...options }: AuthOptions & { credentials: Credentials },
) {
  const handle = (_: unknown, context: HandlerContext) => {
    answer(context.requestHeader, context);
    return {};
  };
  const transport = inMemory(({ service }) => {
    service(MatrixService, {
      publicUnary: handle,
      requiresUnary: handle,
    });
  });
  return createMatrixServiceClient(
    transport,
    { baseUrl: "https://api.test" },
    { credentials, ...options },
  );
}

function refuse(...challenges: string[]): never {
  const metadata = challenges.map((value): [string, string] => ["www-authenticate", value]);
  throw new ConnectError("refused", Code.Unauthenticated, metadata);
}

describe("a source that is told of a refused credential", () => {
  test("and never comes to an end costs the call its deadline", async () => {
    const client = clientOf(() => refuse(), {
      credentials: {
        getAuth: () => Auth.bearer("token"),
        rejected: () => new Promise<void>(() => {}),
      },
    });
    await expect(client.requiresUnary({}, { timeoutMs: 50 })).rejects.toMatchObject({
      code: Code.DeadlineExceeded,
    });
  });

  test("hears the challenge for the scheme that was sent", async () => {
    const heard: unknown[] = [];
    const client = clientOf(
      () => refuse('DPoP error="use_dpop_nonce"', 'Bearer error="invalid_token"'),
      {
        credentials: {
          getAuth: () => Auth.bearer("token"),
          rejected: (_, challenge) => void heard.push(challenge),
        },
      },
    );
    await expect(client.requiresUnary({})).rejects.toMatchObject({ code: Code.Unauthenticated });
    expect(heard).toEqual([{ scheme: "bearer", params: new Map([["error", "invalid_token"]]) }]);
  });
});

describe("Auth.dpop", () => {
  test("proves with the nonce that the server asked for, whatever it says to others", async () => {
    const proofs: DpopProofRequest[] = [];
    const told: unknown[] = [];
    const client = clientOf(
      (header, { responseHeader }) => {
        if (header.get("dpop") !== "proof-nonce-1") {
          const error = new ConnectError("refused", Code.Unauthenticated);
          error.metadata.append("www-authenticate", 'Bearer error="invalid_token"');
          error.metadata.append("www-authenticate", 'DPoP error="use_dpop_nonce"');
          error.metadata.set("dpop-nonce", "nonce-1");
          throw error;
        }
        responseHeader.set("dpop-nonce", "nonce-2");
      },
      {
        credentials: {
          getAuth: () =>
            Auth.dpop(
              "token",
              (request) => {
                proofs.push(request);
                return `proof-${request.nonce}`;
              },
              {
                onNonce(nonce) {
                  told.push(nonce);
                  throw new Error("broken listener");
                },
              },
            ),
          rejected: () => void told.push("rejected"),
        },
      },
    );
    await client.requiresUnary({});
    expect(proofs.map(({ nonce }) => nonce)).toEqual([undefined, "nonce-1"]);
    expect(told).toEqual(["nonce-1", "nonce-2"]);
  });
});

describe("a public method with sendOnPublic", () => {
  const sendOnPublic = "if-available";

  test("is called without a credential that the server refuses", async () => {
    const arrived: (string | null)[] = [];
    const client = clientOf(
      (header) => {
        arrived.push(header.get("authorization"));
        if (header.has("authorization")) {
          refuse();
        }
      },
      { credentials: Auth.bearer("stale"), sendOnPublic },
    );
    await client.publicUnary({});
    expect(arrived).toEqual(["Bearer stale", null]);
  });

  test("is called with another credential where there is one", async () => {
    const arrived: (string | null)[] = [];
    const client = clientOf(
      (header) => {
        arrived.push(header.get("authorization"));
        if (header.get("authorization") === "Bearer old") {
          refuse();
        }
      },
      {
        credentials: ({ reason }) => Auth.bearer(reason === "request" ? "old" : "new"),
        sendOnPublic,
      },
    );
    await client.publicUnary({});
    expect(arrived).toEqual(["Bearer old", "Bearer new"]);
  });

  test("is refused where it is without a credential, too", async () => {
    let calls = 0;
    const client = clientOf(
      () => {
        calls++;
        refuse();
      },
      { credentials: Auth.bearer("stale"), sendOnPublic },
    );
    await expect(client.publicUnary({})).rejects.toMatchObject({ code: Code.Unauthenticated });
    expect(calls).toBe(2);
  });

  test("does not wait for a credential that never comes", async () => {
    const arrived: (string | null)[] = [];
    const client = clientOf((header) => void arrived.push(header.get("authorization")), {
      credentials: () => new Promise<Auth>(() => {}),
      sendOnPublic,
    });
    await client.publicUnary({}, { timeoutMs: 20_000 });
    expect(arrived).toEqual([null]);
  });
});

describe("a server stream", () => {
  test.each([
    {
      name: "is open at once with a constant, which is never sent again",
      credentials: Auth.bearer("token"),
      isOpen: true,
    },
    {
      name: "is open with its first message where it may be sent again",
      credentials: () => Auth.bearer("token"),
      isOpen: false,
    },
    {
      name: "is open with its first message where a nonce may be asked for",
      credentials: Auth.dpop("token", () => "proof"),
      isOpen: false,
    },
  ])("$name", async ({ credentials, isOpen }) => {
    // answers with a header, and then with nothing
    const silent: Interceptor = (next) => async (req) =>
      req.stream
        ? { ...req, header: new Headers(), trailer: new Headers(), message: silence() }
        : next(req);
    let opened = false;
    const watch: Interceptor = (next) => async (req) => {
      const response = await next(req);
      opened = true;
      return response;
    };
    const { createTransport } = createUserApi();
    const client = createMatrixServiceClient(
      (options: TransportOptions) =>
        createTransport({ ...options, interceptors: [...(options.interceptors ?? []), silent] }),
      { baseUrl: "https://api.test", interceptors: [watch] },
      { credentials },
    );
    const abort = new AbortController();
    const first = client
      .requiresServer({}, { signal: abort.signal })
      [Symbol.asyncIterator]()
      .next();
    first.catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(opened).toBe(isOpen);
    abort.abort();
  });
});

describe("cachedAuth", () => {
  test.each([
    { name: "a promise", key: Promise.resolve(["alice"]) },
    { name: "a set", key: new Set(["alice"]) },
    { name: "nothing", key: undefined },
    { name: "a list of undefined", key: [undefined] },
  ])("refuses $name as a key: it would be the same for all", async ({ key }) => {
    const options: object = { key: () => key };
    const { getAuth } = cachedAuth(() => Auth.bearer("token"), options);
    await expect((async () => getAuth(authRequest()))()).rejects.toThrow(
      new TypeError("key of cachedAuth must return a list of strings"),
    );
  });

  test("keeps the key of a fetch that is under way, however many others come", async () => {
    let calls = 0;
    const { promise, resolve } = withResolvers();
    const source = cachedAuth(
      async ({ url }) => {
        calls++;
        if (url === "slow") {
          await promise;
        }
        return Auth.bearer(`token-of-${url}`);
      },
      { key: ({ url }) => [url] },
    );
    const first = source.getAuth(authRequest({ url: "slow" }));
    for (let i = 0; i < 1100; i++) {
      await source.getAuth(authRequest({ url: `user-${i}` }));
    }
    const second = source.getAuth(authRequest({ url: "slow" }));
    resolve();
    expect(await second).toBe(await first);
    expect(calls).toBe(1101);
  });

  test("tells its listener of a refusal, and not of the token that the server quotes", async () => {
    const events: AuthEvent[] = [];
    const credentials = cachedAuth(({ reason }) => Auth.bearer(`s3cr3t-${reason}`), {
      onEvent: (event) => events.push(event),
    });
    const client = clientOf(
      (header) => {
        if (header.get("authorization") === "Bearer s3cr3t-request") {
          refuse(
            'Bearer realm="s3cr3t", error="invalid_token", scope="s3cr3t-request", error_description="s3cr3t-request has expired"',
          );
        }
      },
      { credentials },
    );
    await client.requiresUnary({});
    expect(events.find(({ type }) => type === "token_refused")).toEqual({
      type: "token_refused",
      error: "invalid_token",
    });
  });
});

async function* silence(): AsyncGenerator<never> {
  await new Promise(() => {});
}

function withResolvers() {
  let resolve = () => {};
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}
