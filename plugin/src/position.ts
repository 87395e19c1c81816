import type { DescFile, DescMethod, DescService } from "@bufbuild/protobuf";
import { MethodDescriptorProtoSchema, ServiceDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { method_auth, service_auth } from "../../src/gen/connectum/auth/v1/options_pb.js";
import type { Finding } from "./diagnostics.js";
import { type SourcePath, sourcePath } from "./source-path.js";

/** A place in a proto file, counted from 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/**
 * Where a finding is in the proto file: at the part of the option that it
 * names, as far as the compiler recorded it, else at the option, else at the
 * service or method. Without any record: at the start of the file.
 */
export function positionOf({ on, path }: Pick<Finding, "on" | "path">): Position {
  if (on.kind === "file") {
    return { line: 1, column: 1 };
  }
  const element = sourcePath(on);
  const option = optionPath(on, element);
  if (path.length > 0) {
    for (let length = path.length; length >= 0; length--) {
      const exact = find(on, [...option, ...path.slice(0, length)], isExactly);
      if (exact !== undefined) {
        return exact;
      }
    }
  }
  return (
    (path.length > 0 ? find(on, option, startsWith) : undefined) ??
    find(on, element, isExactly) ?? { line: 1, column: 1 }
  );
}

type Matcher = (path: SourcePath, wanted: SourcePath) => boolean;

const startsWith: Matcher = (path, wanted) => wanted.every((part, i) => path[i] === part);

const isExactly: Matcher = (path, wanted) =>
  path.length === wanted.length && startsWith(path, wanted);

function find(
  on: DescService | DescMethod,
  wanted: SourcePath,
  matches: Matcher,
): Position | undefined {
  const location = fileOf(on).proto.sourceCodeInfo?.location.find(({ path }) =>
    matches(path, wanted),
  );
  const [line, column] = location?.span ?? [];
  return line === undefined || column === undefined
    ? undefined
    : { line: line + 1, column: column + 1 };
}

function fileOf(on: DescService | DescMethod): DescFile {
  return on.kind === "rpc" ? on.parent.file : on.file;
}

function optionPath(on: DescService | DescMethod, element: SourcePath): SourcePath {
  return on.kind === "rpc"
    ? [...element, MethodDescriptorProtoSchema.field.options.number, method_auth.number]
    : [...element, ServiceDescriptorProtoSchema.field.options.number, service_auth.number];
}
