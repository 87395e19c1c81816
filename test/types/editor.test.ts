import { fileURLToPath } from "node:url";
import ts from "typescript-5.4";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));
const file = `${root}test/editor-example.ts`;
const source = `import { createConnectTransport } from "@connectrpc/connect-web";
import type { Auth } from "connectrpc-auth";
import { createUserServiceClient } from "./gen/acme/user/v1/user_auth.js";
const users = createUserServiceClient(createConnectTransport, { baseUrl: "https://api.test" });
users.getProfile({ id: "42" });
createUserServiceClient(createConnectTransport, { baseUrl: "https://api.test" }, { credentials });
declare const credentials: () => Promise<Auth>;
`;

const service = ts.createLanguageService({
  getScriptFileNames: () => [file],
  getScriptVersion: () => "1",
  getScriptSnapshot: (path) => ts.ScriptSnapshot.fromString(read(path) ?? ""),
  getCurrentDirectory: () => root,
  getCompilationSettings: () => ({
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    strict: true,
    types: [],
    baseUrl: root,
    paths: { "connectrpc-auth": ["src/index.ts"] },
  }),
  getDefaultLibFileName: ts.getDefaultLibFilePath,
  fileExists: (path) => read(path) !== undefined,
  readFile: read,
});

function read(path: string): string | undefined {
  return path === file ? source : ts.sys.readFile(path);
}

/** What an editor shows of the code at a place, and where it says that is defined. */
function shown(code: string) {
  const position = source.indexOf(code) + (code.length - code.trimStart().length);
  const info = service.getQuickInfoAtPosition(file, position);
  return {
    type: ts.displayPartsToString(info?.displayParts),
    documentation: ts.displayPartsToString(info?.documentation),
    definedIn: service
      .getDefinitionAtPosition(file, position)
      ?.map(({ fileName }) => fileName.slice(root.length)),
  };
}

test("of a client, editors show the name of its type", () => {
  expect(shown("users = ").type).toBe("const users: UserServicePublicClient");
});

test("of a method, editors show what the proto file says of it, and where it stands", () => {
  expect(shown("getProfile")).toEqual({
    type: "(property) getProfile: (request: MessageInit<GetProfileRequest>, options?: CallOptions | undefined) => Promise<GetProfileResponse>",
    documentation: "Get a profile.",
    definedIn: ["test/gen/acme/user/v1/user_pb.ts"],
  });
});

test("of a call that makes a client, editors show which credentials reach which methods", () => {
  expect(shown("createUserServiceClient(").documentation).toBe(
    "Makes a client of acme.user.v1.UserService without credentials: only its public methods can be called.",
  );
  const { documentation, definedIn } = shown("\ncreateUserServiceClient(");
  expect(documentation).toContain("- without credentials: `getProfile`\n");
  expect(documentation).toContain("- with `internalCredentials`: `reindex`\n");
  expect(definedIn).toEqual(["test/gen/acme/user/v1/user_auth.ts"]);
});

test("the example compiles", () => {
  expect(service.getSemanticDiagnostics(file)).toEqual([]);
});
