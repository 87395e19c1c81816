import type { DescFile, DescMethod, DescService } from "@bufbuild/protobuf";
import { compareText } from "./compare-text.js";
import type { PluginOptions } from "./options.js";
import { readPositions } from "./position.js";
import type { FileRules } from "./read-policies.js";
import { unusedDefault } from "./rules-on-defaults.js";
import { openToWrites, undecided, unreachable } from "./rules-on-methods.js";
import { clashingNames, outputOutside, reservedNames } from "./rules-on-names.js";
import { contradictingAnnotation } from "./rules-on-openapi.js";
import {
  policyWithoutEffect,
  publicAndInternal,
  publicAndRestricted,
  unknownPolicy,
} from "./rules-on-policies.js";
import { emptyRequirements, malformedRequirements } from "./rules-on-requirements.js";
import { visibleText } from "./visible-text.js";

/** What a rule finds wrong, and where. */
export interface Finding {
  readonly on: DescFile | DescService | DescMethod;
  /** Field numbers, and indexes of list items, in the option on that element. Empty: the element as a whole. */
  readonly path: readonly number[];
  /** What is wrong; what to write instead. */
  readonly message: string;
}

/** Looks at a file for problems of one kind. */
export type Rule = (rules: FileRules, options: PluginOptions) => Iterable<Finding>;

/** Whether output is refused. `strict`: off, unless warnings are errors. */
export type Severity = "error" | "warning" | "strict";

/** The rules by their codes. A code has one meaning for good. */
const rules: readonly (readonly [code: string, severity: Severity, rule: Rule])[] = [
  ["AUTH001", "warning", undecided],
  ["AUTH002", "error", unknownPolicy],
  ["AUTH003", "error", publicAndRestricted],
  ["AUTH004", "error", publicAndInternal],
  ["AUTH005", "warning", emptyRequirements],
  ["AUTH006", "warning", policyWithoutEffect],
  ["AUTH007", "error", malformedRequirements],
  ["AUTH008", "warning", unusedDefault],
  ["AUTH009", "warning", unreachable],
  ["AUTH010", "error", clashingNames],
  ["AUTH010", "error", reservedNames],
  ["AUTH010", "error", outputOutside],
  ["AUTH011", "strict", openToWrites],
  ["AUTH012", "error", contradictingAnnotation],
];

/** All codes in order, with their severities. */
export const severities: ReadonlyMap<string, Severity> = new Map(
  rules.map(([code, severity]) => [code, severity]),
);

/** A finding of a rule, at a place in a proto file. */
export interface Problem extends Finding {
  readonly code: string;
  readonly severity: "error" | "warning";
  readonly file: string;
  /** Counted from 1, like the column. */
  readonly line: number;
  readonly column: number;
}

/** All problems in the files that the options do not silence, by place. */
export function findProblems(files: readonly FileRules[], options: PluginOptions): Problem[] {
  const problems = files.flatMap((file) => problemsIn(file, options));
  // at the same place the order of the rules stays
  return problems.sort(
    (a, b) => compareText(a.file, b.file) || a.line - b.line || a.column - b.column,
  );
}

function problemsIn(file: FileRules, options: PluginOptions): Problem[] {
  const { allow, strict } = options;
  const found = rules.flatMap(([code, severity, rule]) => {
    const isOff = severity !== "error" && (allow.has(code) || (severity === "strict" && !strict));
    return isOff
      ? []
      : Array.from(rule(file, options), (finding) => ({ ...finding, code, severity }));
  });
  if (found.length === 0) {
    return [];
  }
  const broken = new Set(found.filter(({ severity }) => severity === "error").map(settingOf));
  const positionOf = readPositions(file.file);
  return found
    .filter(
      // where the setting itself is wrong, more about it would only contradict
      (finding) =>
        finding.severity === "error" ||
        finding.path.length === 0 ||
        !broken.has(settingOf(finding)),
    )
    .map((finding) => ({
      ...finding,
      ...positionOf(finding),
      severity: finding.severity === "error" || strict ? "error" : "warning",
      file: file.file.proto.name,
    }));
}

/** Names what a finding is about: the same text for the same field of the same option. */
function settingOf({ on, path }: Finding): string {
  return `${nameOf(on)} ${path}`;
}

/** A line for each problem. */
export function formatProblems(problems: readonly Problem[]): string {
  return problems.map((problem) => `${oneLine(formatProblem(problem))}\n`).join("");
}

/** The problems of a run. Its message has a line for each. */
export class ProblemsError extends Error {
  constructor(problems: readonly Problem[]) {
    super(formatProblems(problems));
  }
}

/** Puts a message on one line, whatever the proto file contains. */
export function oneLine(text: string): string {
  const lines = text.split("\n");
  const line = lines.length > 1 ? lines.map((part) => part.trim()).join(" ") : text;
  return visibleText(line);
}

function formatProblem(problem: Problem): string {
  const { file, line, column, severity, code, on, message } = problem;
  return `${file}:${line}:${column}: ${severity} ${code} ${nameOf(on)}: ${message}`;
}

function nameOf(on: Finding["on"]): string {
  switch (on.kind) {
    case "file":
      return on.proto.name;
    case "service":
      return on.typeName;
    case "rpc":
      return `${on.parent.typeName}.${on.name}`;
  }
}
