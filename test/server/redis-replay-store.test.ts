import { inspect } from "node:util";
import { Code, ConnectError } from "@connectrpc/connect";
import { GlideClient, GlideClusterClient, Logger } from "@valkey/valkey-glide";
import { Cluster, Redis } from "ioredis";
import { createClient, createClientPool, createCluster, createSentinel } from "redis";
import { afterEach, describe, expect, onTestFinished, test, vi } from "vitest";
import {
  createJwtAuthInterceptor,
  createRedisReplayStore,
  type RedisReplayStoreOptions,
  type ReplayStore,
} from "../../src/server/index.js";
import { createDpopKeys, signDpopProof } from "../support/dpop-proof.js";
import { freePort } from "../support/free-port.js";
import { incomingCall } from "../support/incoming-call.js";
import { connectRedisClient, type RedisPackage, redisPackages } from "../support/redis-clients.js";
import { type RespAnswers, startRespServer } from "../support/resp-server.js";
import { createTestToken, testSecret } from "../support/test-token.js";

const password = "open sesame";
const inAMinute = () => new Date(Date.now() + 60_000);

Logger.init("off");
afterEach(() => {
  vi.useRealTimers();
});

/** A store on a client that is connected to a server with these answers, and what arrived there. */
async function storeOn(
  name: RedisPackage,
  answers: RespAnswers,
  options?: RedisReplayStoreOptions,
): Promise<{ store: ReplayStore; commands: string[][] }> {
  const { port, commands, close } = await startRespServer(answers);
  onTestFinished(close);
  const connected = await connectRedisClient(name, { port, password });
  onTestFinished(() => void connected.close());
  return { store: createRedisReplayStore(connected.client, options), commands };
}

/** The error that a promise rejects with. */
async function failure(promise: Promise<unknown>): Promise<Error> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect.assert(error instanceof Error);
  return error;
}

/** Authenticates a call with a good proof. */
async function authenticate(replayStore: ReplayStore): Promise<unknown> {
  const keys = await createDpopKeys();
  const call = incomingCall({});
  const token = await createTestToken({ cnf: { jkt: keys.jkt } });
  const proof = await signDpopProof(keys, { claims: { htm: "POST", htu: call.url } }, token);
  const interceptor = createJwtAuthInterceptor({
    secret: testSecret,
    dpop: { publicOrigins: ["https://api.test"], replayStore },
  });
  const header = new Headers({ authorization: `DPoP ${token}`, dpop: proof });
  return interceptor.authenticate({ ...call, header });
}

/** What the server knows of a call that it could not judge. */
async function outage(attempt: Promise<unknown>): Promise<string> {
  const error = await failure(attempt);
  expect.assert(error instanceof ConnectError);
  expect(error).toMatchObject({
    code: Code.Unavailable,
    rawMessage: "credentials cannot be verified at the moment",
  });
  expect.assert(error.cause instanceof Error);
  return error.cause.message;
}

