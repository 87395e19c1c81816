import { execFileSync, type SpawnSyncReturns, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { create, fromBinary } from "@bufbuild/protobuf";
import {
  type CodeGeneratorRequest,
  CodeGeneratorRequestSchema,
  type FileDescriptorProto,
  FileDescriptorSetSchema,
} from "@bufbuild/protobuf/wkt";
import { onTestFinished } from "vitest";
import { createPlugin } from "../src/plugin.js";

/** The root of the repository. */
export const root: string = fileURLToPath(new URL("../..", import.meta.url));

/** Where programs of npm packages are, `buf` and the plugins among them. */
export const binaries: string = join(root, "node_modules", ".bin");

/** The program as it is installed. */
export const pluginBinary: string = join(root, "plugin", "bin", "protoc-gen-connect-auth");

/** Proto sources by their paths. */
export type Sources = Readonly<Record<string, string>>;

const optionsPath = "connectum/auth/v1/options.proto";
const options = readFileSync(join(root, "proto", optionsPath), "utf8");

/**
 * A folder for one test. It is inside of the repository, so that what is
 * generated there finds the packages it imports.
 */
export function testFolder(files: Sources = {}): string {
  mkdirSync(join(root, ".tmp"), { recursive: true });
  const folder = mkdtempSync(join(root, ".tmp", "plugin-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  writeFiles(folder, files);
  return folder;
}

/** Writes files into a folder. */
export function writeFiles(folder: string, files: Sources): void {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content);
  }
}

/** All files in a folder, by their paths with `/`, in order. */
export function readFiles(folder: string): Record<string, string> {
  const names = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  return Object.fromEntries(
    names.map((name) => [relative(folder, name).replaceAll(sep, "/"), readFileSync(name, "utf8")]),
  );
}

/** Compiles proto sources with buf. They can import the options, or another schema in their place. */
export function compile(sources: Sources): FileDescriptorProto[] {
  const importsOptions = Object.values(sources).some((source) => source.includes(optionsPath));
  const folder = testFolder({
    "buf.yaml": "version: v2\n",
    ...(importsOptions && { [optionsPath]: options }),
    ...sources,
  });
  const image = execFileSync(join(binaries, "buf"), ["build", "-o", "-"], {
    cwd: folder,
    maxBuffer: 2 ** 30,
  });
  return fromBinary(FileDescriptorSetSchema, image).file;
}

/** What buf and protoc send to the plugin for proto sources. */
export function request(sources: Sources, parameter = "target=ts"): CodeGeneratorRequest {
  return create(CodeGeneratorRequestSchema, {
    protoFile: compile(sources),
    fileToGenerate: Object.keys(sources),
    parameter,
  });
}

/** What the plugin does with a request: the generated files by their paths, and the lines of its warnings. */
export function runWithWarnings(req: CodeGeneratorRequest): {
  files: Record<string, string>;
  warnings: string[];
} {
  let text = "";
  const plugin = createPlugin((more) => {
    text += more;
  });
  const { file } = plugin.run(req);
  return {
    files: Object.fromEntries(file.map(({ name, content }) => [name, content])),
    warnings: text.split("\n").filter(Boolean),
  };
}

/** Runs the plugin on a request: the generated files by their paths. Throws what is wrong. */
export function runPlugin(req: CodeGeneratorRequest): Record<string, string> {
  return runWithWarnings(req).files;
}

/** Proto sources in, generated files out. */
export function generate(sources: Sources, parameter?: string): Record<string, string> {
  return runPlugin(request(sources, parameter));
}

/** Proto sources in, the lines of the problems out. */
export function problems(sources: Sources): string[] {
  return problemsOf(request(sources));
}

/** A request in, the lines of the problems out. */
export function problemsOf(req: CodeGeneratorRequest): string[] {
  try {
    runPlugin(req);
  } catch (error) {
    if (error instanceof Error) {
      return error.message.trimEnd().split("\n");
    }
    throw error;
  }
  return [];
}

/**
 * Runs `buf generate` in a new folder, with protoc-gen-es and the built plugin,
 * both with the same options. The output is in `gen`.
 */
export function bufGenerate(
  sources: Sources,
  parameters: readonly string[] = ["target=ts", "import_extension=js"],
  authParameters: readonly string[] = [],
): { folder: string; result: SpawnSyncReturns<string> } {
  const plugin = (name: string, opt: readonly string[]) => ({
    local: name === "protoc-gen-connect-auth" ? pluginBinary : join(binaries, name),
    out: "gen",
    opt,
  });
  const folder = testFolder({
    "buf.yaml": JSON.stringify({ version: "v2", modules: [{ path: "proto" }] }),
    "buf.gen.yaml": JSON.stringify({
      version: "v2",
      inputs: [{ directory: "proto" }],
      plugins: [
        plugin("protoc-gen-es", parameters),
        plugin("protoc-gen-connect-auth", [...parameters, ...authParameters]),
      ],
    }),
    [`proto/${optionsPath}`]: options,
    ...Object.fromEntries(Object.entries(sources).map(([path, text]) => [`proto/${path}`, text])),
  });
  const result = spawnSync(join(binaries, "buf"), ["generate"], { cwd: folder, encoding: "utf8" });
  return { folder, result };
}

/**
 * Type-checks the TypeScript files in a folder as a user would. The compiler's
 * output, empty if all is well.
 */
export function typeCheck(
  folder: string,
  compiler: "newest" | "5.4" = "newest",
  compilerOptions: Readonly<Record<string, unknown>> = {},
): string {
  const config = join(folder, `tsconfig.${compiler}.json`);
  writeFileSync(
    config,
    JSON.stringify({
      compilerOptions: {
        target: "es2022",
        lib: ["es2023", "dom", "dom.iterable", "dom.asynciterable"],
        module: "nodenext",
        moduleResolution: "nodenext",
        types: [],
        strict: true,
        exactOptionalPropertyTypes: true,
        noUncheckedIndexedAccess: true,
        verbatimModuleSyntax: true,
        ...(compiler === "newest" && { declaration: true, isolatedDeclarations: true }),
        noUnusedLocals: true,
        noEmit: true,
        rootDir: root,
        ...compilerOptions,
      },
      include: ["**/*.ts"],
    }),
  );
  const tsc = join(
    root,
    "node_modules",
    compiler === "newest" ? "typescript" : "typescript-5.4",
    "bin",
    "tsc",
  );
  const { stdout, stderr } = spawnSync(process.execPath, [tsc, "-p", config], {
    cwd: root,
    encoding: "utf8",
  });
  // declarations of Connect and Protobuf-ES are written for newer compilers than 5.4
  const theirs = /^\S*node_modules\/@(?:bufbuild|connectrpc)\/.*\n(?: .*\n)*/gm;
  return (compiler === "5.4" ? stdout.replace(theirs, "") : stdout) + stderr;
}
