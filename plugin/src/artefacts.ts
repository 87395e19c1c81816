import type { Schema } from "@bufbuild/protoplugin";
import type { PluginOptions } from "./options.js";
import { printOpenapi } from "./print-openapi.js";
import type { FileRules } from "./read-policies.js";

/** What is printed once for a run, whatever the targets are. */
export type PrintArtefact = (schema: Schema<PluginOptions>, files: readonly FileRules[]) => void;

/** Each prints nothing where its option is not set. */
export const artefacts: readonly PrintArtefact[] = [printOpenapi];