describe("createRedisReplayStore", () => {
  const addresses = [{ host: "127.0.0.1", port: 1 }];
  const offline = { lazyConnect: true, enableOfflineQueue: false } as const;

  // That this compiles is a test, too: no client needs a cast.
  test.each<{ name: string; create: () => ReplayStore | Promise<ReplayStore>; reason: string }>([
    {
      name: "createClient of redis",
      create: () => createRedisReplayStore(createClient()),
      reason: "The client is closed",
    },
    {
      name: "createClientPool of redis",
      create: () => createRedisReplayStore(createClientPool()),
      reason: "The client is closed",
    },
    {
      name: "createCluster of redis",
      create: () => createRedisReplayStore(createCluster({ rootNodes: [] })),
      reason: "The client is closed",
    },
    {
      name: "createSentinel of redis",
      create: () =>
        createRedisReplayStore(createSentinel({ name: "main", sentinelRootNodes: addresses })),
      reason: "Cannot read properties of undefined",
    },
    {
      name: "Redis of ioredis",
      create() {
        const client = new Redis({ port: 1, ...offline });
        client.on("error", () => {});
        onTestFinished(() => client.disconnect());
        return createRedisReplayStore(client);
      },
      reason: "Stream isn't writeable and enableOfflineQueue options is false",
    },
    {
      name: "Cluster of ioredis",
      create() {
        const client = new Cluster(addresses, offline);
        client.on("error", () => {});
        onTestFinished(() => client.disconnect());
        return createRedisReplayStore(client);
      },
      reason: "Cluster isn't ready and enableOfflineQueue options is false",
    },
    {
      name: "GlideClient",
      create: async () => {
        const client = await GlideClient.createClient({
          addresses,
          lazyConnect: true,
          advancedConfiguration: { connectionTimeout: 100 },
        });
        onTestFinished(() => client.close());
        return createRedisReplayStore(client);
      },
      reason: "Standalone connect failed",
    },
    {
      name: "GlideClusterClient",
      create: async () => {
        const client = await GlideClusterClient.createClient({ addresses, lazyConnect: true });
        onTestFinished(() => client.close());
        return createRedisReplayStore(client);
      },
      reason: "Failed to create initial connections",
    },
  ])("takes a $name, and throws while it is not connected", async ({ create, reason }) => {
    const store = await create();
    await expect(store.add("a", inAMinute())).rejects.toThrow(reason);
  });

  const known = "createRedisReplayStore takes a client of redis, ioredis or @valkey/valkey-glide";
  test.each<{ name: string; client: () => unknown; message?: string }>([
    { name: "nothing", client: () => undefined },
    { name: "null", client: () => null },
    { name: "the URL of a server", client: () => "redis://:open-sesame@localhost:6379" },
    { name: "the options of a client", client: () => ({ url: "redis://:open-sesame@localhost" }) },
    { name: "an empty object", client: () => ({}) },
    { name: "a Map", client: () => new Map() },
    { name: "a replay store", client: () => createRedisReplayStore(createClient()) },
    { name: "a legacy client of redis", client: () => createClient().legacy() },
    { name: "a transaction of redis", client: () => createClient().multi() },
    { name: "a pipeline of ioredis", client: () => new Redis(offline).pipeline() },
    { name: "a class", client: () => Redis },
    {
      name: "what has only the properties of a client",
      client: () => ({ isOpen: true, status: "ready", sendCommand: 1, call: 1, customCommand: 1 }),
    },
    {
      name: "a client that was not awaited",
      client: () => Promise.resolve(createClient()),
      message: `${known}, not the promise of one`,
    },
  ])("rejects $name", ({ client, message = known }) => {
    expect(() => Reflect.apply(createRedisReplayStore, undefined, [client()])).toThrow(
      new TypeError(message),
    );
  });

  test.each<{ name: string; options: unknown; message: string }>([
    {
      name: "a misspelt option",
      options: { prefix: "a:" },
      message: 'createRedisReplayStore has no option "prefix"; there are keyPrefix',
    },
    {
      name: "a prefix that is no string",
      options: { keyPrefix: 7 },
      message: "keyPrefix 7 must be a string",
    },
    {
      name: "no object",
      options: null,
      message: "createRedisReplayStore takes an object of options",
    },
  ])("rejects $name", ({ options, message }) => {
    expect(() =>
      Reflect.apply(createRedisReplayStore, undefined, [createClient(), options]),
    ).toThrow(new TypeError(message));
  });

  test("rejects at compile time what is no client", () => {
    const create = (): unknown => [
      // @ts-expect-error a URL is no client
      createRedisReplayStore("redis://localhost"),
      // @ts-expect-error neither is an empty object
      createRedisReplayStore({}),
      // @ts-expect-error nor a client that was not awaited
      createRedisReplayStore(Promise.resolve(createClient())),
    ];
    expect(create).toThrow(new TypeError(known));
  });
});

/** What a server does that was good a moment ago, and what the clients make of it. */
const faults: {
  readonly name: string;
  readonly set: NonNullable<RespAnswers["set"]>;
  readonly reasons: Readonly<Record<RedisPackage, string>>;
}[] = [
  {
    name: "hangs",
    set: { last: "" },
    reasons: {
      redis: "no answer within 2000 ms",
      ioredis: "Command timed out",
      "@valkey/valkey-glide": "timed out",
    },
  },
  {
    name: "ends the connection",
    set: { last: "", close: true },
    reasons: {
      redis: "Socket closed unexpectedly",
      ioredis:
        "Reached the max retries per request limit (which is 0). Refer to … option for details.",
      "@valkey/valkey-glide": "Received connection error …. Will attempt to reconnect",
    },
  },
  {
    name: "speaks HTTP",
    set: { last: "HTTP/1.1 400 Bad Request\r\n\r\n" },
    reasons: {
      redis: "no answer within 2000 ms",
      ioredis: "Unknown RESP type 72 …. Please report this.",
      "@valkey/valkey-glide": "Received connection error …. Will attempt to reconnect",
    },
  },
];

