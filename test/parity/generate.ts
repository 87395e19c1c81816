import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { DescService } from "@bufbuild/protobuf";
import type { ServiceClientArgs, ServicePolicies } from "../../src/index.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
const programs = join(root, "node_modules", ".bin");

/** What was generated for one service. */
export interface GeneratedService {
  readonly service: DescService;
  readonly policies: ServicePolicies;
  readonly createClient: (...args: ServiceClientArgs) => object;
}

/** What was generated for a proto file. */
export interface GeneratedFile {
  readonly services: readonly GeneratedService[];
  readonly publicMethods: unknown;
  readonly internalMethods: unknown;
}

/**
 * Runs buf with protoc-gen-es and our plugin over proto files, and loads the
 * JavaScript that they print for `file`, with the named services.
 */
export async function generate(
  protos: Readonly<Record<string, string>>,
  file: string,
  serviceNames: readonly string[],
): Promise<GeneratedFile> {
  mkdirSync(join(root, ".tmp"), { recursive: true });
  // inside our folder, so that what is generated finds the libraries
  const folder = mkdtempSync(join(root, ".tmp", "parity-"));
  try {
    for (const [name, content] of Object.entries(protos)) {
      mkdirSync(join(folder, "proto", dirname(name)), { recursive: true });
      writeFileSync(join(folder, "proto", name), content);
    }
    runBuf(folder);
    const generated = join(folder, "gen", file.replace(/\.proto$/, ""));
    const messages: Record<string, unknown> = await import(`${generated}_pb.js`);
    const auth: Record<string, unknown> = await import(`${generated}_auth.js`);
    return {
      services: serviceNames.map((name) => ({
        service: expectExport(messages, name, isService),
        policies: expectExport(auth, `${name}Policies`, isPolicies),
        createClient: expectExport(auth, `create${name}Client`, isFactory),
      })),
      publicMethods: expectExport(auth, "getPublicMethods", isList)(),
      internalMethods: expectExport(auth, "getInternalMethods", isList)(),
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function runBuf(folder: string): void {
  const plugin = (local: string, more: object = {}) => ({
    local,
    out: "gen",
    opt: ["target=js", "import_extension=js"],
    ...more,
  });
  const template = {
    version: "v2",
    plugins: [
      plugin("protoc-gen-es", { include_imports: true }),
      plugin("protoc-gen-connect-auth"),
    ],
  };
  // JSON is YAML
  writeFileSync(
    join(folder, "buf.yaml"),
    JSON.stringify({ version: "v2", modules: [{ path: "proto" }] }),
  );
  writeFileSync(join(folder, "buf.gen.yaml"), JSON.stringify(template));
  const { status, stderr, error } = spawnSync(join(programs, "buf"), ["generate"], {
    cwd: folder,
    encoding: "utf8",
    env: { ...process.env, PATH: `${programs}${delimiter}${process.env.PATH}` },
  });
  if (status !== 0) {
    throw new Error(`buf generate failed:\n${stderr}`, { cause: error });
  }
}

function expectExport<T>(
  module: Record<string, unknown>,
  name: string,
  is: (value: unknown) => value is T,
): T {
  const value = module[name];
  if (!is(value)) {
    throw new Error(`${name} was not generated`);
  }
  return value;
}

function isService(value: unknown): value is DescService {
  return typeof value === "object" && value !== null && "kind" in value && value.kind === "service";
}

function isPolicies(value: unknown): value is ServicePolicies {
  return typeof value === "object" && value !== null && "service" in value && "methods" in value;
}

function isFactory(value: unknown): value is GeneratedService["createClient"] {
  return typeof value === "function";
}

function isList(value: unknown): value is () => unknown {
  return typeof value === "function";
}
