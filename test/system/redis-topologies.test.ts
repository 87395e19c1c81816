import { GlideClusterClient, Logger } from "@valkey/valkey-glide";
import { Cluster, Redis } from "ioredis";
import { createClient, createClientPool, createCluster, createSentinel, RESP_TYPES } from "redis";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { createRedisReplayStore, type RedisReplayClient } from "../../src/server/index.js";
import { freePort } from "../support/free-port.js";
import { type RedisServer, startRedisServer } from "../support/redis-server.js";

Logger.init("off");
const host = "127.0.0.1";
const inAMinute = () => new Date(Date.now() + 60_000);

/** What the clients are told about the servers. */
interface Topology {
  readonly ports: readonly number[];
  readonly password: string;
}

/** A client that is connected. */
interface Connected {
  readonly client: RedisReplayClient;
  close(): unknown;
}

/** Adds each of 20 keys twice, and five times at once. */
async function addTwice({ client, close }: Connected, prefix: string): Promise<void> {
  try {
    const store = createRedisReplayStore(client, { keyPrefix: `${prefix}:` });
    for (let n = 0; n < 20; n++) {
      const added = await Promise.all(
        Array.from({ length: 5 }, () => store.add(`${n}`, inAMinute())),
      );
      expect(added.filter(Boolean)).toHaveLength(1);
      expect(await store.add(`${n}`, inAMinute())).toBe(false);
    }
  } finally {
    await close();
  }
}

describe("a cluster of two", () => {
  let servers: RedisServer[];
  let topology: Topology;
  beforeAll(async () => {
    servers = await Promise.all(
      [1, 2].map(async () =>
        startRedisServer({
          config: [
            "cluster-enabled yes",
            "cluster-announce-ip 127.0.0.1",
            `cluster-port ${await freePort()}`,
          ],
        }),
      ),
    );
    topology = {
      ports: servers.map(({ port }) => port),
      password: servers[0]?.password ?? "",
    };
    await joinCluster(servers);
  });
  afterAll(async () => {
    await Promise.all((servers ?? []).map((server) => server.close()));
  });

  test.each<{ name: string; connect: (topology: Topology) => Promise<Connected> }>([
    {
      name: "createCluster of redis",
      async connect({ ports, password }) {
        const client = createCluster({
          rootNodes: ports.map((port) => ({ socket: { host, port } })),
          defaults: { password },
        });
        await client.connect();
        return { client, close: () => client.destroy() };
      },
    },
    {
      name: "Cluster of ioredis",
      async connect({ ports, password }) {
        const client = new Cluster(
          ports.map((port) => ({ host, port })),
          { redisOptions: { password }, lazyConnect: true },
        );
        await client.connect();
        return { client, close: () => client.disconnect() };
      },
    },
    {
      name: "Cluster of ioredis with pipelines",
      async connect({ ports, password }) {
        const client = new Cluster(
          ports.map((port) => ({ host, port })),
          { redisOptions: { password }, lazyConnect: true, enableAutoPipelining: true },
        );
        await client.connect();
        return { client, close: () => client.disconnect() };
      },
    },
    {
      name: "GlideClusterClient",
      async connect({ ports, password }) {
        const client = await GlideClusterClient.createClient({
          addresses: ports.map((port) => ({ host, port })),
          credentials: { password },
        });
        return { client, close: () => client.close() };
      },
    },
  ])("takes each key once from $name", async ({ name, connect }) => {
    await addTwice(await connect(topology), name);
    const sizes = await Promise.all(servers.map((server) => ask(server, ["DBSIZE"])));
    expect(sizes.map(Number).every((size) => size > 0)).toBe(true);
  });
});

describe("a server behind a sentinel", () => {
  let server: RedisServer;
  let sentinel: RedisServer;
  let topology: Topology;
  beforeAll(async () => {
    server = await startRedisServer();
    const { port, password } = server;
    sentinel = await startRedisServer({
      sentinel: true,
      config: [`sentinel monitor main ${host} ${port} 1`, `sentinel auth-pass main ${password}`],
    });
    topology = { ports: [sentinel.port], password };
  });
  afterAll(async () => {
    await sentinel?.close();
    await server?.close();
  });

  test.each<{ name: string; connect: (topology: Topology) => Promise<Connected> }>([
    {
      name: "createSentinel of redis",
      async connect({ ports, password }) {
        const client = createSentinel({
          name: "main",
          sentinelRootNodes: ports.map((port) => ({ host, port })),
          nodeClientOptions: { password },
        });
        await client.connect();
        return { client, close: () => client.destroy() };
      },
    },
    {
      name: "Redis of ioredis",
      async connect({ ports, password }) {
        const client = new Redis({
          name: "main",
          sentinels: ports.map((port) => ({ host, port })),
          password,
          lazyConnect: true,
        });
        await client.connect();
        return { client, close: () => client.disconnect() };
      },
    },
  ])("takes each key once from $name", async ({ name, connect }) => {
    await addTwice(await connect(topology), name);
    expect(Number(await ask(server, ["DBSIZE"]))).toBeGreaterThanOrEqual(20);
  });
});

describe("a server", () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedisServer();
  });
  afterAll(() => server?.close());

  test.each<{ name: string; connect: (server: RedisServer) => Promise<Connected> }>([
    {
      name: "createClientPool of redis",
      async connect({ port, password }) {
        const client = createClientPool({ password, socket: { host, port } });
        await client.connect();
        return { client, close: () => client.destroy() };
      },
    },
    {
      name: "createClient of redis that returns bytes",
      async connect({ port, password }) {
        const client = createClient({
          password,
          socket: { host, port },
          commandOptions: { typeMapping: { [RESP_TYPES.SIMPLE_STRING]: Buffer } },
        });
        await client.connect();
        expect(await client.sendCommand(["PING"])).toEqual(Buffer.from("PONG"));
        return { client, close: () => client.destroy() };
      },
    },
    {
      name: "Redis of ioredis with a prefix of its own",
      async connect({ port, password }) {
        const client = new Redis({ port, password, lazyConnect: true, keyPrefix: "app:" });
        await client.connect();
        return { client, close: () => client.disconnect() };
      },
    },
  ])("takes each key once from $name", async ({ name, connect }) => {
    await addTwice(await connect(server), name);
  });
});

/** Makes a cluster of servers that know nothing of each other. */
async function joinCluster(servers: readonly RedisServer[]): Promise<void> {
  const [one, other] = servers;
  if (one === undefined || other === undefined) {
    throw new Error("a cluster needs two servers");
  }
  await ask(one, ["CLUSTER", "ADDSLOTSRANGE", "0", "8191"]);
  await ask(other, ["CLUSTER", "ADDSLOTSRANGE", "8192", "16383"]);
  const busPort = /:\d+@(\d+)/.exec(await ask(other, ["CLUSTER", "NODES"]))?.[1] ?? "";
  await ask(one, ["CLUSTER", "MEET", host, `${other.port}`, busPort]);
  await vi.waitFor(async () => {
    for (const server of servers) {
      expect(await ask(server, ["CLUSTER", "INFO"])).toContain("cluster_state:ok");
    }
  }, 20_000);
}

async function ask({ port, password }: RedisServer, command: string[]): Promise<string> {
  const client = createClient({ password, socket: { host, port } });
  await client.connect();
  try {
    return String(await client.sendCommand(command));
  } finally {
    client.destroy();
  }
}