describe.each(redisPackages)("with %s", (name) => {
  test("sends one command that sets the key where it is not there", async () => {
    const { store, commands } = await storeOn(name, { set: "+OK" });
    vi.useFakeTimers({ now: 1_800_000_000_000, toFake: ["Date"] });
    await store.add("a", new Date(1_800_000_065_001));
    expect(commands).toEqual([["SET", "connectrpc-auth:replay:a", "1", "PX", "65001", "NX"]]);
  });

  test("keeps the key for a millisecond at least", async () => {
    const { store, commands } = await storeOn(name, { set: "+OK" }, { keyPrefix: "shop:" });
    vi.useFakeTimers({ now: 1_800_000_000_000, toFake: ["Date"] });
    await store.add("a", new Date(1_800_000_000_001));
    await store.add("b", new Date(1_800_000_000_000));
    await store.add("c", new Date(0));
    expect(commands).toEqual(
      ["a", "b", "c"].map((key) => ["SET", `shop:${key}`, "1", "PX", "1", "NX"]),
    );
  });

  test("throws for a date that is none, and sends nothing", async () => {
    const { store, commands } = await storeOn(name, { set: "+OK" });
    await expect(store.add("a", new Date(Number.NaN))).rejects.toThrow(
      new TypeError("expiresAt must be a valid date"),
    );
    expect(commands).toEqual([]);
  });

  test.each([
    { name: "OK", set: "+OK", want: true },
    { name: "OK in a bulk string", set: "$2\r\nOK", want: true },
    { name: "nil", set: "$-1", want: false },
    { name: "null of RESP3", set: "_", want: false },
  ])("takes the answer $name", async ({ set, want }) => {
    const { store } = await storeOn(name, { set });
    expect(await store.add("a", inAMinute())).toBe(want);
  });

  test.each([
    { name: "another text", set: "+QUEUED" },
    { name: "an empty text", set: "$0\r\n" },
    { name: "a number", set: ":1" },
    { name: "true", set: "#t" },
    { name: "a list", set: "*0" },
  ])("throws for $name", async ({ set }) => {
    const { store } = await storeOn(name, { set });
    await expect(store.add("a", inAMinute())).rejects.toThrow(
      new Error("the answer to SET is neither OK nor nil"),
    );
  });

  test.each([
    {
      name: "a replica",
      set: "-READONLY You can't write against a read only replica.",
      reason: "You can't write against a read only replica.",
    },
    {
      name: "a full server",
      set: "-OOM command not allowed when used memory > 'maxmemory'.",
      reason: "command not allowed when used memory > ….",
    },
    {
      name: "a server that quotes the command",
      set: "-ERR unknown command 'SET', with args beginning with: 'connectrpc-auth:replay:a' '1' ",
      reason: "unknown command …",
    },
  ])("says in the cause what is wrong with $name, and quotes nothing", async ({ set, reason }) => {
    const { store } = await storeOn(name, { set });
    const error = await failure(store.add("a", inAMinute()));
    // valkey-glide puts words before it
    expect(error.message.slice(-reason.length)).toBe(reason);
    expect(inspect(error, { depth: 9, showHidden: true })).not.toContain("replay:a");
  });

  test.each(faults)("refuses calls as Unavailable where the server $name", async (fault) => {
    const { store } = await storeOn(name, { set: fault.set });
    expect(await outage(authenticate(store))).toBe(`replay store: ${fault.reasons[name]}`);
  });
});

