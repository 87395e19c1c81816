import type { DescExtension, DescFile, DescMessage } from "@bufbuild/protobuf";
import { nestedTypes } from "@bufbuild/protobuf/reflect";
import {
  file_connectum_auth_v1_options,
  method_auth,
  service_auth,
} from "../../src/gen/connectum/auth/v1/options_pb.js";

const defining = new WeakMap<DescFile, boolean>();

/**
 * Whether a file can use the options: it defines them, or imports a file that
 * does, directly or through `import public`. They are known by their numbers
 * and the shape of their messages, so a copy of the schema counts as well, and
 * another option that happens to have such a number does not.
 */
export function importsOptions(file: DescFile): boolean {
  const visible = new Set([file, ...file.dependencies]);
  for (const imported of visible) {
    if (definesOptions(imported)) {
      return true;
    }
    for (const dependency of publicDependencies(imported)) {
      visible.add(dependency);
    }
  }
  // `import option` of edition 2024 does not bring the file itself
  return file.proto.optionDependency.includes(file_connectum_auth_v1_options.proto.name);
}

function publicDependencies({ proto, dependencies }: DescFile): DescFile[] {
  if (proto.publicDependency.length === 0) {
    return [];
  }
  const names = new Set(proto.publicDependency.map((index) => proto.dependency[index]));
  return dependencies.filter((dependency) => names.has(dependency.proto.name));
}

function definesOptions(file: DescFile): boolean {
  let defines = defining.get(file);
  if (defines === undefined) {
    defines = [...nestedTypes(file)].some(
      (type) =>
        type.kind === "extension" && (isCopy(type, method_auth) || isCopy(type, service_auth)),
    );
    defining.set(file, defines);
  }
  return defines;
}

function isCopy(extension: DescExtension, ours: DescExtension): boolean {
  return (
    extension.number === ours.number &&
    extension.extendee.typeName === ours.extendee.typeName &&
    extension.message !== undefined &&
    ours.message !== undefined &&
    hasShapeOf(extension.message, ours.message)
  );
}

/** A copy may lack fields, or have more; those that it shares with ours, several, are of the same types. */
function hasShapeOf(copy: DescMessage, ours: DescMessage): boolean {
  const shared = ours.fields.flatMap((field) => {
    const theirs = copy.fields.find(({ number }) => number === field.number);
    return theirs === undefined ? [] : [{ theirs, field }];
  });
  return (
    shared.length > 1 &&
    shared.every(
      ({ theirs, field }) => theirs.fieldKind === field.fieldKind && theirs.scalar === field.scalar,
    )
  );
}
