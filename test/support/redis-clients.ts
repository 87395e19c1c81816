import { GlideClient, Logger } from "@valkey/valkey-glide";
import { Redis } from "ioredis";
import { createClient } from "redis";
import type { RedisReplayClient } from "../../src/server/index.js";

/** The packages whose clients fit. */
export const redisPackages = ["redis", "ioredis", "@valkey/valkey-glide"] as const;
export type RedisPackage = (typeof redisPackages)[number];

/** A server of this machine. */
export interface RedisAddress {
  readonly port: number;
  readonly password: string;
}

/** A client of a package. */
export interface TestRedisClient {
  readonly client: RedisReplayClient;
  close(): unknown;
}

/** Connects a client as docs/dpop.md says. */
export async function connectRedisClient(
  name: RedisPackage,
  { port, password }: RedisAddress,
): Promise<TestRedisClient> {
  switch (name) {
    case "redis": {
      const client = createClient({
        password,
        disableOfflineQueue: true,
        pingInterval: 1_000,
        socket: {
          host: "127.0.0.1",
          port,
          socketTimeout: 5_000,
          reconnectStrategy: (retries) => Math.min(retries * 50, 1_000),
        },
      });
      client.on("error", ignore);
      await client.connect();
      return { client, close: () => client.destroy() };
    }
    case "ioredis": {
      const client = new Redis({
        port,
        password,
        lazyConnect: true,
        enableOfflineQueue: false,
        maxRetriesPerRequest: 0,
        commandTimeout: 1_000,
      });
      client.on("error", ignore);
      await client.connect();
      return { client, close: () => client.disconnect() };
    }
    case "@valkey/valkey-glide": {
      // it prints what it also throws
      Logger.init("off");
      const client = await GlideClient.createClient({
        addresses: [{ host: "127.0.0.1", port }],
        credentials: { password },
        requestTimeout: 1_000,
      });
      return { client, close: () => client.close() };
    }
  }
}

// calls fail with the same
function ignore(): void {}
