import type { DescService } from "@bufbuild/protobuf";
import {
  type GeneratedFile,
  type ImportSymbol,
  type Schema,
  safeIdentifier,
} from "@bufbuild/protoplugin";
import { readComments } from "./doc-text.js";
import { namesOf, outputName } from "./names.js";
import { printClient } from "./print-client.js";
import { printPolicies, type ServicePrint, type Target } from "./print-service.js";
import { reachOf } from "./reach.js";
import type { FileRules } from "./read-policies.js";

const extensions = { ts: ".ts", js: ".js", dts: ".d.ts" } as const;

/** Prints `<proto>_auth` beside `<proto>_pb`. It stays empty for a proto file without services. */
export function printFile(schema: Schema, rules: FileRules, target: Target): void {
  const f = schema.generateFile(`${outputName(rules.file)}${extensions[target]}`);
  if (rules.services.length === 0) {
    return;
  }
  f.preamble(rules.file);
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
  printMethodLists(f, services, target);
  services.forEach(printClient);
}

/**
 * The service in `<proto>_pb`. For every call, `importSchema()` looks for names
 * that clash among all types of the file, which takes longer than all printing.
 * So it is asked only where a clash is possible, with the name of a nested type
 * or of a descriptor, or where `map_imports` may say that the file is elsewhere.
 */
function importService(schema: Schema, f: GeneratedFile, service: DescService): ImportSymbol {
  const mayClash = /_|Schema$/.test(service.name);
  return mayClash || schema.options.mapImports.length > 0
    ? f.importSchema(service)
    : f.import(safeIdentifier(service.name), `./${service.file.name}_pb.js`);
}

function printMethodLists(f: GeneratedFile, services: ServicePrint[], target: Target): void {
  const tables = services.map(({ names }) => names.policies);
  const array = tables.length < 4 ? f.array(tables) : `[\n    ${tables.join(",\n    ")},\n  ]`;
  const lists = [
    ["getPublicMethods", "that a server leaves unauthenticated"],
    ["getInternalMethods", "that only other services may call"],
  ] as const;
  for (const [name, which] of lists) {
    f.print(f.jsDoc(`Methods of this file ${which}, as "package.Service/Method".`));
    if (target === "dts") {
      f.print`${f.export("declare function", name)}(): readonly string[];`;
    } else {
      const returns = target === "ts" ? ": readonly string[]" : "";
      f.print`${f.export("function", name)}()${returns} {`;
      f.print`  return ${f.import(name, "connectrpc-auth")}(${array});`;
      f.print`}`;
    }
    f.print();
  }
}
