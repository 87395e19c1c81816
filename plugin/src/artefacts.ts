import type { PluginOptions } from "./options.js";
import { printMatrix } from "./print-matrix.js";
import { printOpenapi } from "./print-openapi.js";
import { printSnapshot } from "./print-snapshot.js";
import type { FileRules } from "./read-policies.js";

/** A file that is no code: protoplugin would begin it like a script with `js_import_style=legacy_commonjs`. */
export interface TextFile {
  readonly name: string;
  readonly content: string;
}

/** What is printed once for a run, whatever the targets are. Nothing where its option is not set. */
export type PrintArtefact = (
  options: PluginOptions,
  files: readonly FileRules[],
) => readonly TextFile[];

/** Prints all that there is once for a run. Nothing for a run without services. */
export function printArtefacts(options: PluginOptions, files: readonly FileRules[]): TextFile[] {
  return files.some(({ services }) => services.length > 0)
    ? artefacts.flatMap((print) => print(options, files))
    : [];
}

const artefacts: readonly PrintArtefact[] = [printSnapshot, printMatrix, printOpenapi];
