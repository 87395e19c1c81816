// biome-ignore-all lint/suspicious/noTemplateCurlyInString: that is the text that a proto file may hold

import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { create, createFileRegistry, fromBinary, setExtension, toBinary } from "@bufbuild/protobuf";
import {
  type CodeGeneratorRequest,
  CodeGeneratorRequestSchema,
  CodeGeneratorResponseSchema,
  EmptySchema,
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
  file_google_protobuf_empty,
  MethodOptionsSchema,
  ServiceDescriptorProtoSchema,
} from "@bufbuild/protobuf/wkt";
import type { ServicePolicies } from "connectrpc-auth";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MethodAuthSchema, method_auth } from "../../src/gen/connectum/auth/v1/options_pb.js";
import packageJson from "../package.json" with { type: "json" };
import { listOf, objectOf, type Tree } from "./apply-overlay.js";
import { root, runPlugin, testFolder, typeCheck } from "./generate.js";
import { parseYaml } from "./parse-yaml.js";

/** What could end a string, a template, a comment, a line or a document, and then do something. */
const dangerous = [
  ...[
    "'",
    '"',
    "`",
    "\\",
    "\\\\",
    "\\u0022",
    "\\u002a/",
    "\\x27",
    "${",
    "}",
    "${globalThis.stolen=1}",
  ],
  ...[
    "*/",
    "/*",
    "*\\/",
    "**/",
    "//",
    "///",
    "*",
    "/",
    "-->",
    "<!--",
    "</script>",
    "<script>",
    "]]>",
  ],
  ...['"+(globalThis.stolen=1)+"', "*/globalThis.stolen=1/*", "*/};globalThis.stolen=1;({/*"],
  ...[
    "'];globalThis.stolen=1;['",
    "`;globalThis.stolen=1;`",
    "globalThis.stolen=1",
    ";",
    "]});",
    "{",
    "[",
  ],
  ...[
    "@ts-nocheck",
    "@ts-expect-error",
    "@deprecated",
    "@generated",
    "__proto__",
    "constructor",
    "null",
  ],
  ...[
    "#",
    ":",
    "-",
    "---",
    "...",
    "|",
    ">",
    "&a",
    "*a",
    "!!js/function",
    "%YAML",
    "?",
    ",",
    "$",
    "$&",
    "$1",
  ],
  ...[
    "😀",
    "👩‍👩‍👧",
    "\u200e",
    "\u200f",
    "\u202e",
    "\u2066",
    "\u00ad",
    "\ufeff",
    "\u{e0041}",
    "é",
    "e\u0301",
  ],
];

/** What a role cannot hold, and a comment can. */
const lineBreaks = [
  "\n",
  "\r",
  "\r\n",
  "\u2028",
  "\u2029",
  "\0",
  "\t",
  " ",
  "\v",
  "\x85",
  "\ud800",
  "\udc00",
];

const texts = (units: readonly string[], maxLength: number) =>
  fc
    .array(fc.constantFrom(...units, "a", "1"), { minLength: 1, maxLength })
    .map((parts) => parts.join(""));

const roles = fc.uniqueArray(
  texts(dangerous, 6).filter((role) => !/[\s\p{Cc}]/u.test(role)),
  { minLength: 1, maxLength: 3 },
);
const scopes = fc.uniqueArray(
  texts(dangerous, 6).filter((scope) => /^[\x21\x23-\x5b\x5d-\x7e]+$/.test(scope)),
  { maxLength: 3 },
);
const comments = texts([...dangerous, ...lineBreaks, ...lineBreaks], 12);

interface HostileMethod {
  readonly name: string;
  readonly policy: { kind: "internal" | "requires"; roles: string[]; scopes: string[] };
  readonly leading: string;
  readonly trailing: string;
}

const names = [
  ...[
    "__proto__",
    "constructor",
    "prototype",
    "toString",
    "then",
    "class",
    "default",
    "await",
    "eval",
  ],
  ...[
    "import",
    "export",
    "methods",
    "service",
    "hasOwnProperty",
    "arguments",
    "null",
    "get_x",
    "A1",
    "_",
  ],
];

const hostileMethods = fc.uniqueArray(
  fc.record({
    name: fc.constantFrom(...names, ...Array.from({ length: 20 }, (_, i) => `Method${i}`)),
    policy: fc.record({
      kind: fc.constantFrom("internal" as const, "requires" as const),
      roles,
      scopes,
    }),
    leading: comments,
    trailing: comments,
  }),
  { selector: ({ name }) => name, minLength: 15, maxLength: 25 },
);

