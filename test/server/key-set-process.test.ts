import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { startKeyServer } from "../support/key-server.js";
import { createIssuerKey, keySetOf } from "../support/key-sets.js";
import { signToken } from "../support/signed-tokens.js";

test("a key set does not keep a process alive that has nothing else to do", async () => {
  const server = await startKeyServer();
  try {
    const key = createIssuerKey("1");
    server.answerWith(keySetOf(key));
    const token = signToken({
      header: { alg: "ES256", kid: "1" },
      payload: { sub: "alice", exp: 4_000_000_000 },
      key: key.privateKey,
    });
    const fileOf = (module: string) =>
      JSON.stringify(fileURLToPath(new URL(`../../src/server/${module}.ts`, import.meta.url)));
    // the connection, the time limit of the request, or another timer would keep it until it prints
    const program = `
      import { resolveJwtKeys } from ${fileOf("jwt-keys")};
      import { verifyJwt } from ${fileOf("verify-jwt")};
      const keys = resolveJwtKeys({ jwksUri: "${server.baseUrl}/jwks" });
      const claims = await verifyJwt("${token}", keys, { clockToleranceSeconds: 5 });
      console.log(claims.sub);
      setTimeout(() => console.log("waited"), 2000).unref();
    `;
    const { stdout } = await promisify(execFile)(process.execPath, [
      "--import=tsx",
      "--input-type=module",
      "--eval",
      program,
    ]);
    expect(stdout).toBe("alice\n");
    expect(server.requests).toEqual(["/jwks"]);
  } finally {
    await server.close();
  }
});
