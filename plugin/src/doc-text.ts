import type { DescFile, DescMethod, DescService } from "@bufbuild/protobuf";
import { isServiceOrMethodPath, sourcePath } from "./source-path.js";

/** Gives the comments on a service or method, without the spaces around each line. */
export type Comments = (desc: DescMethod | DescService) => string;

/**
 * Reads the comments on the services and methods of a file, all at once: the
 * `getComments()` of protoplugin searches the whole file for each of them.
 */
export function readComments(file: DescFile): Comments {
  const comments = new Map<string, string>();
  for (const location of file.proto.sourceCodeInfo?.location ?? []) {
    if (isServiceOrMethodPath(location.path)) {
      const text = [location.leadingComments, location.trailingComments]
        .map(tidy)
        .filter((comment) => comment !== "")
        .join("\n\n");
      comments.set(location.path.join("."), text);
    }
  }
  return (desc) => comments.get(sourcePath(desc).join(".")) ?? "";
}

/** Text for a doc comment: the paragraphs that are not empty, then where it comes from. */
export function docText(desc: DescMethod | DescService, ...paragraphs: string[]): string {
  const tags = withDeprecation(desc, `@generated from ${desc}`);
  return [...paragraphs, tags].filter((text) => text !== "").join("\n\n");
}

/** Marks what a deprecated method or service brings. A deprecated file has deprecated services. */
export function withDeprecation(desc: DescMethod | DescService, text: string): string {
  const deprecated = desc.deprecated || (desc.kind === "service" && desc.file.deprecated);
  return deprecated ? `${text}\n@deprecated` : text;
}

function tidy(comment: string): string {
  const lines = comment.replace(/\r\n|[\r\u2028\u2029]/g, "\n");
  return withoutMarks(lines)
    .split("\n")
    .map((line) => line.replace(/^ /, "").trimEnd())
    .join("\n")
    .replace(/^\n|\n$/g, "");
}

/** Takes off what `/**` and `///` leave of themselves. */
function withoutMarks(comment: string): string {
  return /^\/.*(?:\n\/.*)*\n?$/.test(comment)
    ? comment.replace(/^\//gm, "")
    : comment.replace(/^\*(?=\s)/, "");
}
