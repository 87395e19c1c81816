import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { createClient, createRouterTransport } from "@connectrpc/connect";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as own from "../../src/server/index.js";
import { MatrixServicePolicies } from "../gen/acme/matrix/v1/matrix_auth.js";
import { MatrixService } from "../gen/acme/matrix/v1/matrix_pb.js";
import { repositoryRoot } from "../support/readme.js";
import { createTestToken, testSecret } from "../support/test-token.js";

/** Where the packages are found that both copies share. */
let directory: string;
let copy: typeof own;

beforeAll(async () => {
  directory = mkdtempSync(join(repositoryRoot, "node_modules/.second-copy-"));
  const outfile = join(directory, "server.js");
  await build({
    entryPoints: [join(repositoryRoot, "src/server/index.ts")],
    outfile,
    bundle: true,
    packages: "external",
    format: "esm",
    platform: "node",
    logLevel: "silent",
  });
  copy = await import(/* @vite-ignore */ pathToFileURL(outfile).href);
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

describe("with two copies of the package in one process", () => {
  async function* whoStreams() {
    yield { credentials: { own: own.requireAuthContext().subject } };
    yield { credentials: { copy: copy.requireAuthContext().subject } };
  }

  test("one authenticates, and code that uses the other knows the caller", async () => {
    expect(copy.getAuthContext).not.toBe(own.getAuthContext);
    const auth = copy.createServerAuth({
      policies: [MatrixServicePolicies],
      authenticate: copy.createJwtAuthInterceptor({ secret: testSecret }),
    });
    const transport = createRouterTransport(
      auth.guard((router) =>
        router.service(MatrixService, {
          authenticatedUnary: (_, { values }) => ({
            credentials: {
              own: own.requireAuthContext().subject,
              copy: copy.requireAuthContext().subject,
              values: values.get(own.authContextKey)?.subject ?? "nobody",
            },
          }),
          authenticatedServer: whoStreams,
        }),
      ),
      { router: { interceptors: auth.interceptors } },
    );
    const client = createClient(MatrixService, transport);
    const headers = { authorization: `Bearer ${await createTestToken({ sub: "alice" })}` };
    const { credentials } = await client.authenticatedUnary({}, { headers });
    expect(credentials).toEqual({ own: "alice", copy: "alice", values: "alice" });
    const streamed: Record<string, string>[] = [];
    for await (const message of client.authenticatedServer({}, { headers })) {
      streamed.push(message.credentials);
    }
    expect(streamed).toEqual([{ own: "alice" }, { copy: "alice" }]);
  });

  test("one authenticates, and the other authorizes", async () => {
    const transport = createRouterTransport(
      (router) => {
        router.service(MatrixService, { requiresUnary: () => ({}) });
      },
      {
        router: {
          interceptors: [
            copy.createJwtAuthInterceptor({ secret: testSecret }),
            own.createProtoAuthzInterceptor(),
          ],
        },
      },
    );
    const client = createClient(MatrixService, transport);
    const call = async (claims: object) =>
      client.requiresUnary(
        {},
        { headers: { authorization: `Bearer ${await createTestToken({ ...claims })}` } },
      );
    await expect(call({ roles: ["admin"], scope: "matrix:use" })).resolves.toBeDefined();
    await expect(call({ roles: ["guest"] })).rejects.toMatchObject({ rawMessage: "access denied" });
  });
});