describe("a server that was never there", () => {
  test.each<{
    name: RedisPackage;
    connect: (port: number) => Promise<ReplayStore>;
    reason: string;
  }>([
    {
      name: "redis",
      async connect(port) {
        const client = createClient({ socket: { host: "127.0.0.1", port } });
        client.on("error", () => {});
        onTestFinished(() => client.destroy());
        client.connect().catch(() => {}); // waits for the server
        return createRedisReplayStore(client);
      },
      reason: "replay store: no answer within 2000 ms",
    },
    {
      name: "ioredis",
      async connect(port) {
        const client = new Redis({ port });
        client.on("error", () => {});
        onTestFinished(() => client.disconnect());
        return createRedisReplayStore(client);
      },
      reason: "replay store: no answer within 2000 ms",
    },
    {
      name: "@valkey/valkey-glide",
      async connect(port) {
        const client = await GlideClient.createClient({
          addresses: [{ host: "127.0.0.1", port }],
          lazyConnect: true,
          advancedConfiguration: { connectionTimeout: 500 },
        });
        onTestFinished(() => client.close());
        return createRedisReplayStore(client);
      },
      reason:
        "replay store: Standalone connect failed - IoError: Received error for address …: timed out",
    },
  ])("holds no call of a client of $name with its own settings", async ({ connect, reason }) => {
    const store = await connect(await freePort());
    expect(await outage(authenticate(store))).toBe(reason);
  });
});

describe("a password", () => {
  const greeting = `-ERR unknown command 'AUTH', with args beginning with: '${password}' `;

  test.each<{
    name: RedisPackage;
    connect: (port: number) => Promise<ReplayStore>;
    reason: string;
  }>([
    {
      name: "ioredis",
      async connect(port) {
        const client = new Redis({ port, password });
        client.on("error", () => {});
        onTestFinished(() => client.disconnect());
        return createRedisReplayStore(client);
      },
      reason: "ERR unknown command …",
    },
    {
      name: "@valkey/valkey-glide",
      async connect(port) {
        const client = await GlideClusterClient.createClient({
          addresses: [{ host: "127.0.0.1", port }],
          credentials: { password },
          lazyConnect: true,
        });
        onTestFinished(() => client.close());
        return createRedisReplayStore(client);
      },
      reason:
        "Failed to create initial connections - IoError: Failed to refresh both connections - IoError: Node: …",
    },
  ])("that a server quotes to $name is not in the error", async ({ connect, reason }) => {
    const server = await startRespServer({ greeting });
    onTestFinished(server.close);
    const store = await connect(server.port);
    const error = await failure(store.add("a", inAMinute()));
    expect(error.message).toBe(reason);
    expect(inspect(error, { depth: 9, showHidden: true })).not.toContain(password);
  });

  /** A client that fails as clients do that have been told a wrong address. */
  const failing = (error: unknown) => ({ customCommand: () => Promise.reject(error) });

  test.each([
    {
      name: "in an address",
      error: new Error("getaddrinfo ENOTFOUND redis://app:p@ss@cache.test:6379"),
      reason: "getaddrinfo ENOTFOUND …@cache.test:6379",
    },
    {
      name: "with a quotation mark",
      error: new Error("ERR unknown command `HELLO`, with args beginning with: `3`, `p`ss`, "),
      reason: "ERR unknown command …,",
    },
    {
      name: "in a quotation without an end",
      error: new Error('ERR unknown subcommand: "open sesame'),
      reason: "ERR unknown subcommand: …",
    },
    {
      name: "in another property",
      error: Object.assign(new Error("Command timed out"), { command: { args: [password] } }),
      reason: "Command timed out",
    },
    { name: "in what is no error", error: password, reason: "the client failed" },
    {
      name: "nowhere: an error with a code alone",
      error: Object.assign(new AggregateError([]), { code: "ECONNREFUSED" }),
      reason: "ECONNREFUSED",
    },
    { name: "nowhere: an error with a name alone", error: new RangeError(), reason: "RangeError" },
    {
      name: "nowhere: a long message",
      error: new Error("x".repeat(300)),
      reason: "x".repeat(200),
    },
  ])("that stands $name is not in the error", async ({ error, reason }) => {
    const thrown = await failure(createRedisReplayStore(failing(error)).add("a", inAMinute()));
    expect(thrown).toStrictEqual(new Error(reason));
    expect(inspect(thrown, { depth: 9, showHidden: true })).not.toMatch(/sesame|p.ss/);
  });
});
