import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createProject, type Project, strictTsconfig } from "../support/project.js";
import { readCodeBlocks } from "../support/readme.js";

const files = readCodeBlocks("README.md").filter(({ file }) => file !== undefined);

/** The steps of the README, in a project with the packages as they are published. */
describe("the README's project", () => {
  let project: Project;
  beforeAll(() => {
    project = createProject();
    for (const { file, text } of files) {
      project.write(file ?? "", text);
    }
    project.write("tsconfig.json", strictTsconfig);
  }, 120_000);
  afterAll(() => project?.remove());

  test("has the two configurations, a proto file, a server and a client", () => {
    expect(files.map(({ file }) => file).sort()).toEqual([
      "buf.gen.yaml",
      "buf.yaml",
      "proto/acme/user/v1/user.proto",
      "src/client.ts",
      "src/server.ts",
    ]);
  });

  test("installs our packages, jose and oauth4webapi, and neither a plugin framework nor a compiler", () => {
    expect(project.installed).toEqual([
      "connectrpc-auth",
      "jose",
      "oauth4webapi",
      "protoc-gen-connect-auth",
    ]);
  });

  test("generates, compiles, serves, and calls as the proto file says", async () => {
    expect(project.run("buf", "generate")).toEqual({ status: 0, output: "" });
    expect(project.run("tsc")).toEqual({ status: 0, output: "" });

    const issuer = await startIssuer();
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    const server = start(project, "server", { PORT: `${port}`, ISSUER: issuer.url });
    try {
      await untilListening(port);
      const call = async (token: string) =>
        await exitOf(start(project, "client", { API_URL: url, ACCESS_TOKEN: token }));

      const admin = await call(await issuer.sign({ roles: ["admin"], scope: "users:write" }));
      expect(admin).toEqual({ code: 0, stderr: "" });
      const visitor = await call(await issuer.sign({ roles: [], scope: "users:read" }));
      expect(visitor).toMatchObject({ code: 1 });
      expect(visitor.stderr).toContain("[permission_denied] access denied");
      const forger = await call("a.b.c");
      expect(forger).toMatchObject({ code: 1 });
      expect(forger.stderr).toContain("[unauthenticated] invalid token");
    } finally {
      server.kill();
      issuer.server.close();
    }
  }, 120_000);
});

interface Issuer {
  readonly url: string;
  readonly server: Server;
  sign(claims: Record<string, unknown>): Promise<string>;
}

/** Signs tokens, and serves the key to check them with. */
async function startIssuer(): Promise<Issuer> {
  const { publicKey, privateKey } = await generateKeyPair("ES256");
  const keys = [{ ...(await exportJWK(publicKey)), kid: "1", alg: "ES256" }];
  const server = createServer((_, response) => {
    response.setHeader("content-type", "application/jwk-set+json");
    response.end(JSON.stringify({ keys }));
  });
  const url = `http://127.0.0.1:${await listen(server)}`;
  return {
    url,
    server,
    sign: (claims) =>
      new SignJWT(claims)
        .setProtectedHeader({ alg: "ES256", kid: "1" })
        .setIssuer(url)
        .setAudience("https://api.acme.dev")
        .setSubject("alice")
        .setIssuedAt()
        .setExpirationTime("5m")
        .sign(privateKey),
  };
}

async function listen(server: Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") {
    throw new Error("the server has no port");
  }
  return address.port;
}

async function freePort(): Promise<number> {
  const server = createServer();
  const port = await listen(server);
  server.close();
  await once(server, "close");
  return port;
}

async function untilListening(port: number): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const socket = connect(port, "127.0.0.1");
    try {
      await once(socket, "connect");
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 100));
    } finally {
      socket.destroy();
    }
  }
  throw new Error(`nothing listens on port ${port}`);
}

function start(project: Project, program: string, env: Record<string, string>): ChildProcess {
  return spawn(process.execPath, [join(project.directory, "out", `${program}.js`)], {
    env: { ...process.env, ...env },
    stdio: ["ignore", "inherit", "pipe"],
  });
}

async function exitOf(child: ChildProcess): Promise<{ code: unknown; stderr: string }> {
  let stderr = "";
  child.stderr?.on("data", (chunk) => {
    stderr += chunk;
  });
  const [code] = await once(child, "close");
  return { code, stderr };
}
