import { Readable } from "node:stream";
import { root } from "./generate.js";

/** What a program did. */
export interface Outcome {
  readonly status: number;
  readonly stdout: Buffer;
  readonly stderr: string;
}

/** How a program is started. */
export interface Start {
  readonly args?: readonly string[];
  readonly input?: string | Uint8Array;
  /** Where it runs. Default: the root of the repository. */
  readonly folder?: string;
  /** Whether whoever reads its standard output has gone. Default: false. */
  readonly readerHasGone?: boolean;
}

/** Ends what runs: nothing of a program runs after its exit. */
class Exit extends Error {}

function ignoreExit(error: unknown): void {
  if (!(error instanceof Exit)) {
    throw error;
  }
}

/**
 * Runs the `main` of a program in this process, where coverage is measured, with
 * the process put back as it was at the end. One at a time.
 */
export async function runMain(
  main: () => Promise<void>,
  { args = [], input = "", folder = root, readerHasGone = false }: Start,
): Promise<Outcome> {
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  let exitStatus: number | undefined;
  const exit = (code: unknown): never => {
    exitStatus ??= Number(code ?? 0);
    throw new Exit();
  };
  const writeTo =
    (chunks: Buffer[]) =>
    (chunk: string | Uint8Array, done?: (error?: Error) => void): boolean => {
      chunks.push(Buffer.from(chunk));
      try {
        done?.(readerHasGone ? new Error("write EPIPE") : undefined);
      } catch (error) {
        ignoreExit(error);
      }
      return true;
    };
  const before = { cwd: process.cwd(), exitCode: process.exitCode };
  const restore = [
    replace(process, "argv", [process.execPath, "program", ...args]),
    replace(process, "stdin", Readable.from(input.length > 0 ? [Buffer.from(input)] : [])),
    replace(process, "exit", exit),
    replace(process.stdout, "write", writeTo(stdout)),
    replace(process.stdout, "on", () => process.stdout),
    replace(process.stderr, "write", writeTo(stderr)),
    replace(String.prototype, "localeCompare", String.prototype.localeCompare),
  ];
  try {
    process.exitCode = undefined;
    process.chdir(folder);
    await main().catch(ignoreExit);
    return {
      status: exitStatus ?? Number(process.exitCode ?? 0),
      stdout: Buffer.concat(stdout),
      stderr: Buffer.concat(stderr).toString(),
    };
  } finally {
    process.chdir(before.cwd);
    process.exitCode = before.exitCode;
    for (const putBack of restore) {
      putBack();
    }
  }
}

/** Replaces a property; what is returned puts it back. */
function replace(target: object, name: string, value: unknown): () => void {
  const own = Object.getOwnPropertyDescriptor(target, name);
  Object.defineProperty(target, name, { value, configurable: true, writable: true });
  return () => {
    Reflect.deleteProperty(target, name);
    if (own !== undefined) {
      Object.defineProperty(target, name, own);
    }
  };
}
