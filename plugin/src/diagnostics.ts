import type { FileRules } from "./read-policies.js";

/** Something that has to change in a proto file. */
export interface Problem {
  readonly line: string;
}

/** The problems of a run, a line each. */
export class ProblemsError extends Error {
  constructor(problems: readonly Problem[]) {
    super(problems.map(({ line }) => `${line}\n`).join(""));
  }
}

/** All problems of the files. */
export function findProblems(_files: readonly FileRules[]): Problem[] {
  return [];
}
