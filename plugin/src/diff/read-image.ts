import {
  create,
  createFileRegistry,
  fromBinary,
  fromJson,
  type JsonObject,
  type JsonValue,
} from "@bufbuild/protobuf";
import {
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
} from "@bufbuild/protobuf/wkt";
import { methodName } from "../../../src/policy/method-policy.js";
import { readPolicies } from "../read-policies.js";
import { isImport } from "./image-extension.js";
import { type PolicySet, policySet } from "./policy-set.js";

/** Reads a binary image, or a `FileDescriptorSet` as protoc writes it. */
export function readImage(bytes: Uint8Array): PolicySet {
  const { file, $unknown = [] } = parsing(() => fromBinary(FileDescriptorSetSchema, bytes));
  if ($unknown.length > 0) {
    throw new Error("it is no image of buf build: there is more in it than proto files");
  }
  return policiesOf(file.filter((proto) => !isImport(proto)));
}

/**
 * Reads an image in JSON. Options stand there under their names, so it must
 * hold the proto files that define them.
 */
export function readJsonImage(json: JsonObject): PolicySet {
  const files = parsing(() => {
    const loose = fromJson(FileDescriptorSetSchema, json, { ignoreUnknownFields: true });
    const registry = createFileRegistry(loose);
    const split = Array.isArray(json.file) ? json.file.map(splitExtension) : [];
    // now nothing may be unknown: it could be a policy
    const own = { ...json, file: split.filter((file) => !file.isImport).map(({ proto }) => proto) };
    return fromJson(FileDescriptorSetSchema, own, { registry }).file;
  });
  return policiesOf(files);
}

function parsing<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`it is no image of buf build: ${reason}`);
  }
}

/** What buf adds to a file, and what a proto file is elsewhere. */
function splitExtension(file: JsonValue): { proto: JsonValue; isImport: boolean } {
  if (typeof file !== "object" || file === null || Array.isArray(file)) {
    throw new Error("a file must be an object");
  }
  const { bufExtension, ...proto } = file;
  const added = typeof bufExtension === "object" ? { ...bufExtension } : {};
  return { proto, isImport: "isImport" in added && added.isImport === true };
}

function policiesOf(files: readonly FileDescriptorProto[]): PolicySet {
  if (files.length === 0) {
    throw new Error("it holds no proto files");
  }
  return policySet(
    files
      .filter(({ service }) => service.length > 0)
      .flatMap((file) => readPolicies(servicesOf(file)).services)
      .flatMap((service) => service.methods)
      .map(({ method, policy }) => [methodName(method), policy]),
  );
}

/** The services of a file and their options, without the messages, so that no other file is needed. */
function servicesOf(file: FileDescriptorProto) {
  const { name, package: packageName } = file;
  const message = "connect_auth_diff_message";
  const type = packageName === "" ? `.${message}` : `.${packageName}.${message}`;
  const bare = create(FileDescriptorProtoSchema, {
    name,
    package: packageName,
    syntax: "proto3",
    messageType: [{ name: message }],
    service: file.service.map((service) => ({
      ...service,
      method: service.method.map((method) => ({ ...method, inputType: type, outputType: type })),
    })),
  });
  const desc = createFileRegistry(bare, () => undefined).getFile(name);
  if (desc === undefined) {
    throw new Error(`${name} could not be read`);
  }
  return desc;
}
