import { checkKnownOptions } from "../known-options.js";
import type { ReplayStore } from "./replay-store.js";

const maxReasonLength = 200;

// What is used of the clients. Their packages are no dependency, not even for their types.

/** `createClient` and `createClientPool` of the package `redis`. */
interface NodeRedisClient {
  readonly isOpen: boolean;
  sendCommand(args: string[]): Promise<unknown>;
}

/** `createCluster` of the package `redis`. */
interface NodeRedisCluster {
  readonly isOpen: boolean;
  nodeClient(node: never): unknown;
  sendCommand(firstKey: string, isReadonly: boolean, args: string[]): Promise<unknown>;
}

/** `createSentinel` of the package `redis`. */
interface NodeRedisSentinel {
  readonly isOpen: boolean;
  getSentinelNode(): unknown;
  sendCommand(isReadonly: boolean, args: string[]): Promise<unknown>;
}

/** `Redis` and `Cluster` of the package `ioredis`. */
interface IoredisClient {
  readonly status: string;
  call(command: string, ...args: string[]): Promise<unknown>;
}

/** `GlideClient` and `GlideClusterClient` of the package `@valkey/valkey-glide`. */
interface ValkeyGlideClient {
  customCommand(args: string[]): Promise<unknown>;
}

/**
 * A client of Redis or Valkey: of the packages `redis` (4 to 6), `ioredis`
 * (5, 6) or `@valkey/valkey-glide` (2), for one server, a cluster or sentinels.
 */
export type RedisReplayClient =
  | NodeRedisClient
  | NodeRedisCluster
  | NodeRedisSentinel
  | IoredisClient
  | ValkeyGlideClient;

/** Options of `createRedisReplayStore`. */
export interface RedisReplayStoreOptions {
  /**
   * What the names of its keys begin with. Servers share what was used where
   * they have the same. Default: `connectrpc-auth:replay:`.
   */
  readonly keyPrefix?: string;
}

/**
 * A replay store in Redis or Valkey, for servers of several processes: what was
 * used with one cannot be used with another. One command for each `add`
 * (`SET key 1 PX ms NX`), which throws where it fails. The client stays yours:
 * connect it, listen to its errors, close it. Give it time limits, and the
 * server `maxmemory-policy noeviction`: a key that is evicted could be used again.
 *
 * ```ts
 * const client = createClient({ url: "redis://localhost:6379", disableOfflineQueue: true });
 * client.on("error", (error) => log(error.message));
 * await client.connect();
 * const replayStore = createRedisReplayStore(client);
 * ```
 *
 * Throws `TypeError` for anything that is no such client.
 */
export function createRedisReplayStore(
  client: RedisReplayClient,
  options: RedisReplayStoreOptions = {},
): ReplayStore {
  checkKnownOptions("createRedisReplayStore", options, { keyPrefix: true });
  const { keyPrefix = "connectrpc-auth:replay:" } = options;
  if (typeof keyPrefix !== "string") {
    throw new TypeError(`keyPrefix ${JSON.stringify(keyPrefix)} must be a string`);
  }
  const send = createSender(client);

  return {
    async add(key, expiresAt) {
      // from now, because the clock of the Redis server may differ
      const ms = Math.max(expiresAt.getTime() - Date.now(), 1);
      if (!Number.isSafeInteger(ms)) {
        throw new TypeError("expiresAt must be a valid date");
      }
      const name = keyPrefix + key;
      let reply: unknown;
      try {
        reply = await send(name, ["SET", name, "1", "PX", String(ms), "NX"]);
      } catch (error) {
        // without a cause: what clients throw may show keys, and how they log in
        throw new Error(describeFailure(error));
      }
      if (reply === null) {
        return false;
      }
      // clients can be told to return bytes
      if (String(reply) === "OK") {
        return true;
      }
      throw new Error("the answer to SET is neither OK nor nil");
    },
  };
}

type Sender = (key: string, args: [command: string, ...string[]]) => Promise<unknown>;

/** Tells the clients by what only one of them has. */
function createSender(client: RedisReplayClient): Sender {
  if (typeof client === "object" && client !== null) {
    if ("customCommand" in client && typeof client.customCommand === "function") {
      return (_key, args) => client.customCommand(args);
    }
    if ("isOpen" in client && typeof client.sendCommand === "function") {
      if ("nodeClient" in client) {
        return (key, args) => client.sendCommand(key, false, args);
      }
      if ("getSentinelNode" in client) {
        return (_key, args) => client.sendCommand(false, args);
      }
      return (_key, args) => client.sendCommand(args);
    }
    if ("status" in client && typeof client.call === "function") {
      return (_key, args) => client.call(...args);
    }
  }
  const hint = client instanceof Promise ? ", not the promise of one" : "";
  throw new TypeError(
    `createRedisReplayStore takes a client of redis, ioredis or @valkey/valkey-glide${hint}`,
  );
}

/**
 * What of an error is fit for logs. A server quotes what it does not take,
 * such as the password that a client logs in with; an address may have one
 * before its "@".
 */
function describeFailure(error: unknown): string {
  if (!(error instanceof Error)) {
    return "the client failed";
  }
  // some errors have no message: of Node where a name has several addresses, of clients where time ran out
  const name = "code" in error ? String(error.code) : error.constructor.name;
  return (error.message || name)
    .replace(/(?<=^|[\s:(])["'`](?:.*["'`]|.*$)/s, "…")
    .replace(/(?<!\S)\S*@/g, "…@")
    .slice(0, maxReasonLength)
    .trim();
}
