import { BinaryReader } from "@bufbuild/protobuf/wire";
import type { FileDescriptorProto } from "@bufbuild/protobuf/wkt";

/** Of buf's `ImageFile`, and of the `ImageFileExtension` in it. */
const bufExtension = 8042;
const isImportField = 1;

/** Whether buf has marked a file of a binary image as one that others import, and not one of the input. */
export function isImport({ $unknown = [] }: FileDescriptorProto): boolean {
  for (const { no, data } of $unknown) {
    if (no === bufExtension) {
      const reader = new BinaryReader(new BinaryReader(data).bytes());
      while (reader.pos < reader.len) {
        const [field, wireType] = reader.tag();
        if (field === isImportField) {
          return reader.bool();
        }
        reader.skip(wireType, field);
      }
    }
  }
  return false;
}
