import { builtinModules } from "node:module";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** A bundle as a browser gets it. */
export interface Bundle {
  readonly text: string;
  readonly gzipBytes: number;
  /** The files that it was made of, from the root of the repository. */
  readonly inputs: readonly string[];
  /** What stays an import, such as `node:crypto`. */
  readonly imports: readonly string[];
}

/** Bundles a module for browsers. It may import the package by its name, and then gets `dist`. */
export async function bundleForBrowser(source: string): Promise<Bundle> {
  const { outputFiles, metafile } = await build({
    absWorkingDir: root,
    stdin: { contents: source, resolveDir: root, loader: "ts" },
    bundle: true,
    minify: true,
    format: "esm",
    platform: "browser",
    target: "es2022",
    legalComments: "none",
    // the `paths` of the project lead to the sources
    tsconfigRaw: "{}",
    // Marked as such, they stay visible as imports. Else the build would fail.
    external: [...builtinModules, "node:*"],
    write: false,
    metafile: true,
    logLevel: "silent",
  });
  const [output] = outputFiles;
  if (output === undefined) {
    throw new Error("esbuild made no file");
  }
  return {
    text: output.text,
    gzipBytes: gzipSync(output.contents, { level: 9 }).length,
    inputs: Object.keys(metafile.inputs).filter((input) => input !== "<stdin>"),
    imports: Object.values(metafile.outputs).flatMap((out) =>
      out.imports.map((imported) => imported.path),
    ),
  };
}

const service = "./bench/gen/acme/bench/v1";

/** A page that calls a method on plain Connect. */
export const plainClient = `
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { GreeterService } from "${service}/greeter_pb.js";

const greeter = createClient(GreeterService, createConnectTransport({ baseUrl: "https://api.acme.dev" }));
console.log(await greeter.greet({ name: "page" }));
`;

/** The same page with a generated client that sends a bearer token. */
export const generatedClient = `
import { createConnectTransport } from "@connectrpc/connect-web";
import { Auth } from "connectrpc-auth";
import { createGreeterServiceClient } from "${service}/greeter_auth.js";

const greeter = createGreeterServiceClient(createConnectTransport, { baseUrl: "https://api.acme.dev" }, {
  credentials: () => Auth.jwt(localStorage.token),
});
console.log(await greeter.greet({ name: "page" }));
`;
