import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "./free-port.js";

/** A real nginx of this machine alone. */
export interface Nginx {
  /** Where it listens, in the order of the ports that were asked for. */
  readonly ports: readonly number[];
  /** Ends the process and removes its files. */
  close(): Promise<void>;
}

/** Starts nginx with `config` inside of `http { }`, on free ports. Throws where it is not installed. */
export async function startNginx(
  portCount: number,
  config: (ports: readonly number[]) => string,
): Promise<Nginx> {
  const binary = findNginx();
  const found = new Set<number>();
  while (found.size < portCount) {
    found.add(await freePort());
  }
  const ports = [...found];
  const directory = mkdtempSync(join(tmpdir(), "connectrpc-auth-nginx-"));
  const log = join(directory, "error.log");
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  writeFileSync(
    join(directory, "nginx.conf"),
    [
      "daemon off;",
      "master_process off;",
      `pid ${directory}/nginx.pid;`,
      "events { }",
      "http {",
      "access_log off;",
      ...temporary.map((what) => `${what}_temp_path ${directory}/${what};`),
      config(ports),
      "}",
    ].join("\n"),
  );
  const nginx = spawn(binary, ["-p", directory, "-c", "nginx.conf", "-e", log], {
    stdio: "ignore",
  });
  // also where the tests end early
  const kill = () => void nginx.kill("SIGKILL");
  process.on("exit", kill);
  const close = async () => {
    process.off("exit", kill);
    if (nginx.exitCode === null && nginx.signalCode === null) {
      const exited = once(nginx, "exit");
      kill();
      await exited;
    }
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    for (const port of ports) {
      await connectable(port, nginx, log);
    }
  } catch (error) {
    await close();
    throw error;
  }
  return { ports, close };
}

function findNginx(): string {
  // Debian has it where only root looks
  const found = ["nginx", "/usr/sbin/nginx"].find((path) => spawnSync(path, ["-v"]).status === 0);
  if (found === undefined) {
    throw new Error("nginx is missing: install the package nginx (Debian, Ubuntu, Homebrew)");
  }
  return found;
}

async function connectable(port: number, nginx: ChildProcess, log: string): Promise<void> {
  for (;;) {
    if (nginx.exitCode !== null || nginx.signalCode !== null) {
      throw new Error(`nginx does not start:\n${readFileSync(log, "utf8")}`);
    }
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
