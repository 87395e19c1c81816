import { create } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { isImport } from "../src/diff/image-extension.js";

/** A file with fields that descriptors do not have: numbers and contents. */
function file(...fields: [number, (writer: BinaryWriter) => unknown][]) {
  const proto = create(FileDescriptorProtoSchema);
  proto.$unknown = fields.map(([no, write]) => {
    const content = new BinaryWriter();
    write(content);
    const data = new BinaryWriter().bytes(content.finish()).finish();
    return { no, wireType: WireType.LengthDelimited, data };
  });
  return proto;
}

const unusedDependency = (writer: BinaryWriter) => writer.tag(4, WireType.Varint).int32(7);
const moduleInfo = (writer: BinaryWriter) =>
  writer.tag(2, WireType.LengthDelimited).string("buf.build/acme/api");
const imported = (value: boolean) => (writer: BinaryWriter) =>
  writer.tag(1, WireType.Varint).bool(value);

test.each([
  { name: "without anything of buf", proto: file(), want: false },
  { name: "of another tool", proto: file([8043, imported(true)]), want: false },
  { name: "with an empty mark", proto: file([8042, () => {}]), want: false },
  { name: "that is marked", proto: file([8042, imported(true)]), want: true },
  { name: "that is marked as none", proto: file([8042, imported(false)]), want: false },
  {
    name: "that is marked after other fields",
    proto: file([8042, (w) => imported(true)(unusedDependency(moduleInfo(w)))]),
    want: true,
  },
  { name: "with other fields alone", proto: file([8042, moduleInfo]), want: false },
])("a file $name is an import: $want", ({ proto, want }) => {
  expect(isImport(proto)).toBe(want);
});
