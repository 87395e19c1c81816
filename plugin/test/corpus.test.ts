import { execFileSync, spawnSync } from "node:child_process";
import { cpSync } from "node:fs";
import { join } from "node:path";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  type CodeGeneratorRequest,
  CodeGeneratorRequestSchema,
  CodeGeneratorResponseSchema,
  type FileDescriptorProto,
  FileDescriptorSetSchema,
} from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { binaries, pluginBinary, root, testFolder, typeCheck, writeFiles } from "./generate.js";

const maxBuffer = 2 ** 30;

/** All protos that Google publishes for its APIs. */
function compileCorpus(): FileDescriptorProto[] {
  const module = { path: ".", excludes: ["google/protobuf"] };
  const folder = testFolder({ "buf.yaml": JSON.stringify({ version: "v2", modules: [module] }) });
  for (const name of ["google", "grafeas"]) {
    cpSync(join(root, "node_modules", "google-proto-files", name), join(folder, name), {
      recursive: true,
    });
  }
  const image = execFileSync(join(binaries, "buf"), ["build", "-o", "-"], {
    cwd: folder,
    maxBuffer,
  });
  return fromBinary(FileDescriptorSetSchema, image).file;
}

function run(plugin: string, req: CodeGeneratorRequest): Record<string, string> {
  const { status, stdout, stderr } = spawnSync(process.execPath, [plugin], {
    input: toBinary(CodeGeneratorRequestSchema, req),
    maxBuffer,
  });
  expect({ status, stderr: stderr.toString() }).toEqual({ status: 0, stderr: "" });
  const { file } = fromBinary(CodeGeneratorResponseSchema, stdout);
  return Object.fromEntries(file.map(({ name, content }) => [name, content]));
}

/** The files, and all that they import. */
function withImports(
  files: FileDescriptorProto[],
  names: readonly string[],
): FileDescriptorProto[] {
  const wanted = new Set(names);
  for (const name of wanted) {
    for (const dependency of files.find((file) => file.name === name)?.dependency ?? []) {
      wanted.add(dependency);
    }
  }
  return files.filter(({ name }) => wanted.has(name));
}

/** Files with services from packages that are far apart. */
function sample(files: FileDescriptorProto[], count: number): string[] {
  const packages = new Map<string, string>();
  for (const file of files) {
    if (file.service.length > 0 && !packages.has(file.package)) {
      packages.set(file.package, file.name);
    }
  }
  const names = [...packages.values()];
  return names.filter((_, i) => i % Math.floor(names.length / count) === 0);
}

test("the plugin runs over all protos of Google, and what it prints compiles", {
  timeout: 180_000,
}, () => {
  const files = compileCorpus();
  const ours = files.map(({ name }) => name).filter((name) => !name.startsWith("google/protobuf/"));
  const parameter = "target=ts,import_extension=js";
  const protoFile = files;
  const generated = run(
    pluginBinary,
    create(CodeGeneratorRequestSchema, { protoFile, fileToGenerate: ours, parameter }),
  );
  const withServices = files.filter(({ service }) => service.length > 0);
  expect(withServices.length).toBeGreaterThan(1000);
  expect(Object.keys(generated).sort()).toEqual(
    withServices.map(({ name }) => name.replace(/\.proto$/, "_auth.ts")).sort(),
  );

  const names = sample(files, 20);
  expect(names.length).toBeGreaterThanOrEqual(20);
  const closure = withImports(files, names);
  const messages = run(
    join(root, "node_modules", "@bufbuild", "protoc-gen-es", "bin", "protoc-gen-es"),
    create(CodeGeneratorRequestSchema, {
      protoFile: closure,
      fileToGenerate: closure
        .map(({ name }) => name)
        .filter((name) => !name.startsWith("google/protobuf/")),
      parameter,
    }),
  );
  const folder = testFolder();
  writeFiles(folder, messages);
  for (const name of names) {
    const path = name.replace(/\.proto$/, "_auth.ts");
    writeFiles(folder, { [path]: generated[path] ?? "" });
  }
  expect(typeCheck(folder)).toBe("");
});
