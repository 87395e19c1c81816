import { execFileSync, spawnSync } from "node:child_process";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { repositoryRoot } from "./readme.js";

/** A project of a user, in a directory of its own that has our packages installed. */
export interface Project {
  readonly directory: string;
  /** What npm has installed, before the tools of others were linked. */
  readonly installed: readonly string[];
  write(file: string, text: string): void;
  /** Runs a program of `node_modules/.bin`. */
  run(program: string, ...args: string[]): { status: number | null; output: string };
  remove(): void;
}

/**
 * Installs the packed packages with npm into an empty directory. What else a
 * user installs is linked to the packages of this repository, so that no
 * registry is needed. `more`: names or scopes of such packages, besides those
 * that everybody has.
 */
export function createProject(...more: readonly string[]): Project {
  const directory = realpathSync(mkdtempSync(join(tmpdir(), "connectrpc-auth-project-")));
  const modules = join(directory, "node_modules");
  const tarball = (folder: string) => `file:${pack(folder, directory)}`;
  const write = (file: string, text: string) => {
    mkdirSync(dirname(join(directory, file)), { recursive: true });
    writeFileSync(join(directory, file), text);
  };
  write(
    "package.json",
    JSON.stringify({
      name: "users-project",
      private: true,
      type: "module",
      dependencies: { "connectrpc-auth": tarball("."), jose: tarball("node_modules/jose") },
      devDependencies: { "protoc-gen-connect-auth": tarball("plugin") },
    }),
  );
  npm(["install", "--offline", "--legacy-peer-deps", "--no-audit", "--no-fund"], directory);
  const installed = readdirSync(modules).filter((name) => !name.startsWith("."));
  const peers = ["@bufbuild", "@connectrpc", "@types", "typescript", "undici-types"];
  for (const name of [...peers, ...more]) {
    symlinkSync(join(repositoryRoot, "node_modules", name), join(modules, name));
  }
  symlinkSync(process.execPath, join(modules, ".bin", "node"));
  for (const name of ["buf", "protoc-gen-es", "tsc"]) {
    symlinkSync(
      realpathSync(join(repositoryRoot, "node_modules/.bin", name)),
      join(modules, ".bin", name),
    );
  }
  return {
    directory,
    installed,
    write,
    run(program, ...args) {
      const { status, stdout, stderr } = spawnSync(join(modules, ".bin", program), args, {
        cwd: directory,
        encoding: "utf8",
        // as npx does
        env: { ...process.env, PATH: `${join(modules, ".bin")}:${process.env.PATH}` },
      });
      return { status, output: stdout + stderr };
    },
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}

/** One package as npm would publish it. `dist` is taken as it is. */
export interface PackReport {
  readonly filename: string;
  readonly files: readonly { readonly path: string; readonly size: number }[];
}

/** What `npm pack` says, without or with a file being written. */
export function packReport(folder: string, ...args: string[]): PackReport {
  const json = npm(["pack", "--json", "--ignore-scripts", ...args], join(repositoryRoot, folder));
  const [report] = JSON.parse(json) as PackReport[];
  if (report === undefined) {
    throw new Error(`npm packed nothing in ${folder}`);
  }
  return report;
}

function pack(folder: string, destination: string): string {
  return join(destination, packReport(folder, "--pack-destination", destination).filename);
}

function npm(args: string[], cwd: string): string {
  return execFileSync("npm", args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

/** The compiler options of a careful user. */
export const strictTsconfig: string = JSON.stringify({
  compilerOptions: {
    target: "es2022",
    module: "nodenext",
    strict: true,
    types: ["node"],
    rootDir: "src",
    outDir: "out",
  },
  include: ["src"],
});