const hostileServices = fc.array(
  fc.record({ methods: hostileMethods, leading: comments, trailing: comments }),
  { minLength: 15, maxLength: 15 },
);

/** A file of services with hostile text wherever text can be. */
interface HostileFile {
  readonly syntax: string;
  readonly package: string;
  readonly services: readonly {
    readonly methods: readonly HostileMethod[];
    readonly leading: string;
    readonly trailing: string;
  }[];
}

const hostileFiles = fc.array(
  fc.record({ syntax: comments, package: comments, services: hostileServices }),
  { minLength: 10, maxLength: 10 },
);

const serviceName = (index: number) => ["__proto__", "Object", "class"][index] ?? `S${index}`;

function buildFile(file: HostileFile, index: number): FileDescriptorProto {
  const location = (path: number[], leading: string, trailing = "") => ({
    path,
    span: [0, 0, 0],
    leadingComments: leading,
    trailingComments: trailing,
    leadingDetachedComments: [leading],
  });
  return create(FileDescriptorProtoSchema, {
    name: `hostile/h${index}.proto`,
    package: `hostile.h${index}`,
    syntax: "proto3",
    dependency: ["google/protobuf/empty.proto"],
    service: file.services.map(({ methods }, i) => ({
      name: serviceName(i),
      method: methods.map(({ name, policy }) => {
        const options = create(MethodOptionsSchema);
        const { kind, ...requires } = policy;
        const auth = create(MethodAuthSchema, {
          requires,
          ...(kind === "internal" && { internal: true }),
        });
        setExtension(options, method_auth, auth);
        const type = `.${EmptySchema.typeName}`;
        return { name, inputType: type, outputType: type, options };
      }),
    })),
    sourceCodeInfo: {
      location: [
        location([12], file.syntax),
        location([2], file.package),
        ...file.services.flatMap(({ methods, leading, trailing }, i) => [
          location([6, i], leading, trailing),
          ...methods.map((method, j) => location([6, i, 2, j], method.leading, method.trailing)),
        ]),
      ],
    },
  });
}

/** A request as it arrives: through bytes. */
function buildRequest(files: readonly HostileFile[], parameter: string): CodeGeneratorRequest {
  const protoFile = [file_google_protobuf_empty.proto, ...files.map(buildFile)];
  const fileToGenerate = protoFile.slice(1).map(({ name }) => name);
  const req = create(CodeGeneratorRequestSchema, { protoFile, fileToGenerate, parameter });
  return fromBinary(CodeGeneratorRequestSchema, toBinary(CodeGeneratorRequestSchema, req));
}

/** What protoc-gen-es prints for a request, without the comments: it is not what is tried here. */
function messages(req: CodeGeneratorRequest): Record<string, string> {
  const protoFile = req.protoFile.map(({ sourceCodeInfo: _, ...file }) =>
    create(FileDescriptorProtoSchema, file),
  );
  const plugin = join(root, "node_modules", "@bufbuild", "protoc-gen-es", "bin", "protoc-gen-es");
  const { stdout } = spawnSync(process.execPath, [plugin], {
    input: toBinary(CodeGeneratorRequestSchema, { ...req, protoFile }),
    maxBuffer: 2 ** 30,
  });
  const { file } = fromBinary(CodeGeneratorResponseSchema, stdout);
  return Object.fromEntries(file.map(({ name, content }) => [name, content]));
}

/** What the tables have to say: pairs of names and policies in order, because a name may be `__proto__`. */
function expectedTables(
  req: CodeGeneratorRequest,
  files: readonly HostileFile[],
): Record<string, unknown> {
  const registry = createFileRegistry(create(FileDescriptorSetSchema, { file: req.protoFile }));
  const services = files.flatMap((file, i) =>
    file.services.map(({ methods }, j) => {
      const typeName = `hostile.h${i}.${serviceName(j)}`;
      const localNames = registry.getService(typeName)?.methods.map(({ localName }) => localName);
      return [typeName, methods.map(({ policy }, k) => [localNames?.[k], policy])];
    }),
  );
  return Object.fromEntries(services);
}

/** What the tables in a module do say. Throws for an export that is none of ours. */
function tablesIn(module: object): [string, unknown][] {
  return Object.entries(module).flatMap(([name, value]) => {
    if (isTable(value)) {
      return [[value.service.typeName, Object.entries(value.methods)]];
    }
    expect(name).toMatch(/^(?:create\w+Client|getPublicMethods|getInternalMethods)$/);
    return [];
  });
}

function isTable(value: unknown): value is ServicePolicies {
  return typeof value === "object" && value !== null && "service" in value && "methods" in value;
}

