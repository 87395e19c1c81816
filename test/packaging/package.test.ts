import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { packReport } from "../support/project.js";
import { repositoryRoot } from "../support/readme.js";

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly [field: string]: unknown;
}

function readManifest(folder: string): Manifest {
  return JSON.parse(readFileSync(join(repositoryRoot, folder, "package.json"), "utf8"));
}

const packages = [
  { name: "connectrpc-auth", folder: "." },
  { name: "protoc-gen-connect-auth", folder: "plugin" },
];

describe.each(packages)("$name", ({ name, folder }) => {
  const manifest = readManifest(folder);
  const directory = mkdtempSync(join(tmpdir(), "connectrpc-auth-pack-"));
  let tarball: string;
  let paths: string[];
  beforeAll(() => {
    const report = packReport(folder, "--pack-destination", directory);
    tarball = join(directory, report.filename);
    paths = report.files.map(({ path }) => path);
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  test("says what it is, under which licence, and on which Node it runs", () => {
    expect(manifest).toMatchObject({
      name,
      license: "Apache-2.0",
      type: "module",
      engines: { node: ">=20" },
    });
    expect(manifest.version).toBe(readManifest(".").version);
  });

  test("publint finds nothing", async () => {
    const { messages } = await publint({
      pack: { tarball: new Uint8Array(readFileSync(tarball)).buffer },
      level: "suggestion",
      strict: true,
    });
    expect(messages.map((message) => formatMessage(message, manifest))).toEqual([]);
  });

  test("contains neither tests nor sources", () => {
    expect(paths.filter((path) => /(^|\/)(test|src|bench|example)\//.test(path))).toEqual([]);
    expect(paths.filter((path) => /\.tsx?$/.test(path) && !path.endsWith(".d.ts"))).toEqual([]);
    expect(paths).toEqual(expect.arrayContaining(["LICENSE", "README.md", "package.json"]));
  });

  test("has types that every resolution of ESM finds", () => {
    const attw = join(repositoryRoot, "node_modules/.bin/attw");
    const { status, stdout } = spawnSync(attw, [tarball, "--profile", "esm-only"], {
      encoding: "utf8",
    });
    expect(status, stdout).toBe(0);
  });

  test("contains these folders", () => {
    const folders = new Set(paths.map((path) => path.replace(/\/.*/, "")));
    expect([...folders].sort()).toEqual(
      folder === "."
        ? ["CHANGELOG.md", "LICENSE", "README.md", "dist", "package.json", "proto"]
        : ["LICENSE", "README.md", "bin", "dist", "package.json"],
    );
  });
});

describe("connectrpc-auth", () => {
  const manifest = readManifest(".");

  test("depends on jose and oauth4webapi alone, and takes Connect and Protobuf-ES from the user", () => {
    expect(manifest.dependencies).toEqual({ jose: "^6.2.0", oauth4webapi: "^3.8.8" });
    expect(manifest.peerDependencies).toEqual({
      "@bufbuild/protobuf": "^2.7.0",
      "@connectrpc/connect": "^2.1.0",
    });
    expect(manifest.optionalDependencies).toBeUndefined();
  });

  test("has no side effects", () => {
    expect(manifest.sideEffects).toBe(false);
  });

  test("ships the options as a module for buf", () => {
    const paths = packReport(".", "--dry-run").files.map(({ path }) => path);
    expect(paths.filter((path) => path.endsWith(".proto"))).toEqual([
      "proto/connectum/auth/v1/options.proto",
    ]);
  });

  test.each([
    {
      subpath: "connectrpc-auth",
      names: [
        "AUTH_HEADERS",
        "Auth",
        "AuthError",
        "buildAuthHeader",
        "cachedAuth",
        "callCredentials",
        "createAuthTransport",
        "createClientBearerInterceptor",
        "createClientGatewayInterceptor",
        "createServiceClient",
        "definePolicies",
        "encodeBasicAuth",
        "firstAvailable",
        "getInternalMethods",
        "getPublicMethods",
        "isAuthError",
        "isAuthenticated",
        "isBasicAuth",
        "isJwtAuth",
        "matchesMethodPattern",
        "passwordLogin",
        "resolveMethodAuth",
        "together",
      ],
    },
    {
      subpath: "connectrpc-auth/oauth",
      names: [
        "AuthClientError",
        "clientCredentials",
        "clientSecretBasic",
        "clientSecretPost",
        "createAuthClient",
        "createAuthFetch",
        "isAuthClientError",
        "privateKeyJwt",
        "publicClient",
        "refreshToken",
        "tlsClientAuth",
        "tokenExchange",
      ],
    },
    {
      subpath: "connectrpc-auth/server",
      names: [
        "AUTH_HEADERS",
        "AuthzDeniedError",
        "authContextKey",
        "authCors",
        "createAuthInterceptor",
        "createAuthzInterceptor",
        "createGatewayAuthInterceptor",
        "createInternalAuthInterceptor",
        "createIntrospectionAuthInterceptor",
        "createJwtAuthInterceptor",
        "createMemoryReplayStore",
        "createProtoAuthzInterceptor",
        "createRedisReplayStore",
        "createServerAuth",
        "createSessionAuthInterceptor",
        "getAuthContext",
        "getInternalMethods",
        "getPublicMethods",
        "matchesMethodPattern",
        "meshIdentityTrust",
        "parseAuthHeaders",
        "requireAuthContext",
        "resolveMethodAuth",
        "setAuthHeaders",
        "sharedSecretTrust",
        "signedTokenTrust",
      ],
    },
    {
      subpath: "connectrpc-auth/testing",
      names: [
        "TEST_JWT_SECRET",
        "createMockAuthContext",
        "createTestJwt",
        "describePolicies",
        "inMemory",
        "startTestIssuer",
        "withAuthContext",
      ],
    },
    {
      subpath: "connectrpc-auth/gen/connectum/auth/v1/options_pb",
      names: [
        "AuthRequirementsSchema",
        "MethodAuthSchema",
        "ServiceAuthSchema",
        "file_connectum_auth_v1_options",
        "method_auth",
        "service_auth",
      ],
    },
    {
      subpath: "connectrpc-auth/gen/connectum/auth/v1/options_pb.js",
      names: expect.arrayContaining(["method_auth", "service_auth"]),
    },
  ])("exports from $subpath what its users are promised", ({ subpath, names }) => {
    // In a process of its own: the tests have the sources in place of the package.
    const script = `console.log(JSON.stringify(Object.keys(await import("${subpath}")).sort()))`;
    const { stdout, stderr } = spawnSync(
      process.execPath,
      ["--input-type=module", "--eval", script],
      { cwd: repositoryRoot, encoding: "utf8" },
    );
    expect(stderr).toBe("");
    expect(JSON.parse(stdout)).toEqual(names);
  });
});

describe("protoc-gen-connect-auth", () => {
  const manifest = readManifest("plugin");

  test("depends on nothing", () => {
    expect(manifest.dependencies).toBeUndefined();
    expect(manifest.peerDependencies).toBeUndefined();
    expect(manifest.optionalDependencies).toBeUndefined();
  });

  test("is two programs, of at most 1 MB", () => {
    expect(manifest.bin).toEqual({
      "connect-auth-diff": "bin/connect-auth-diff",
      "protoc-gen-connect-auth": "bin/protoc-gen-connect-auth",
    });
    const { files } = packReport("plugin", "--dry-run");
    const paths = files.map(({ path }) => path);
    expect(paths.filter((path) => path.endsWith(".js"))).toEqual([
      "dist/diff-chunk.js",
      "dist/diff-read-image.js",
      "dist/diff.js",
      "dist/plugin.js",
    ]);
    expect(files.reduce((sum, { size }) => sum + size, 0)).toBeLessThan(1_000_000);
  });
});
