import type { GeneratedFile, Printable } from "@bufbuild/protoplugin";
import type { Target } from "./print-service.js";

/** Prints the functions that list methods. `tables`: the list of policy tables. `of`: whose methods they are. */
export function printMethodLists(
  f: GeneratedFile,
  target: Target,
  tables: Printable,
  of: string,
): void {
  const lists = [
    ["getPublicMethods", "that a server leaves unauthenticated"],
    ["getInternalMethods", "that only other services may call"],
  ] as const;
  for (const [name, which] of lists) {
    f.print(f.jsDoc(`Methods of ${of} ${which}, as "package.Service/Method".`));
    if (target === "dts") {
      f.print`${f.export("declare function", name)}(): readonly string[];`;
    } else {
      const returns = target === "ts" ? ": readonly string[]" : "";
      f.print`${f.export("function", name)}()${returns} {`;
      f.print`  return ${f.import(name, "connectrpc-auth")}(${tables});`;
      f.print`}`;
    }
    f.print();
  }
}
