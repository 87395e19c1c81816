import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** The root of the repository. */
export const repositoryRoot: string = fileURLToPath(new URL("../..", import.meta.url));

/** A fenced block of a Markdown file. */
export interface CodeBlock {
  /** What stands behind the fence: `ts`, `sh`. */
  readonly language: string;
  readonly text: string;
  /** The file it belongs into: `<!-- file: src/server.ts -->` in the line before the fence. */
  readonly file?: string;
  /** The line of the fence, to name the block by. */
  readonly line: number;
}

/** Reads the fenced blocks of a Markdown file, whose path is from the root of the repository. */
export function readCodeBlocks(path: string): CodeBlock[] {
  return parseCodeBlocks(read(path));
}

/** The links of a Markdown file that lead to other files, or to places in them. */
export function readLinks(path: string): string[] {
  const links = [...read(path).matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = ""]) => link);
  return links.filter((link) => !/^[a-z]+:/.test(link));
}

/** What links can lead to in a Markdown file: its headings, as GitHub names them. */
export function readAnchors(path: string): string[] {
  return [...read(path).matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replace(/[^\w\- ]/g, "")
      .replaceAll(" ", "-"),
  );
}

/** The fenced blocks in Markdown text, in their order. */
export function parseCodeBlocks(markdown: string): CodeBlock[] {
  const blocks: CodeBlock[] = [];
  const lines = markdown.split("\n");
  for (let at = 0; at < lines.length; at++) {
    const language = /^```(\S+)/.exec(lines[at] ?? "")?.[1];
    if (language === undefined) {
      continue;
    }
    const end = lines.indexOf("```", at + 1);
    if (end < 0) {
      throw new Error(`the block in line ${at + 1} has no end`);
    }
    const file = /^<!-- file: (\S+) -->$/.exec(lines[at - 1] ?? "")?.[1];
    const text = `${lines.slice(at + 1, end).join("\n")}\n`;
    blocks.push({ language, text, line: at + 1, ...(file !== undefined && { file }) });
    at = end;
  }
  return blocks;
}

function read(path: string): string {
  return readFileSync(new URL(path, `file://${repositoryRoot}`), "utf8");
}
