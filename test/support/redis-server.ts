import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "./free-port.js";

/** What a server of Redis is besides a server of this machine without persistence. */
export interface RedisServerOptions {
  /** Lines of `redis.conf`. Default: none. */
  readonly config?: readonly string[];
  /** Watches other servers instead of keeping data. Default: false. */
  readonly sentinel?: boolean;
}

/** A real Redis on a port of its own. It is empty after each start. */
export interface RedisServer {
  readonly port: number;
  readonly password: string;
  /** Ends the process. */
  stop(): Promise<void>;
  /** Starts it again, on the same port. */
  start(): Promise<void>;
  /** Halts the process, which keeps its connections and does not answer. */
  freeze(): void;
  thaw(): void;
  /** Ends the process and removes its files. */
  close(): Promise<void>;
}

/** Starts `redis-server`. Throws where it is not installed. */
export async function startRedisServer(options: RedisServerOptions = {}): Promise<RedisServer> {
  const { config = [], sentinel = false } = options;
  const port = await freePort();
  const password = "open-sesame";
  const directory = mkdtempSync(join(tmpdir(), "connectrpc-auth-redis-"));
  const file = join(directory, "redis.conf");
  writeFileSync(
    file,
    [
      `port ${port}`,
      "bind 127.0.0.1",
      `dir ${directory}`,
      ...(sentinel ? [] : ['save ""', `requirepass ${password}`]),
      ...config,
    ].join("\n"),
  );
  let server: ChildProcess | undefined;
  // also where the tests end early
  const kill = () => void server?.kill("SIGKILL");
  process.on("exit", kill);

  const start = async () => {
    server = await spawnServer([file, ...(sentinel ? ["--sentinel"] : [])], port);
  };
  const stop = async () => {
    if (server !== undefined && server.exitCode === null && server.signalCode === null) {
      const exited = once(server, "exit");
      kill();
      await exited;
    }
  };
  const close = async () => {
    process.off("exit", kill);
    await stop();
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    await start();
  } catch (error) {
    await close();
    throw error;
  }

  return {
    port,
    password,
    start,
    stop,
    freeze: () => void server?.kill("SIGSTOP"),
    thaw: () => void server?.kill("SIGCONT"),
    close,
  };
}

/** Returns when the server takes connections. */
async function spawnServer(args: readonly string[], port: number): Promise<ChildProcess> {
  const server = spawn("redis-server", args, { stdio: ["ignore", "pipe", "inherit"] });
  let output = "";
  server.stdout.setEncoding("utf8").on("data", (text) => {
    output += text;
  });
  const failed = new Promise<never>((_resolve, reject) => {
    server.once("error", (cause) =>
      reject(
        new Error(
          "redis-server is missing: install the package redis-server (Debian, Ubuntu), or redis (Homebrew)",
          { cause },
        ),
      ),
    );
    server.once("exit", () => reject(new Error(`redis-server does not start:\n${output}`)));
  });
  failed.catch(() => {}); // it exits in the end
  await Promise.race([failed, connectable(port, server)]);
  return server;
}

async function connectable(port: number, server: ChildProcess): Promise<void> {
  while (server.exitCode === null) {
    const socket = net.connect(port, "127.0.0.1");
    const isOpen = await new Promise<boolean>((resolve) => {
      socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
    });
    socket.destroy();
    if (isOpen) {
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
