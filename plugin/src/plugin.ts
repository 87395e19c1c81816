import type { DescService } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import { CodeGeneratorResponse_FileSchema, type FileDescriptorProto } from "@bufbuild/protobuf/wkt";
import { createEcmaScriptPlugin, type Plugin, type Schema } from "@bufbuild/protoplugin";
import { checkOptionsSchema } from "../../src/policy/options-schema.js";
import packageJson from "../package.json" with { type: "json" };
import { printArtefacts, type TextFile } from "./artefacts.js";
import { findProblems, formatProblems, ProblemsError } from "./diagnostics.js";
import { leanRequest } from "./lean-request.js";
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
  let isWanted = (_: FileDescriptorProto): boolean => true;
  const preambles = new Map<string, string>();
  const texts: TextFile[] = [];
  const generate = (schema: Schema<PluginOptions>, target: Target): void => {
    const wanted = schema.allFiles.filter(({ proto }) => isWanted(proto));
    wanted.flatMap(({ services }) => services).forEach(checkSchemas);
    const files = wanted.map(readPolicies);
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
      const lean = leanRequest(req);
      isWanted = lean.isWanted;
      const response = plugin.run(lean.request);
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

/** Throws where an option of somebody else would be read as an access rule. */
function checkSchemas({ methods }: DescService): void {
  methods.forEach(checkOptionsSchema);
}
