import type { DescFile, DescService } from "@bufbuild/protobuf";
import { nestedTypes } from "@bufbuild/protobuf/reflect";
import {
  type GeneratedFile,
  type ImportSymbol,
  type Schema,
  safeIdentifier,
} from "@bufbuild/protoplugin";

/**
 * The service in `<proto>_pb`. For every call, `importSchema()` looks for names
 * that clash among all types of the file, which takes longer than all printing.
 * So it is asked for a service only where a name does clash, and once for a file
 * where `map_imports` may say that the file is elsewhere.
 */
export function importService(
  schema: Schema,
  f: GeneratedFile,
  service: DescService,
): ImportSymbol {
  return mayClash(service)
    ? f.importSchema(service)
    : f.import(safeIdentifier(service.name), moduleOf(schema, f, service.file));
}

const modules = new WeakMap<DescFile, string>();

function moduleOf(schema: Schema, f: GeneratedFile, file: DescFile): string {
  if (schema.options.mapImports.length === 0) {
    return `./${file.name}_pb.js`;
  }
  const known = modules.get(file);
  if (known !== undefined) {
    return known;
  }
  const { from } = f.importSchema(file);
  modules.set(file, from);
  return from;
}

const typeNames = new WeakMap<DescFile, ReadonlySet<string>>();

/** Whether the name of the service may be that of a nested type, or of a descriptor. */
function mayClash({ name, file }: DescService): boolean {
  if (!/_|Schema$/.test(name)) {
    return false;
  }
  let names = typeNames.get(file);
  if (names === undefined) {
    const offset = file.proto.package === "" ? 0 : file.proto.package.length + 1;
    const types = [...nestedTypes(file)].filter(({ kind }) => kind !== "service");
    const flat = types.map(({ typeName }) => typeName.slice(offset).replaceAll(".", "_"));
    names = new Set([...flat, ...flat.map((type) => `${type}Schema`)]);
    typeNames.set(file, names);
  }
  return names.has(name) || name.startsWith("file_");
}
