import { spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  CodeGeneratorRequestSchema,
  type FileDescriptorSet,
  FileDescriptorSetSchema,
} from "@bufbuild/protobuf/wkt";
import { build } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));
const require = createRequire(import.meta.url);

/** A program that reads a request to generate code on standard input. */
export type PluginProgram = string;

/** Our plugin, as it is installed. */
export const connectAuthPlugin: PluginProgram = join(root, "plugin/bin/protoc-gen-connect-auth");

/** The plugin whose output ours stands beside. */
export const esPlugin: PluginProgram = join(
  require.resolve("@bufbuild/protoc-gen-es/package.json"),
  "../bin/protoc-gen-es",
);

/** A directory for what a benchmark needs for a while. Deleted when the process ends. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "connectrpc-auth-bench-"));
  process.once("exit", () => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** A plugin that prints nothing: what any plugin of the same framework takes. */
export async function buildEmptyPlugin(directory: string): Promise<PluginProgram> {
  const outfile = join(directory, "protoc-gen-nothing.mjs");
  const nothing = "() => {}";
  await build({
    stdin: {
      contents: `
import { createEcmaScriptPlugin, runNodeJs } from "@bufbuild/protoplugin";
runNodeJs(createEcmaScriptPlugin({
  name: "protoc-gen-nothing", version: "v0",
  generateTs: ${nothing}, generateJs: ${nothing}, generateDts: ${nothing},
}));`,
      // the framework in the version that our plugin contains
      resolveDir: join(root, "plugin"),
    },
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    minifySyntax: true,
    minifyWhitespace: true,
    // as in ours: TypeScript is only there to make what a plugin does not print
    plugins: [withoutTypeScript],
  });
  return outfile;
}

const withoutTypeScript = {
  name: "without-typescript",
  setup(build: import("esbuild").PluginBuild) {
    build.onResolve({ filter: /^(typescript|@typescript\/vfs)$/ }, ({ path }) => ({
      path,
      namespace: "empty",
    }));
    build.onLoad({ filter: /.*/, namespace: "empty" }, () => ({
      contents: "module.exports = {};",
    }));
  },
};

/** Compiles all proto files of a folder. */
export function buildImage(protos: string): FileDescriptorSet {
  const image = run("buf", ["build", protos, "-o", "-#format=binpb"]);
  return fromBinary(FileDescriptorSetSchema, image);
}

/**
 * Writes the request for all files of a folder, as buf sends it, but with each
 * file once: in a second copy are the options that other plugins look for.
 */
export function writeRequest(directory: string, protos: string): string {
  const { file } = buildImage(protos);
  const request = toBinary(CodeGeneratorRequestSchema, {
    $typeName: CodeGeneratorRequestSchema.typeName,
    fileToGenerate: file
      .map(({ name }) => name)
      .filter((name) => !name.startsWith("google/protobuf/")),
    parameter: "target=ts,import_extension=js",
    protoFile: file,
    sourceFileDescriptors: [],
  });
  const path = join(directory, "request.binpb");
  writeFileSync(path, request);
  return path;
}

/** Runs a plugin on a request. Throws where it fails. */
export function runPlugin(program: PluginProgram, requestFile: string): void {
  start([program], requestFile);
}

/** What a run takes. */
export interface Resources {
  /** Of the processor, on all of its cores: waiting for a neighbour does not count. */
  readonly seconds: number;
  /** The most memory that the process had at a time. */
  readonly peakBytes: number;
}

/** Runs a plugin like `runPlugin()`, and measures the run. */
export function measurePlugin(program: PluginProgram, requestFile: string): Resources {
  const report = start(["--import", reportUsage, program], requestFile);
  const { userCPUTime, systemCPUTime, maxRSS }: NodeJS.ResourceUsage = JSON.parse(report);
  return { seconds: (userCPUTime + systemCPUTime) / 1e6, peakBytes: maxRSS * 1024 };
}

/**
 * Makes a process write what it used to file descriptor 3. Its peak is that of
 * Linux where it can be had: `maxRSS` begins with what the parent had.
 */
const reportUsage = `data:text/javascript,${encodeURIComponent(`
  import { readFileSync, writeSync } from "node:fs";
  const peak = () => Number(/VmHWM:\\s*(\\d+)/.exec(readFileSync("/proc/self/status", "utf8"))[1]);
  process.on("exit", () => {
    const usage = process.resourceUsage();
    const maxRSS = process.platform === "linux" ? peak() : usage.maxRSS;
    writeSync(3, JSON.stringify({ ...usage, maxRSS }));
  });
`)}`;

/** Gives what Node writes to file descriptor 3. */
function start(args: string[], requestFile: string): string {
  const stdin = openSync(requestFile, "r");
  try {
    const { status, output } = spawnSync(process.execPath, args, {
      stdio: [stdin, "ignore", "pipe", "pipe"],
      maxBuffer: 1 << 30,
    });
    const [, , stderr, report] = output;
    if (status !== 0) {
      throw new Error(`${args.at(-1)} failed: ${stderr?.toString().slice(0, 2000)}`);
    }
    return report?.toString() ?? "";
  } finally {
    closeSync(stdin);
  }
}

function run(command: string, args: string[]): Uint8Array {
  const { status, stdout, stderr, error } = spawnSync(
    join(root, "node_modules/.bin", command),
    args,
    {
      cwd: root,
      maxBuffer: 1 << 30,
    },
  );
  if (status !== 0) {
    throw new Error(`${command} failed: ${error ?? stderr.toString()}`);
  }
  return stdout;
}
