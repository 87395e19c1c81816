import { existsSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createProject, type Project, strictTsconfig } from "./support/project.js";
import {
  parseCodeBlocks,
  readAnchors,
  readCodeBlocks,
  readLinks,
  repositoryRoot,
} from "./support/readme.js";

const docs = join(repositoryRoot, "docs");
const pages = [
  "README.md",
  ...(existsSync(docs) ? readdirSync(docs, { recursive: true, encoding: "utf8" }) : [])
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`),
];

const isCode = (language: string) => ["ts", "js"].includes(language);

const snippets = pages.flatMap((page) =>
  readCodeBlocks(page)
    .filter(({ file, language }) => file === undefined && isCode(language))
    .map(({ language, text, line }) => ({
      name: `${page}:${line}`,
      file: `src/${page.replace(/\W+/g, "-")}-${line}.${language}`,
      text,
    })),
);

describe("code in the documentation", () => {
  let project: Project;
  let errors: string;
  beforeAll(() => {
    project = createProject("@valkey", "better-auth", "express", "fastify", "ioredis", "redis");
    for (const { file, text } of readCodeBlocks("README.md")) {
      if (file !== undefined) {
        project.write(file, text);
      }
    }
    for (const { file, text } of snippets) {
      project.write(file, text);
    }
    // named in the declarations of better-auth, but not part of every runtime
    project.write(
      "src/sqlite.d.ts",
      `declare module "bun:sqlite" { export class Database {} }
       declare module "node:sqlite" { export class DatabaseSync {} }`,
    );
    project.write("tsconfig.json", strictTsconfig);
    const generated = project.run("buf", "generate");
    if (generated.status !== 0) {
      throw new Error(generated.output);
    }
    // once for all blocks, as most of the time is the compiler's start
    errors = project.run("tsc", "--allowJs", "--checkJs").output;
  }, 120_000);
  afterAll(() => project?.remove());

  test("is there", () => {
    expect(snippets.length).toBeGreaterThan(0);
  });

  test.each(snippets)("compiles in $name", ({ file }) => {
    const own = errors.split("\n").filter((line) => line.includes(file));
    expect(own).toEqual([]);
  });

  test.each(snippets)("runs without a complaint in $name", ({ file }) => {
    const script = file.replace(/^src/, "out").replace(/\.ts$/, ".js");
    expect(project.run("node", script)).toEqual({ status: 0, output: "" });
  });

  test("compiles as a whole", () => {
    expect(errors).toBe("");
  });
});

describe("links in the documentation", () => {
  const links = pages.flatMap((page) =>
    readLinks(page).map((link) => ({ name: `${page}: ${link}`, page, link })),
  );

  test("are there", () => {
    expect(links.length).toBeGreaterThan(0);
  });

  test.each(links)("lead somewhere in $name", ({ page, link }) => {
    const [path = "", anchor] = link.split("#");
    const target = path === "" ? page : join(dirname(page), path);
    expect(existsSync(join(repositoryRoot, target))).toBe(true);
    if (anchor !== undefined) {
      expect(readAnchors(target)).toContain(anchor);
    }
  });
});

describe("parseCodeBlocks", () => {
  test("takes the file of a block from the line before it", () => {
    const text = "<!-- file: a/b.ts -->\n```ts\nx;\n```\n\n```sh\nls\n```\n";
    expect(parseCodeBlocks(text)).toEqual([
      { language: "ts", text: "x;\n", line: 2, file: "a/b.ts" },
      { language: "sh", text: "ls\n", line: 6 },
    ]);
  });

  test("rejects a block without an end", () => {
    expect(() => parseCodeBlocks("```ts\nx;\n")).toThrow(
      new Error("the block in line 1 has no end"),
    );
  });
});
