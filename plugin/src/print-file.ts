import type { Printable, Schema } from "@bufbuild/protoplugin";
import { methodName } from "../../src/policy/method-policy.js";
import { readComments } from "./doc-text.js";
import { importService } from "./import-service.js";
import { namesOf, outputName } from "./names.js";
import { printClient } from "./print-client.js";
import { printMethodLists } from "./print-method-lists.js";
import { extensions, printPolicies, type ServicePrint, type Target } from "./print-service.js";
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
  const all = services.flatMap(({ methods }) => methods);
  printMethodLists(f, target, "this file", ({ kind }) => {
    const listed = all.filter(({ policy }) => policy.kind === kind);
    return lines(listed.map(({ method }) => f.string(methodName(method))));
  });
  services.forEach(printClient);
}

/** A list with an item on each line. */
function lines(items: readonly Printable[]): Printable {
  return items.length === 0 ? "[]" : ["[\n", items.map((item) => ["    ", item, ",\n"]), "  ]"];
}
