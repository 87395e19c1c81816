import { posix } from "node:path";
import type { Rule } from "./diagnostics.js";
import { exportsOf, outputName } from "./names.js";

/** Finds services whose generated code would export one name twice, and methods that become one in TypeScript. */
export const clashingNames: Rule = function* ({ services }) {
  const exportedBy = new Map<string, string>();
  for (const rules of services) {
    const { service, methods } = rules;
    const methodOf = new Map<string, string>();
    for (const { method } of methods) {
      const other = methodOf.get(method.localName);
      if (other !== undefined) {
        const message = `the methods ${other} and ${method.name} are both "${method.localName}" in TypeScript; rename one of them`;
        yield { on: method, path: [], message };
      }
      methodOf.set(method.localName, method.name);
    }
    for (const name of exportsOf(rules)) {
      const other = exportedBy.get(name);
      if (other !== undefined) {
        const message = `the services ${other} and ${service.name} both bring the export "${name}"; rename one of them, or move it to another file`;
        yield { on: service, path: [], message };
      }
      exportedBy.set(name, service.name);
    }
  }
};

/** Finds services that JavaScript cannot name. Names that protoc-gen-es knows how to avoid are fine. */
export const reservedNames: Rule = function* ({ services }) {
  for (const { service } of services) {
    // strict mode, and top-level await: no module can declare or import these
    if (/^(?:arguments|await|eval)$/.test(service.name)) {
      const message = `"${service.name}" cannot be declared in a JavaScript module, so the code that protoc-gen-es prints for it does not run either; rename it`;
      yield { on: service, path: [], message };
    }
  }
};

/** Finds files whose generated code would not be in the output folder. */
export const outputOutside: Rule = function* (rules) {
  const name = outputName(rules.file);
  // a drive letter and a backslash are a way out on Windows
  if (posix.isAbsolute(name) || /^\.\.(?:\/|$)|\\|^[A-Za-z]:/.test(posix.normalize(name))) {
    const message = `${JSON.stringify(name)} is not a path inside of the output folder; give the proto file a relative path with "/", without ".."`;
    yield { on: rules.file, path: [], message };
  }
};
