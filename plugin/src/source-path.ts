import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema, ServiceDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";

/** Where compilers record what they know of the source of an element. */
export type SourcePath = readonly number[];

const serviceField = FileDescriptorProtoSchema.field.service.number;
const methodField = ServiceDescriptorProtoSchema.field.method.number;

/** The path of a service or method in `SourceCodeInfo`. */
export function sourcePath(desc: DescMethod | DescService): SourcePath {
  return desc.kind === "service"
    ? [serviceField, desc.file.services.indexOf(desc)]
    : [...sourcePath(desc.parent), methodField, desc.parent.methods.indexOf(desc)];
}

/** Whether a path in `SourceCodeInfo` is that of a service or method. */
export function isServiceOrMethodPath(path: SourcePath): boolean {
  return (
    path[0] === serviceField &&
    (path.length === 2 || (path.length === 4 && path[2] === methodField))
  );
}
