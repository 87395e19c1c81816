import type { DescService } from "@bufbuild/protobuf";
import {
  type GeneratedFile,
  type ImportSymbol,
  type Schema,
  safeIdentifier,
} from "@bufbuild/protoplugin";

/**
 * The service in `<proto>_pb`. For every call, `importSchema()` looks for names
 * that clash among all types of the file, which takes longer than all printing.
 * So it is asked only where a clash is possible, with the name of a nested type
 * or of a descriptor, or where `map_imports` may say that the file is elsewhere.
 */
export function importService(
  schema: Schema,
  f: GeneratedFile,
  service: DescService,
): ImportSymbol {
  const mayClash = /_|Schema$/.test(service.name);
  return mayClash || schema.options.mapImports.length > 0
    ? f.importSchema(service)
    : f.import(safeIdentifier(service.name), `./${service.file.name}_pb.js`);
}
