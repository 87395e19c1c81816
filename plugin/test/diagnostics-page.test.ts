import { readFileSync } from "node:fs";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { type CodeGeneratorRequest, CodeGeneratorRequestSchema } from "@bufbuild/protobuf/wkt";
import { describe, expect, test } from "vitest";
import { parseCodeBlocks } from "../../test/support/readme.js";
import { severities } from "../src/diagnostics.js";
import { readingWords } from "../src/rules-on-methods.js";
import { compile, problemsOf, root, runWithWarnings } from "./generate.js";

const page = readFileSync(join(root, "docs", "diagnostics.md"), "utf8");
const [introduction = "", ...sections] = page.split(/^## /m);

const path = "acme/v1/shop.proto";

/** What each example begins with. */
const head = parseCodeBlocks(introduction).find(({ language }) => language === "proto")?.text ?? "";

/** What one example imports: a small part of gnostic's schema. */
const annotations = `syntax = "proto3";
package openapi.v3;
import "google/protobuf/descriptor.proto";
extend google.protobuf.MethodOptions { Operation operation = 1143; }
message Operation { repeated SecurityRequirement security = 11; }
message SecurityRequirement {}
`;

/** A proto file that is wrong, what is printed for it, and how it is right. */
interface Example {
  readonly code: string;
  readonly wrong: string;
  readonly lines: readonly string[];
  readonly repaired: string;
  /** Options that the example needs. */
  readonly options: readonly string[];
}

/** The examples of a section: each is a proto file, the lines, and a proto file again. */
function examplesOf(section: string): Example[] {
  const code = section.slice(0, section.indexOf("\n"));
  const blocks = parseCodeBlocks(section);
  const yaml = blocks.find(({ language }) => language === "yaml")?.text ?? "";
  const options = /^opt: \[(.*)\]$/m.exec(yaml)?.[1]?.split(", ") ?? [];
  const others = blocks.filter(({ language }) => language !== "yaml");
  return others.flatMap(({ language, text }, i): Example[] => {
    if (language !== "text") {
      return [];
    }
    const [before, after] = [others[i - 1], others[i + 1]];
    if (before?.language !== "proto" || after?.language !== "proto") {
      throw new Error(`the lines for ${code} stand between no two proto files: ${text}`);
    }
    const lines = text.trimEnd().split("\n");
    return [{ code, wrong: before.text, lines, repaired: after.text, options }];
  });
}

const examples = sections.flatMap(examplesOf);

function request(proto: string): CodeGeneratorRequest {
  const sources = {
    [path]: head + proto,
    ...(proto.includes("openapiv3/") && { "openapiv3/annotations.proto": annotations }),
  };
  return create(CodeGeneratorRequestSchema, {
    protoFile: compile(sources),
    fileToGenerate: [path],
  });
}

function linesOf(req: CodeGeneratorRequest, options: readonly string[]): string[] {
  req.parameter = ["target=ts", ...options].join(",");
  const errors = problemsOf(req);
  return errors.length > 0 ? errors : runWithWarnings(req).warnings;
}

test("each code has a section, with an example, in order", () => {
  expect(sections.map((section) => section.split("\n")[0])).toEqual([...severities.keys()]);
  expect([...new Set(examples.map(({ code }) => code))]).toEqual([...severities.keys()]);
  const blocks = sections.flatMap(parseCodeBlocks);
  expect(blocks.filter(({ language }) => language === "proto")).toHaveLength(examples.length * 2);
});

test("the table says which are warnings", () => {
  const rows = [...introduction.matchAll(/^\| \[(AUTH\d+)\]\(#auth\d+\) \| (.*?) \|/gm)];
  const words = { error: "error", warning: "warning", strict: "warning, with `strict=true` only" };
  expect(rows.map(([, code, is]) => [code, is])).toEqual(
    [...severities].map(([code, severity]) => [code, words[severity]]),
  );
});

test("each warning has a sentence on when to silence it, and no error has", () => {
  const silenced = sections.filter((section) => /\bSilence it (?:where|for)\b/.test(section));
  expect(silenced.map((section) => section.split("\n")[0])).toEqual(
    [...severities].flatMap(([code, severity]) => (severity === "error" ? [] : [code])),
  );
});

test("the words that read are listed", () => {
  const section = sections.find((text) => text.startsWith("AUTH011")) ?? "";
  const list = /first word of its name: (.*?)\./s.exec(section)?.[1] ?? "";
  expect([...list.matchAll(/`(\w+)`/g)].map(([, word]) => word)).toEqual(readingWords);
});

describe.each(examples)("the example $lines", ({ code, wrong, lines, repaired, options }) => {
  test("is what the plugin prints, and nothing else", () => {
    const req = request(wrong);
    expect(linesOf(req, options)).toEqual(lines);
    expect(lines.every((line) => line.includes(` ${code} `))).toBe(true);

    if (severities.get(code) !== "error") {
      expect(linesOf(req, [...options, `allow=${code}`])).toEqual([]);
      const strict = lines.map((line) => line.replace(": warning AUTH", ": error AUTH"));
      expect(linesOf(req, ["strict=true"])).toEqual(strict);
    }
  });

  test("has nothing wrong once it is repaired", () => {
    const req = request(repaired);
    expect(linesOf(req, options)).toEqual([]);
    expect(linesOf(req, [...new Set([...options, "strict=true"])])).toEqual([]);
  });
});

test("the line in the introduction is one of an example", () => {
  const line = parseCodeBlocks(introduction).find(({ language }) => language === "text")?.text;
  expect(examples.flatMap(({ lines }) => lines)).toContain(line?.trimEnd());
});
