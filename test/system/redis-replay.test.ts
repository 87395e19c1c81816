import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { createRedisReplayStore, type ReplayStore } from "../../src/server/index.js";
import { UserService } from "../gen/acme/user/v1/user_pb.js";
import { createDpopKeys, signDpopProof } from "../support/dpop-proof.js";
import {
  connectRedisClient,
  type RedisPackage,
  redisPackages,
  type TestRedisClient,
} from "../support/redis-clients.js";
import { type RedisServer, startRedisServer } from "../support/redis-server.js";
import { createTestToken } from "../support/test-token.js";

const keys = await createDpopKeys();
const inAMinute = () => new Date(Date.now() + 60_000);

/** A server that runs in another process. */
interface Replica {
  /** What comes of a call: who made it, or a Connect code and what the client is told. */
  call(headers: HeadersInit): Promise<string>;
  close(): Promise<unknown>;
}

async function startReplica(name: RedisPackage, redis: RedisServer): Promise<Replica> {
  const program = fileURLToPath(new URL("replay-server.ts", import.meta.url));
  const child = fork(program, [name, `${redis.port}`, redis.password], {
    execArgv: ["--import=tsx"],
  });
  const exited = once(child, "exit");
  const [baseUrl] = await Promise.race([
    once(child, "message"),
    exited.then(() => Promise.reject(new Error("the replica does not start"))),
  ]);
  const client = createClient(UserService, createConnectTransport({ baseUrl, httpVersion: "2" }));
  return {
    async call(headers) {
      try {
        return (await client.whoAmI({}, { headers })).subject;
      } catch (error) {
        const { code, rawMessage } = ConnectError.from(error);
        return `${Code[code]}: ${rawMessage}`;
      }
    },
    close() {
      child.disconnect();
      return exited;
    },
  };
}

/** A token and a new proof for a call of whoAmI. */
async function proofHeaders(): Promise<HeadersInit> {
  const token = await createTestToken({ sub: "alice", cnf: { jkt: keys.jkt } });
  const htu = `https://api.test/${UserService.typeName}/WhoAmI`;
  const dpop = await signDpopProof(keys, { claims: { htm: "POST", htu } }, token);
  return { authorization: `DPoP ${token}`, dpop };
}

/** How often there is what. */
function count(outcomes: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const outcome of outcomes) {
    counts[outcome] = (counts[outcome] ?? 0) + 1;
  }
  return counts;
}

describe.each(redisPackages)("a replay store with %s", (name) => {
  let redis: RedisServer;
  let admin: Redis;
  let clients: TestRedisClient[];
  let stores: ReplayStore[];
  beforeAll(async () => {
    redis = await startRedisServer();
    admin = new Redis({ port: redis.port, password: redis.password });
    admin.on("error", () => {}); // while Redis is gone
    clients = await Promise.all([1, 2].map(() => connectRedisClient(name, redis)));
    stores = clients.map(({ client }) => createRedisReplayStore(client));
  });
  afterAll(async () => {
    admin?.disconnect();
    for (const client of clients ?? []) {
      client.close();
    }
    await redis?.close();
  });

  test("takes a key once, through whichever connection, and others beside it", async () => {
    const [one, other] = stores;
    expect(await one?.add("a", inAMinute())).toBe(true);
    expect(await one?.add("a", inAMinute())).toBe(false);
    expect(await other?.add("a", inAMinute())).toBe(false);
    expect(await other?.add("b", inAMinute())).toBe(true);
  });

  test("takes a key once of a hundred times that come together", async () => {
    const added = await Promise.all(
      Array.from({ length: 50 }, () => stores.map((store) => store.add("c", inAMinute()))).flat(),
    );
    expect(count(added.map(String))).toEqual({ true: 1, false: 99 });
  });

  test("lets Redis forget a key at its time, and not before", async () => {
    const expiresAt = inAMinute();
    await stores[0]?.add("d", expiresAt);
    await stores[0]?.add("d", new Date(Date.now() + 600_000));
    const key = "connectrpc-auth:replay:d";
    const expiry = await admin.pexpiretime(key);
    expect(expiry).toBeGreaterThanOrEqual(expiresAt.getTime());
    expect(await admin.pttl(key)).toBeLessThanOrEqual(60_000);
  });

  test("takes a key again that is forgotten", async () => {
    expect(await stores[0]?.add("e", new Date(0))).toBe(true);
    await vi.waitFor(async () => expect(await stores[1]?.add("e", new Date(0))).toBe(true));
  });

  test("keeps keys apart by their prefix", async () => {
    const [one, other] = clients.map(({ client }, n) =>
      createRedisReplayStore(client, { keyPrefix: `shop-${n}:` }),
    );
    expect(await one?.add("f", inAMinute())).toBe(true);
    expect(await other?.add("f", inAMinute())).toBe(true);
    expect(await admin.exists("shop-0:f", "shop-1:f")).toBe(2);
  });

  test("throws where Redis is full, and forgets nothing", async () => {
    await stores[0]?.add("g", inAMinute());
    await admin.config("SET", "maxmemory", 1);
    await expect(stores[0]?.add("h", inAMinute())).rejects.toThrow(
      "command not allowed when used memory > ….",
    );
    await admin.config("SET", "maxmemory", 0);
    expect(await stores[0]?.add("g", inAMinute())).toBe(false);
    expect(await stores[0]?.add("h", inAMinute())).toBe(true);
  });

  describe("that two processes share", () => {
    let replicas: Replica[];
    beforeAll(async () => {
      replicas = await Promise.all([1, 2].map(() => startReplica(name, redis)));
    });
    afterAll(async () => {
      await Promise.all((replicas ?? []).map((replica) => replica.close()));
    });

    /** Makes a call with a new proof to each of them. */
    const callBoth = () =>
      Promise.all(replicas.map(async (replica) => replica.call(await proofHeaders())));
    const outage = "Unavailable: credentials cannot be verified at the moment";

    test("lets a proof pass once of 200 times that come together", async () => {
      const headers = await proofHeaders();
      const outcomes = await Promise.all(
        Array.from({ length: 100 }, () => replicas.map((replica) => replica.call(headers))).flat(),
      );
      expect(count(outcomes)).toEqual({ alice: 1, "Unauthenticated: invalid DPoP proof": 199 });
    });

    test("lets each of 200 proofs pass", async () => {
      const outcomes = await Promise.all(Array.from({ length: 100 }, callBoth));
      expect(count(outcomes.flat())).toEqual({ alice: 200 });
    });

    test("refuses calls as Unavailable while Redis hangs, and none after it", async () => {
      redis.freeze();
      expect(await callBoth()).toEqual([outage, outage]);
      redis.thaw();
      await vi.waitFor(async () => expect(await callBoth()).toEqual(["alice", "alice"]), 20_000);
    });

    test("refuses calls as Unavailable while Redis is gone, and none after it", async () => {
      await redis.stop();
      expect(await callBoth()).toEqual([outage, outage]);
      expect(await callBoth()).toEqual([outage, outage]);
      await redis.start();
      await vi.waitFor(async () => expect(await callBoth()).toEqual(["alice", "alice"]), 20_000);
    });
  });
});

test("a machine without Redis is told what to install", async () => {
  vi.stubEnv("PATH", "");
  try {
    await expect(startRedisServer()).rejects.toThrow(
      "redis-server is missing: install the package redis-server (Debian, Ubuntu), or redis (Homebrew)",
    );
  } finally {
    vi.unstubAllEnvs();
  }
});
