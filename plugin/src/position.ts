import type { DescFile } from "@bufbuild/protobuf";
import { MethodDescriptorProtoSchema, ServiceDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { method_auth, service_auth } from "../../src/gen/connectum/auth/v1/options_pb.js";
import type { Finding } from "./diagnostics.js";
import { type SourcePath, sourcePath } from "./source-path.js";

/** A place in a proto file, counted from 1. */
export interface Position {
  readonly line: number;
  /** As compilers count: a tab is several columns. */
  readonly column: number;
}

/** Gives the place of a finding in a proto file. */
export type Positions = (finding: Pick<Finding, "on" | "path">) => Position;

const startOfFile: Position = { line: 1, column: 1 };

/**
 * Reads where the services, methods and options of a file are, once for all
 * findings in it.
 *
 * A finding is at the part of the option that it names. Compilers do not record
 * every part: then it is at the first thing inside of that part, else at what
 * is around it, up to the option and the service or method. Without any record
 * it is at the start of the file.
 */
export function readPositions(file: DescFile): Positions {
  const at = new Map<string, Position>();
  const firstInside = new Map<string, Position>();
  for (const { path, span } of file.proto.sourceCodeInfo?.location ?? []) {
    const [line, column] = span;
    if (line === undefined || column === undefined) {
      continue;
    }
    const position = { line: line + 1, column: column + 1 };
    setOnce(at, path, position);
    const shortest = path[2] === optionPath.service[0] ? 4 : 6; // the path of an option
    for (let length = path.length - 1; length >= shortest; length--) {
      setOnce(firstInside, path.slice(0, length), position);
    }
  }
  const find = (path: SourcePath) => at.get(path.join()) ?? firstInside.get(path.join());

  return ({ on, path }) => {
    if (on.kind === "file") {
      return startOfFile;
    }
    const element = sourcePath(on);
    const option = [...element, ...optionPath[on.kind]];
    for (const part of path.length > 0 ? widening(path) : []) {
      const position = find([...option, ...part]);
      if (position !== undefined) {
        return position;
      }
    }
    return at.get(element.join()) ?? startOfFile;
  };
}

/** The part of an option, then what is around it: of a list the items before it, as it may be written `[…, …]`. */
function* widening(path: SourcePath): Iterable<SourcePath> {
  const [field, list, index] = path;
  if (field !== undefined && list !== undefined && index !== undefined) {
    for (let item = index; item > 0; item--) {
      yield [field, list, item];
    }
  }
  for (let length = path.length; length >= 0; length--) {
    yield path.slice(0, length);
  }
}

const optionPath = {
  service: [ServiceDescriptorProtoSchema.field.options.number, service_auth.number],
  rpc: [MethodDescriptorProtoSchema.field.options.number, method_auth.number],
} as const;

function setOnce(positions: Map<string, Position>, path: SourcePath, position: Position): void {
  const key = path.join();
  if (!positions.has(key)) {
    positions.set(key, position);
  }
}
