import { randomBytes, randomUUID } from "node:crypto";
import { setImmediate } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import {
  createAuthInterceptor,
  createIntrospectionAuthInterceptor,
  createJwtAuthInterceptor,
  createMemoryReplayStore,
  createServerAuth,
  createSessionAuthInterceptor,
} from "../../src/server/index.js";
import { UserServicePolicies } from "../gen/acme/user/v1/user_auth.js";
import { createDpopKeys, signDpopProof } from "../support/dpop-proof.js";
import { signToken } from "../support/signed-tokens.js";
import { inputsOf } from "./inputs.js";
import { sendCall, whoAmIUrl } from "./send-call.js";

const maxSize = 40;
const cache = { ttl: 600_000, maxSize };
const inputs = Math.max(inputsOf("memory", 4), 2 * maxSize);
const secret = randomBytes(32).toString("base64url");
const identity = { subject: "alice", roles: [], scopes: [], claims: {}, type: "test" };

/** Different for each input, and of this length. */
function unique(length: number): string {
  return randomBytes(length).toString("base64url").slice(0, length);
}

function tokenWith(claims: object): string {
  const payload = { sub: "alice", exp: Math.floor(Date.now() / 1000) + 3600, ...claims };
  return signToken({ header: { alg: "HS256" }, payload, alg: "HS256", key: Buffer.from(secret) });
}

describe("however many credentials come,", () => {
  test("no more of those that are good are remembered than the cache holds", async () => {
    let verified = 0;
    const interceptor = createAuthInterceptor({
      cache,
      verifyCredentials() {
        verified += 1;
        return identity;
      },
    });
    const known = Array.from({ length: inputs }, () => unique(30));
    const sendAll = async (credentials: readonly string[]) => {
      for (const credential of credentials) {
        const header = { authorization: `Bearer ${credential}` };
        expect(await sendCall(interceptor, { header })).toMatchObject({ passed: true });
      }
    };
    await sendAll(known);
    expect(verified).toBe(inputs);
    // from the last to the first: those that are remembered come before they are pushed out
    await sendAll(known.reverse());
    expect(2 * inputs - verified).toBe(maxSize);
  });

  test("no more of those that are bad are remembered than the cache holds", async () => {
    let asked = 0;
    const interceptor = createIntrospectionAuthInterceptor({
      introspectionEndpoint: "https://issuer.test/introspect",
      clientId: "orders",
      clientSecret: secret,
      cache,
      async fetch() {
        asked += 1;
        return Response.json({ active: false });
      },
    });
    const tokens = Array.from({ length: inputs }, () => unique(30));
    for (const token of [...tokens, ...tokens.toReversed()]) {
      const header = { authorization: `Bearer ${token}` };
      expect(await sendCall(interceptor, { header })).toMatchObject({ passed: false });
    }
    // fewer where this takes longer than they are remembered
    expect(2 * inputs - asked).toBeLessThanOrEqual(maxSize);
  });

  test("no proof that is bad takes a place in the replay store", async () => {
    const keys = await createDpopKeys();
    const token = tokenWith({ cnf: { jkt: keys.jkt } });
    const interceptor = createJwtAuthInterceptor({
      secret,
      dpop: {
        publicOrigins: ["https://api.test"],
        replayStore: createMemoryReplayStore({ maxSize }),
      },
    });
    const send = async (claims: object) => {
      const about = { htm: "POST", htu: whoAmIUrl, jti: randomUUID(), ...claims };
      const dpop = await signDpopProof(keys, { claims: about }, token);
      return sendCall(interceptor, { header: { authorization: `DPoP ${token}`, dpop } });
    };
    const wrong = [{ htm: "GET" }, { htu: "https://evil.test/" }, { iat: 0 }, { ath: "x" }];
    for (let i = 0; i < inputs; i++) {
      expect(await send(wrong[i % wrong.length] ?? {})).toMatchObject({ passed: false });
    }
    for (let i = 0; i < maxSize; i++) {
      expect(await send({})).toMatchObject({ passed: true });
    }
    expect(await send({})).toMatchObject({
      passed: false,
      error: { cause: { message: `replay store: the replay store is full, it holds 40 keys` } },
    });
  });

  test("the heap stays as it is", async () => {
    const keys = await createDpopKeys();
    const auth = createServerAuth({
      policies: [UserServicePolicies],
      authenticate: [
        createSessionAuthInterceptor({
          cookie: "sid",
          verifySession: (token) => (token.startsWith("A") ? token : undefined),
          mapSession: (subject) => ({ ...identity, subject }),
          cache,
        }),
        createJwtAuthInterceptor({
          secret,
          cache,
          dpop: { publicOrigins: ["https://api.test"], nonces: true },
        }),
      ],
      onDenied: () => {},
    });
    const [interceptor = () => () => Promise.reject(new Error("none"))] = auth.interceptors;
    const bound = tokenWith({ cnf: { jkt: keys.jkt } });
    const forms: readonly (() => Record<string, string>)[] = [
      () => ({ cookie: `sid=${unique(8000)}` }),
      () => ({ authorization: `Bearer ${unique(8000)}` }),
      () => ({ authorization: `Bearer ${tokenWith({ padding: unique(5000) })}` }),
      () => ({ authorization: `Bearer ${tokenWith({ padding: unique(5000) })}x` }),
      () => ({ authorization: `DPoP ${bound}`, dpop: unique(8000) }),
      () => ({ authorization: `Basic ${unique(8000)}` }),
    ];
    const send = async (count: number) => {
      for (let i = 0; i < count; i++) {
        const header = { ...forms[i % forms.length]?.(), "x-padding": unique(16_000) };
        await sendCall(interceptor, { header });
      }
    };
    // enough to fill the caches, and for what the machine compiles
    await send(600);
    const before = await usedBytes();
    await send(Math.max(inputs, 1200));
    const grown = (await usedBytes()) - before;
    // Each call brings 24,000 bytes, so credentials of one form that are kept in any way, by a slice
    // of a header even, are 1.6 MB at least. What is in use after a collection depends on neither
    // time nor other processes: it differs by a few hundred kilobytes, however many calls there were.
    expect(grown).toBeLessThan(1_000_000);
  });
});

/** What is in use after all that can be collected is. */
async function usedBytes(): Promise<number> {
  setFlagsFromString("--expose-gc");
  const collect: unknown = runInNewContext("gc");
  if (typeof collect !== "function") {
    throw new Error("the heap cannot be measured");
  }
  for (let i = 0; i < 3; i++) {
    await setImmediate();
    collect();
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
