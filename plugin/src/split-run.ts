import { posix } from "node:path";
import { create } from "@bufbuild/protobuf";
import {
  type CodeGeneratorRequest,
  type CodeGeneratorResponse_File,
  CodeGeneratorResponse_FileSchema,
} from "@bufbuild/protobuf/wkt";

/**
 * Makes a run fail that buf has split, instead of losing most of its output.
 *
 * With its default strategy, buf starts the plugin for each directory of proto
 * files. All of them print the files that there is one of, and buf keeps the
 * first of each and drops the others, with a line on standard error and exit
 * code 0. A plugin cannot see that it is one of several: it is told of its
 * directory and what that imports.
 *
 * So where all proto files are in one directory, its name is put into these
 * files, as an insertion point, and nothing is inserted there. In a run that is
 * split, the files that were dropped had the insertion points of the others:
 * that one is missing is an error, for buf as for protoc.
 */
export function guardSplitRun(
  req: CodeGeneratorRequest,
  files: readonly CodeGeneratorResponse_File[],
): CodeGeneratorResponse_File[] {
  const directory = onlyDirectory(req);
  if (directory === undefined) {
    return [];
  }
  // the name is what the error is about
  const insertionPoint = `only ${directory}: for more directories set strategy: all`;
  return files.map((file) => {
    // buf takes the last line break of a file that it inserts into
    file.content = `${withComment(file.name, file.content, insertionPoint)}\n`;
    return create(CodeGeneratorResponse_FileSchema, { name: file.name, insertionPoint });
  });
}

/** The directory of all proto files, in characters that no comment ends with. */
function onlyDirectory(req: CodeGeneratorRequest): string | undefined {
  // buf gives these, with all files of a run; a request without them is not one of several
  const [first, ...others] = req.sourceFileDescriptors.map(({ name }) => posix.dirname(name));
  return others.every((directory) => directory === first)
    ? first?.replace(/[^\w./]/gu, percentEncoded)
    : undefined;
}

function percentEncoded(character: string): string {
  return `%${(character.codePointAt(0) ?? 0).toString(16).padStart(2, "0")}`;
}

function withComment(name: string, content: string, insertionPoint: string): string {
  const text = `@@protoc_insertion_point(${insertionPoint})`;
  switch (posix.extname(name)) {
    case ".json":
      return content.replace(/^\{/, `{\n  "x-only": ${JSON.stringify(text)},`);
    case ".yaml":
    case ".yml":
      return `${content}# ${text}\n`;
    case ".md":
    case ".html":
      return `${content}<!-- ${text} -->\n`;
    default:
      return `${content}// ${text}\n`;
  }
}
