import { create } from "@bufbuild/protobuf";
import {
  type CodeGeneratorRequest,
  CodeGeneratorRequestSchema,
  CodeGeneratorResponse_FileSchema,
} from "@bufbuild/protobuf/wkt";
import { createEcmaScriptPlugin, type Plugin, type Schema } from "@bufbuild/protoplugin";
import packageJson from "../package.json" with { type: "json" };
import { printArtefacts, type TextFile } from "./artefacts.js";
import { findProblems, formatProblems, ProblemsError } from "./diagnostics.js";
import { type PluginOptions, parseOptions } from "./options.js";
import { checkOutputNames } from "./output-names.js";
import { printFile } from "./print-file.js";
import { indexPreamble, printIndex } from "./print-index.js";
import type { Target } from "./print-service.js";
import { readPolicies } from "./read-policies.js";
import { guardSplitRun } from "./split-run.js";

/** Where warnings go. */
export type Warn = (text: string) => void;

/** The plugin, for one run: a plugin keeps state between runs. `warn` gets lines, the last one ended. */
export function createPlugin(warn: Warn): Plugin {
  let isFirstTarget = true;
  const preambles = new Map<string, string>();
  const texts: TextFile[] = [];
  const generate = (schema: Schema<PluginOptions>, target: Target): void => {
    const files = schema.files.map(readPolicies);
    const problems = findProblems(files, schema.options);
    if (problems.some(({ severity }) => severity === "error")) {
      throw new ProblemsError(problems);
    }
    checkOutputNames(schema.options, files);
    for (const file of files) {
      printFile(schema, file, target);
    }
    const index = printIndex(schema, files, target);
    if (index !== undefined) {
      preambles.set(index, indexPreamble(schema));
    }
    if (isFirstTarget) {
      isFirstTarget = false;
      warn(formatProblems(problems));
      texts.push(...printArtefacts(schema.options, files));
    }
  };
  const plugin = createEcmaScriptPlugin({
    name: packageJson.name,
    version: `v${packageJson.version}`,
    parseOptions,
    // TypeScript would be loaded to make a target that is left out here.
    generateTs: generate,
    generateJs: generate,
    generateDts: generate,
  });
  return {
    ...plugin,
    run(req) {
      const response = plugin.run(withoutIdleFiles(req));
      const indexes = response.file.filter(({ name }) => preambles.has(name));
      for (const file of indexes) {
        file.content = `${preambles.get(file.name)}${file.content}`;
      }
      const others = texts.map((file) => create(CodeGeneratorResponse_FileSchema, file));
      response.file.push(...others, ...guardSplitRun(req, [...indexes, ...others]));
      return response;
    },
  };
}

/**
 * Takes files without services off the list, unless empty output may be wanted
 * for them: the time that protoplugin takes grows with the square of the list.
 */
function withoutIdleFiles(req: CodeGeneratorRequest): CodeGeneratorRequest {
  if (req.parameter.includes("keep_empty_files")) {
    return req;
  }
  const idle = new Set<string>();
  for (const { name, service } of req.protoFile) {
    if (service.length === 0) {
      idle.add(name);
    }
  }
  // a spread alone would lose the defaults of fields that are not set
  return Object.assign(create(CodeGeneratorRequestSchema), req, {
    fileToGenerate: req.fileToGenerate.filter((name) => !idle.has(name)),
  });
}
