import type { GeneratedFile, Printable } from "@bufbuild/protoplugin";
import type { Target } from "./print-service.js";

/** A generated function that lists methods, and the kind of their policies. */
export interface MethodList {
  readonly name: "getPublicMethods" | "getInternalMethods";
  readonly kind: "public" | "internal";
}

const lists: readonly (MethodList & { readonly which: string })[] = [
  { name: "getPublicMethods", kind: "public", which: "that a server leaves unauthenticated" },
  { name: "getInternalMethods", kind: "internal", which: "that only other services may call" },
];

/** Prints the functions that list methods. `of`: whose methods they are. `returned`: what they return. */
export function printMethodLists(
  f: GeneratedFile,
  target: Target,
  of: string,
  returned: (list: MethodList) => Printable,
): void {
  for (const list of lists) {
    f.print(f.jsDoc(`Methods of ${of} ${list.which}, as "package.Service/Method".`));
    if (target === "dts") {
      f.print`${f.export("declare function", list.name)}(): readonly string[];`;
    } else {
      const type = target === "ts" ? ": readonly string[]" : "";
      f.print`${f.export("function", list.name)}()${type} {`;
      f.print`  return ${returned(list)};`;
      f.print`}`;
    }
    f.print();
  }
}
