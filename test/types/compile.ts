import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** What a compiler reports. */
export interface Diagnostic {
  /** With slashes. Files of the project relative to it, others with a path to them. */
  readonly file: string;
  readonly line: number;
  /** The first line of what it says. */
  readonly message: string;
  /** The lines after the first. */
  readonly more: readonly string[];
}

/** A project of a user, with the declarations of the package as it would be published. */
export interface UserProject {
  /** Adds or replaces a file. */
  write(path: string, content: string): void;
  /** Runs a compiler, `typescript` or one of another name in node_modules, over all files. */
  compile(compiler: string, compilerOptions: object): Diagnostic[];
  remove(): void;
}

/** Makes a project from the generated code of the tests. */
export function createUserProject(): UserProject {
  mkdirSync(join(root, ".tmp"), { recursive: true });
  // Inside our folder, so that the libraries are found; with a package.json of
  // its own, so that our package is found where users have it.
  const folder = mkdtempSync(join(root, ".tmp", "types-"));
  const installed = join(folder, "node_modules", "connectrpc-auth");
  const write: UserProject["write"] = (path, content) => {
    mkdirSync(join(folder, path, ".."), { recursive: true });
    writeFileSync(join(folder, path), content);
  };
  write("package.json", JSON.stringify({ name: "user", type: "module" }));
  cpSync(join(root, "package.json"), join(installed, "package.json"), { recursive: true });
  cpSync(join(root, "test", "gen"), join(folder, "gen"), { recursive: true });
  const built = tsc(root, "typescript", [
    "-p",
    "tsconfig.build.json",
    "--emitDeclarationOnly",
    "--outDir",
    join(installed, "dist"),
  ]);
  if (built !== "") {
    throw new Error(`the declarations cannot be made:\n${built}`);
  }
  return {
    write,
    compile(compiler, compilerOptions) {
      write(
        "tsconfig.json",
        JSON.stringify({
          compilerOptions: { noEmit: true, ...compilerOptions },
          include: ["types", "gen"],
        }),
      );
      return parse(tsc(folder, compiler, ["-p", ".", "--pretty", "false"]));
    },
    remove: () => rmSync(folder, { recursive: true }),
  };
}

function tsc(cwd: string, compiler: string, args: readonly string[]): string {
  const program = join(root, "node_modules", compiler, "bin", "tsc");
  const { stdout, stderr, error } = spawnSync(process.execPath, [program, ...args], {
    cwd,
    encoding: "utf8",
  });
  if (error !== undefined || stderr !== "") {
    throw new Error(`tsc did not run: ${stderr}`, { cause: error });
  }
  return stdout;
}

function parse(output: string): Diagnostic[] {
  const diagnostics: (Diagnostic & { more: string[] })[] = [];
  for (const text of output.split("\n").filter((line) => line !== "")) {
    const match = /^(.+?)\((\d+),\d+\): error TS\d+: (.*)$/.exec(text);
    if (match !== null) {
      const [, file = "", line, message = ""] = match;
      diagnostics.push({ file: file.replaceAll("\\", "/"), line: Number(line), message, more: [] });
    } else if (text.startsWith(" ") && diagnostics.length > 0) {
      diagnostics.at(-1)?.more.push(text.trim());
    } else {
      throw new Error(`tsc says: ${text}`); // options that it does not know, for example
    }
  }
  return diagnostics;
}
