import type {
  DescExtension,
  DescFile,
  DescMessage,
  DescMethod,
  DescService,
} from "@bufbuild/protobuf";
import { nestedTypes } from "@bufbuild/protobuf/reflect";
import { FeatureSet_FieldPresence } from "@bufbuild/protobuf/wkt";
import { method_auth, service_auth } from "../gen/connectum/auth/v1/options_pb.js";

const defining = /*@__PURE__*/ new WeakMap<DescFile, readonly DescExtension[]>();

/**
 * Whether a file can use the options: it defines them, or imports a file that
 * does, directly or through `import public`. They are known by their numbers
 * and the shape of their messages, so a copy of the schema counts as well, and
 * another option that happens to have such a number does not.
 */
export function seesOptions(file: DescFile): boolean {
  return visibleOptions(file).some(isCopy);
}

/**
 * The option of somebody else that has the number of ours, and is set on a
 * service or method. Ours is found by its number alone, so whatever this one
 * says would be read as an access rule. `undefined`: there is none.
 */
function strangeOption(on: DescService | DescMethod): DescExtension | undefined {
  const ours = on.kind === "rpc" ? method_auth : service_auth;
  if (on.proto.options?.$unknown?.some(({ no }) => no === ours.number) !== true) {
    return undefined;
  }
  const { file } = on.kind === "rpc" ? on.parent : on;
  const inForce = visibleOptions(file).filter(
    ({ extendee }) => extendee.typeName === ours.extendee.typeName,
  );
  // where none is to be seen, `import option` of edition 2024 has brought it
  return inForce.find((extension) => !isCopy(extension));
}

/** Throws where what is set on a method or its service is no access rule. */
export function checkOptionsSchema(method: DescMethod): void {
  for (const on of [method.parent, method]) {
    const strange = strangeOption(on);
    if (strange !== undefined) {
      const { file } = method.parent;
      throw new Error(`${file.proto.name}: ${on}: ${describeStrangeOption(strange)}`);
    }
  }
}

/** What is wrong with such an option, and what to do. */
function describeStrangeOption({ typeName, number, extendee }: DescExtension): string {
  const ours = extendee.typeName === method_auth.extendee.typeName ? method_auth : service_auth;
  return (
    `${typeName} has the number ${number} of ${ours.typeName}, but not the fields of ${ours.message?.typeName}; ` +
    'give it another number, or, if it is a copy, the same fields ("optional" in proto3)'
  );
}

/** The options with our numbers that a file defines, or imports. */
function visibleOptions(file: DescFile): DescExtension[] {
  const visible = new Set([file, ...file.dependencies]);
  const found: DescExtension[] = [];
  for (const imported of visible) {
    found.push(...definedOptions(imported));
    for (const dependency of publicDependencies(imported)) {
      visible.add(dependency);
    }
  }
  return found;
}

function publicDependencies({ proto, dependencies }: DescFile): DescFile[] {
  if (proto.publicDependency.length === 0) {
    return [];
  }
  const names = new Set(proto.publicDependency.map((index) => proto.dependency[index]));
  return dependencies.filter((dependency) => names.has(dependency.proto.name));
}

function definedOptions(file: DescFile): readonly DescExtension[] {
  let options = defining.get(file);
  if (options === undefined) {
    options = [...nestedTypes(file)]
      .filter((type) => type.kind === "extension")
      .filter(({ number, extendee }) =>
        [method_auth, service_auth].some(
          (ours) => number === ours.number && extendee.typeName === ours.extendee.typeName,
        ),
      );
    defining.set(file, options);
  }
  return options;
}

function isCopy(extension: DescExtension): boolean {
  const { message } = extension.number === method_auth.number ? method_auth : service_auth;
  return (
    extension.message !== undefined &&
    message !== undefined &&
    // one alone could be chance
    sharedFields(extension.message, message) > 1
  );
}

/** A copy may lack fields, or have more; those that it shares with ours are of the same kinds. 0: one is not. */
function sharedFields(copy: DescMessage, ours: DescMessage): number {
  let shared = 0;
  for (const field of ours.fields) {
    const theirs = copy.fields.find(({ number }) => number === field.number);
    if (theirs === undefined) {
      continue;
    }
    if (theirs.fieldKind !== field.fieldKind || theirs.scalar !== field.scalar) {
      return 0;
    }
    // `public: false` has to be another thing than nothing
    if (theirs.fieldKind === "scalar" && theirs.presence === FeatureSet_FieldPresence.IMPLICIT) {
      return 0;
    }
    if (theirs.message && field.message && sharedFields(theirs.message, field.message) === 0) {
      return 0;
    }
    shared++;
  }
  return shared;
}
