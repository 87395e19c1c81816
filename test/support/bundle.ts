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

/** The same page with a generated client, and these credentials. */
function pageWith(imports: string, credentials: string): string {
  return `
import { createConnectTransport } from "@connectrpc/connect-web";
${imports}
import { createGreeterServiceClient } from "${service}/greeter_auth.js";

const greeter = createGreeterServiceClient(createConnectTransport, { baseUrl: "https://api.acme.dev" }, {
  credentials: ${credentials},
});
console.log(await greeter.greet({ name: "page" }));
`;
}

/** It sends a bearer token. */
export const generatedClient: string = pageWith(
  'import { Auth } from "connectrpc-auth";',
  "() => Auth.jwt(localStorage.token)",
);

/** It keeps the bearer token that it sends. */
export const cachingClient: string = pageWith(
  'import { Auth, cachedAuth } from "connectrpc-auth";',
  "cachedAuth(() => Auth.jwt(localStorage.token))",
);

/** It gets tokens from an OAuth server, and sends them with DPoP proofs. */
export const boundClient: string = pageWith(
  'import { clientCredentials } from "connectrpc-auth/oauth";',
  `clientCredentials({
    issuer: "https://auth.acme.dev",
    clientId: "page",
    clientSecret: localStorage.secret,
    scope: "from-policy",
    dpop: true,
  })`,
);
