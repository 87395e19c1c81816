import { createEcmaScriptPlugin, type Plugin, type Schema } from "@bufbuild/protoplugin";
import packageJson from "../package.json" with { type: "json" };
import { findProblems, ProblemsError } from "./diagnostics.js";
import { printFile } from "./print-file.js";
import type { Target } from "./print-service.js";
import { readPolicies } from "./read-policies.js";

/** The plugin, for one run: a plugin keeps state between runs. */
export function createPlugin(): Plugin {
  return createEcmaScriptPlugin({
    name: packageJson.name,
    version: `v${packageJson.version}`,
    // TypeScript would be loaded to make a target that is left out here.
    generateTs: generate,
    generateJs: generate,
    generateDts: generate,
  });
}

function generate(schema: Schema, target: Target): void {
  const files = schema.files.map(readPolicies);
  const problems = findProblems(files);
  if (problems.length > 0) {
    throw new ProblemsError(problems);
  }
  for (const file of files) {
    printFile(schema, file, target);
  }
}
