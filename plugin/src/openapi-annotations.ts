import type { DescFile, DescMethod } from "@bufbuild/protobuf";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";

/**
 * One way to call an operation: the names of security schemes, each with its
 * scopes. All of them are needed; with none, no credentials are.
 */
export type SecurityRequirement = ReadonlyMap<string, readonly string[]>;

/**
 * The security in the option `openapi.v3.operation` of a method, one entry for
 * each way to call it. Empty: the option is not there, or has none.
 */
export function annotatedSecurity(method: DescMethod): SecurityRequirement[] {
  const operations = optionBytes(method);
  const isKnown =
    operations.length > 0 &&
    hasAnnotations(method.parent.file, "google.protobuf.MethodOptions", "Operation");
  return (isKnown ? operations : []).flatMap((operation) =>
    bytesOf(operation, operationSecurity).map(
      (requirement) =>
        new Map(
          bytesOf(requirement, additionalProperties).map((named) => [
            textsOf(named, name).join(""),
            bytesOf(named, value).flatMap((list) => textsOf(list, listItem)),
          ]),
        ),
    ),
  );
}

/** The names of the security schemes in the option `openapi.v3.document` of a file. */
export function annotatedSchemes(file: DescFile): string[] {
  const documents = optionBytes(file);
  const isKnown =
    documents.length > 0 && hasAnnotations(file, "google.protobuf.FileOptions", "Document");
  return (isKnown ? documents : [])
    .flatMap((document) => bytesOf(document, documentComponents))
    .flatMap((components) => bytesOf(components, componentsSecuritySchemes))
    .flatMap((schemes) => bytesOf(schemes, additionalProperties))
    .flatMap((named) => textsOf(named, name));
}

// Field numbers of google/gnostic's openapiv3, the schema that
// protoc-gen-connect-openapi reads. It exists under two packages.
const annotationFiles = ["openapiv3/annotations.proto", "gnostic/openapi/v3/annotations.proto"];
const annotation = 1143;
const operationSecurity = 11;
const documentComponents = 5;
const componentsSecuritySchemes = 7;
const additionalProperties = 1;
const name = 1;
const value = 2;
const listItem = 1;

/** Whether the number is that of the annotations, as far as the file can know: anyone may use the number. */
function hasAnnotations(file: DescFile, extendee: string, type: "Operation" | "Document"): boolean {
  const files = new Set([file]);
  for (const { extensions, dependencies } of files) {
    const isDeclared = extensions.some(
      (extension) =>
        extension.number === annotation &&
        extension.extendee.typeName === extendee &&
        /^(?:gnostic\.)?openapi\.v3\.\w+$/.test(extension.message?.typeName ?? "") &&
        extension.message?.name === type,
    );
    if (isDeclared) {
      return true;
    }
    for (const dependency of dependencies) {
      files.add(dependency);
    }
  }
  // `import option` of edition 2024 does not bring the file itself
  return file.proto.optionDependency.some((path) => annotationFiles.includes(path));
}

function optionBytes({ proto }: DescFile | DescMethod): Uint8Array[] {
  const fields = proto.options?.$unknown ?? [];
  return fields
    .filter(({ no, wireType }) => no === annotation && wireType === WireType.LengthDelimited)
    .map(({ data }) => new BinaryReader(data).bytes());
}

/** The values of a field of a message in binary form: messages, or texts. */
function bytesOf(message: Uint8Array, field: number): Uint8Array[] {
  const reader = new BinaryReader(message);
  const values: Uint8Array[] = [];
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    if (number === field && wireType === WireType.LengthDelimited) {
      values.push(reader.bytes());
    } else {
      reader.skip(wireType, number);
    }
  }
  return values;
}

function textsOf(message: Uint8Array, field: number): string[] {
  return bytesOf(message, field).map((bytes) => new TextDecoder().decode(bytes));
}
