import { fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  type CodeGeneratorRequest,
  CodeGeneratorRequestSchema,
  CodeGeneratorResponseSchema,
} from "@bufbuild/protobuf/wkt";
import { runNodeJs } from "@bufbuild/protoplugin";
import { oneLine, ProblemsError } from "./diagnostics.js";
import { createPlugin } from "./plugin.js";

/**
 * The program that buf and protoc start: a `CodeGeneratorRequest` on standard
 * input, a `CodeGeneratorResponse` on standard output. What is wrong goes to
 * standard error, a line each, and the exit code is 1.
 */
export async function main(): Promise<void> {
  let warnings = "";
  const plugin = createPlugin((text) => {
    warnings += text;
  });
  if (process.argv.length > 2) {
    return runNodeJs(plugin); // --version and the like
  }
  ignoreLocale();
  let response: Uint8Array;
  try {
    response = toBinary(CodeGeneratorResponseSchema, plugin.run(parseRequest(await readInput())));
  } catch (error) {
    process.stderr.write(
      error instanceof ProblemsError
        ? error.message
        : `${plugin.name}: ${oneLine(messageOf(error))}\n`,
    );
    process.exitCode = 1;
    return;
  }
  process.stdout.on("error", () => process.exit(1)); // whoever reads has gone
  await write(process.stderr, warnings);
  const isWritten = await write(process.stdout, response);
  // left alone, Node would first tidy up the gigabytes of a large API
  process.exit(isWritten ? 0 : 1);
}

/** protoplugin sorts imports with `localeCompare()`, which follows the language of the machine. */
function ignoreLocale(): void {
  const { compare } = new Intl.Collator("en");
  String.prototype.localeCompare = function (this: string, that: string) {
    return compare(this, that);
  };
}

/** Whether all of it is written, which a pipe may take its time for. */
function write(stream: NodeJS.WriteStream, data: string | Uint8Array): Promise<boolean> {
  return new Promise((resolve) => {
    stream.write(data, (error) => resolve(!error));
  });
}

async function readInput(): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of process.stdin) {
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function parseRequest(bytes: Uint8Array): CodeGeneratorRequest {
  try {
    return fromBinary(CodeGeneratorRequestSchema, bytes);
  } catch (error) {
    throw new Error(`no CodeGeneratorRequest on standard input: ${messageOf(error)}`);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
