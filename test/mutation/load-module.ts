import { transformSync } from "esbuild";

/**
 * Runs a TypeScript module by itself, with `imports` as what it imports, by
 * specifier. Its exports; what it keeps is its own.
 */
export function loadModule<T extends object>(
  source: string,
  imports: Readonly<Record<string, object>>,
  isExpected: (exports: object) => exports is T,
): T {
  const { code } = transformSync(source, { loader: "ts", format: "cjs", target: "node20" });
  const module = { exports: {} };
  const require = (specifier: string): object => {
    const imported = imports[specifier];
    if (imported === undefined) {
      throw new Error(`no module for "${specifier}"`);
    }
    return imported;
  };
  new Function("module", "require", code)(module, require);
  if (!isExpected(module.exports)) {
    throw new Error(`other exports than expected: ${Object.keys(module.exports).join(", ")}`);
  }
  return module.exports;
}
