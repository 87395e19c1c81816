import { create, type DescFile } from "@bufbuild/protobuf";
import {
  FileDescriptorProtoSchema,
  SourceCodeInfo_LocationSchema,
  SourceCodeInfoSchema,
} from "@bufbuild/protobuf/wkt";

/**
 * A file whose comments on `syntax` and `package` are only text in the line
 * comments at the top of generated code. There, `@ts-nocheck`, or what `///`
 * and `//#` begin, would be for compilers and debuggers.
 */
export function withoutDirectives(file: DescFile): DescFile {
  const { syntax, package: packageName } = FileDescriptorProtoSchema.field;
  const location = (file.proto.sourceCodeInfo?.location ?? [])
    .filter(({ path }) => path.length === 1)
    .filter(({ path: [field] }) => field === syntax.number || field === packageName.number)
    .map((comments) =>
      create(SourceCodeInfo_LocationSchema, {
        path: comments.path,
        ...(comments.leadingComments && { leadingComments: onlyText(comments.leadingComments) }),
        leadingDetachedComments: comments.leadingDetachedComments.map(onlyText),
      }),
    );
  const sourceCodeInfo = create(SourceCodeInfoSchema, { location });
  // a spread alone would lose the defaults of fields that are not set
  const proto = Object.assign(create(FileDescriptorProtoSchema), file.proto, { sourceCodeInfo });
  return { ...file, proto };
}

function onlyText(comment: string): string {
  return comment
    .split(/\r\n|[\n\r\u2028\u2029]/)
    .map((line) => line.replace(/^(?=[/#@])/, " ").replace(/^([\s/]*@)(?=ts-)/, "$1 "))
    .join("\n");
}
