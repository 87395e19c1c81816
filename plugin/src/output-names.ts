import { outputName } from "./names.js";
import type { PluginOptions } from "./options.js";
import type { FileRules } from "./read-policies.js";

/** Throws where a file that is printed once for a run would be written over by another one. */
export function checkOutputNames(options: PluginOptions, files: readonly FileRules[]): void {
  const taken = new Map(files.map(({ file }) => [keyOf(outputName(file)), file.proto.name]));
  const named: [option: string, name: string | undefined][] = [
    ["index_file", options.indexFile],
    ["snapshot_file", options.snapshotFile],
    ...options.matrixFiles.map((name): [string, string] => ["matrix_file", name]),
    ["openapi_security_file", options.openapiSecurityFile],
  ];
  for (const [option, name] of named) {
    if (name === undefined) {
      continue;
    }
    const other = taken.get(keyOf(name));
    if (other !== undefined) {
      throw new Error(
        `option ${option}=${name} names what is printed for ${other}; choose another name`,
      );
    }
    taken.set(keyOf(name), option);
  }
}

/** On some file systems, names that differ in case are one. */
function keyOf(name: string): string {
  return name.toLowerCase();
}
