import type { Schema } from "@bufbuild/protoplugin";
import { readComments } from "./doc-text.js";
import { importService } from "./import-service.js";
import { namesOf, outputName } from "./names.js";
import { printClient } from "./print-client.js";
import { printMethodLists } from "./print-method-lists.js";
import {
  extensions,
  printPolicies,
  type ServicePrint,
  type Target,
  tupleIn,
} from "./print-service.js";
import { reachOf } from "./reach.js";
import type { FileRules } from "./read-policies.js";
import { withoutDirectives } from "./without-directives.js";

/** Prints `<proto>_auth` beside `<proto>_pb`. It stays empty for a proto file without services. */
export function printFile(schema: Schema, rules: FileRules, target: Target): void {
  const f = schema.generateFile(`${outputName(rules.file)}${extensions[target]}`);
  if (rules.services.length === 0) {
    return;
  }
  f.preamble(withoutDirectives(rules.file));
  const comments = readComments(rules.file);
  const services = rules.services.map(
    (service): ServicePrint => ({
      ...service,
      f,
      target,
      schema: importService(schema, f, service.service),
      names: namesOf(service.service),
      reach: reachOf(service.methods),
      comments,
    }),
  );
  services.forEach(printPolicies);
  const tables = services.map(({ names }) => names.policies);
  const array = tables.length < 4 ? f.array(tables) : `[\n    ${tables.join(",\n    ")},\n  ]`;
  const list = tables.length > 1 ? [array, tupleIn(target)] : array;
  printMethodLists(f, target, list, "this file");
  services.forEach(printClient);
}
