import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { getComments } from "@bufbuild/protoplugin";

/** Text for a doc comment: the paragraphs that are not empty, then where it comes from. */
export function docText(desc: DescMethod | DescService, ...paragraphs: string[]): string {
  const tags = withDeprecation(desc, `@generated from ${desc}`);
  return [...paragraphs, tags].filter((text) => text !== "").join("\n\n");
}

/** The comments on an element of a proto file, without the space that starts each line. */
export function commentText(desc: DescMethod | DescService): string {
  const { leading = "", trailing = "" } = getComments(desc);
  return [leading, trailing]
    .map((comment) => comment.replace(/^ /gm, "").replace(/\n$/, ""))
    .filter((comment) => comment !== "")
    .join("\n\n");
}

/** Marks what a deprecated method or service brings. A deprecated file has deprecated services. */
export function withDeprecation(desc: DescMethod | DescService, text: string): string {
  const deprecated = desc.deprecated || (desc.kind === "service" && desc.file.deprecated);
  return deprecated ? `${text}\n@deprecated` : text;
}