describe("hostile text in a few thousand methods", () => {
  // on a failure, this seed instead makes the same texts again
  const seed = Math.floor(Math.random() * 2 ** 31);
  const [files = []] = fc.sample(hostileFiles, { numRuns: 1, seed });

  test.each(["target=ts", "target=js+dts"])(
    "is only text in what is printed with %s",
    async (target) => {
      const req = buildRequest(files, `${target},import_extension=js`);
      const want = expectedTables(req, files);
      expect(Object.values(want).flat().length).toBeGreaterThan(2000);

      const generated = runPlugin(req);
      const folder = testFolder({ ...messages(req), ...generated });
      expect(typeCheck(folder), `seed ${seed}`).toBe("");
      const tables: [string, unknown][] = [];
      for (const path of Object.keys(generated).filter((name) => !name.endsWith(".d.ts"))) {
        tables.push(...tablesIn(await import(join(folder, path))));
      }
      expect(Object.fromEntries(tables), `seed ${seed}`).toEqual(want);
      expect("stolen" in globalThis, `seed ${seed}`).toBe(false);
    },
  );

  test("is only text in CommonJS, which is strict as modules are", () => {
    const req = buildRequest(files, "target=js,js_import_style=legacy_commonjs");
    const generated = runPlugin(req);
    for (const content of Object.values(generated)) {
      const exports: Record<string, unknown> = {};
      const load = new Function("exports", "require", content);
      load(exports, () => ({}));
      expect(Object.keys(exports).length, `seed ${seed}`).toBe(15 * 2 + 2);
    }
    expect("stolen" in globalThis, `seed ${seed}`).toBe(false);
  });

  test.each(["security.yaml", "security.json"])("is only text in %s", (path) => {
    const req = buildRequest(files, `target=ts,openapi_security_file=${path}`);
    const text = runPlugin(req)[path] ?? "";
    const overlay: Tree = path.endsWith(".json") ? JSON.parse(text) : parseYaml(text);
    const policies = listOf(objectOf(overlay).actions).flatMap((action) => {
      const { target, update } = objectOf(action);
      return update === undefined || target === "$" ? [] : [objectOf(update)["x-connectrpc-auth"]];
    });
    const want = files.flatMap(({ services }) =>
      services.flatMap(({ methods }) => methods.map(({ policy }) => policy)),
    );
    expect(policies, `seed ${seed}`).toEqual(want);
  });
});

test("a role that would turn the code beside it round shows as an escape", () => {
  const roles = ["\u202eadmin", "größe\u00ad"];
  const policy = { kind: "requires" as const, roles, scopes: [] };
  const methods = [{ name: "A", policy, leading: "", trailing: "" }];
  const services = [{ methods, leading: "", trailing: "" }];
  const req = buildRequest([{ syntax: "", package: "", services }], "target=ts");
  const lines = (runPlugin(req)["hostile/h0_auth.ts"] ?? "").split("\n");
  expect(lines.filter((line) => line.includes("admin"))).toEqual([
    "     * Callers with one of the roles `\\u202eadmin`, `größe\\u00ad` may call it; `credentials` are sent.",
    '    a: { kind: "requires", roles: ["\\u202eadmin", "größe\\u00ad"], scopes: [] },',
  ]);
});

test("a comment at the top of a proto file directs no compiler or debugger", () => {
  const lines = ["@ts-nocheck", " @ts-expect-error", "/ @ts-ignore", "// @ts-nocheck"];
  const directives = ['/ <reference path="x.d.ts" />', "# sourceMappingURL=x.map", "@ sourceURL=x"];
  const comment = ["A licence.", ...lines, ...directives, "  - indented", ""].join("\n");
  const req = buildRequest([{ syntax: comment, package: comment, services: [] }], "target=ts");
  for (const file of req.protoFile) {
    file.service = [create(ServiceDescriptorProtoSchema, { name: "S" })];
  }
  const text = runPlugin(req)["hostile/h0_auth.ts"] ?? "";
  const block = `//A licence.
// @ ts-nocheck
// @ ts-expect-error
// / @ ts-ignore
// // @ ts-nocheck
// / <reference path="x.d.ts" />
// # sourceMappingURL=x.map
// @ sourceURL=x
//  - indented
`;
  expect(text.slice(0, text.indexOf("import type"))).toBe(`${block}
${block}
// @generated by protoc-gen-connect-auth v${packageJson.version} with parameter "target=ts"
// @generated from file hostile/h0.proto (package hostile.h0, syntax proto3)
/* eslint-disable */

${block}
${block}
`);
});
