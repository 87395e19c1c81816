import { decodeJwt } from "jose";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { clientCredentials, createAuthClient } from "../../src/oauth/index.js";
import {
  startAuthorizationServer,
  type TestAuthorizationServer,
} from "../support/authorization-server.js";
import { type ProtectedApi, startProtectedApi } from "../support/protected-api.js";
import { protocols } from "../wire/protocols.js";
import { caller, connectOverHttp1, serviceOptions } from "./unary-calls.js";

let authorizationServer: TestAuthorizationServer;
beforeAll(async () => {
  authorizationServer = await startAuthorizationServer({ dpopNonces: true });
});
afterAll(() => authorizationServer.close());
afterEach(() => {
  vi.restoreAllMocks();
});

const credentials = () => clientCredentials(serviceOptions(authorizationServer));
const times = <T>(n: number, make: () => T): T[] => Array.from({ length: n }, make);

/** Takes the time that calls wait for the first one into the hands of the test. */
function holdTimeLimit(): () => void {
  const held: (() => void)[] = [];
  const { setTimeout } = globalThis;
  vi.spyOn(globalThis, "setTimeout").mockImplementation((callback, ms, ...args) => {
    if (ms !== 300) {
      return setTimeout(callback, ms, ...args);
    }
    held.push(callback);
    return setTimeout(() => {}, 0);
  });
  return () => {
    for (const callback of held) {
      callback();
    }
  };
}

test.each(protocols)(
  "one of a hundred parallel first calls over $name asks for the nonce",
  async (protocol) => {
    holdTimeLimit();
    const asked = authorizationServer.requests.length;
    const { httpVersion } = protocol;
    const dpop = { required: true, nonces: true } as const;
    const api = await startProtectedApi({ httpVersion, authorizationServer, dpop });
    await Promise.all(times(100, caller(api, protocol, credentials())));
    expect(api.calls).toHaveLength(100);
    expect(api.requests).toHaveLength(101);
    expect(authorizationServer.requests).toHaveLength(asked + 2);
    await api.close();
  },
);

test("one of many parallel token requests asks for the nonce", async () => {
  holdTimeLimit();
  const asked = authorizationServer.requests.length;
  const client = createAuthClient(serviceOptions(authorizationServer));
  const scopes = ["orders:read", "orders:write", "users:read", "users:write"];
  await Promise.all(scopes.map((scope) => client.getToken({ scope })));
  const [first, ...nonces] = authorizationServer.requests
    .slice(asked)
    .map(({ headers }) => decodeJwt(headers.get("dpop") ?? "").nonce);
  expect(first).toBeUndefined();
  expect(nonces).toHaveLength(4);
  expect(new Set(nonces).size).toBe(1);
});

describe("the first answer of an API", () => {
  let free: ProtectedApi;
  beforeAll(async () => {
    free = await startProtectedApi({
      httpVersion: "1.1",
      authorizationServer,
      dpop: { required: true },
    });
  });
  beforeEach(() => {
    free.requests.length = 0;
    free.calls.length = 0;
  });
  afterAll(() => free.close());

  /** Holds the first request that comes, until it is released. */
  function holdFirst(): { isHeld: Promise<void>; release: () => void } {
    let release = () => {};
    const isReleased = new Promise<void>((resolve) => {
      release = resolve;
    });
    const isHeld = new Promise<void>((resolve) => {
      free.onRequest((n) => {
        if (n > 1) {
          return undefined;
        }
        resolve();
        return isReleased;
      });
    });
    return { isHeld, release };
  }

  test("ends the wait of the others, also where no nonce is wanted", async () => {
    holdTimeLimit();
    const { isHeld, release } = holdFirst();
    const call = caller(free, connectOverHttp1, credentials());
    const calls = times(100, call);
    await isHeld;
    // with a credential of its own, and so without waiting: whatever was sent before has come by then
    await caller(free, connectOverHttp1, credentials())();
    expect(free.requests).toHaveLength(2);
    release();
    await Promise.all(calls);
    expect(free.requests).toHaveLength(101);
    expect(free.calls).toHaveLength(101);
  });

  test("is waited for no longer than 300 ms", async () => {
    const endWait = holdTimeLimit();
    const { isHeld, release } = holdFirst();
    const [first, ...others] = times(10, caller(free, connectOverHttp1, credentials()));
    await isHeld;
    await caller(free, connectOverHttp1, credentials())();
    expect(free.requests).toHaveLength(2);
    endWait();
    await Promise.all(others);
    expect(free.calls).toHaveLength(10);
    release();
    await first;
    expect(free.calls).toHaveLength(11);
  });
});
