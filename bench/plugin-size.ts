import { packReport } from "../test/support/project.js";
import type { Row } from "./row.js";

/** What the plugin takes on disk. It depends on no other package. */
export function benchPluginSize(): Row[] {
  const { files } = packReport("plugin", "--dry-run");
  return [
    {
      name: "plugin package, unpacked, with all it depends on",
      against: "nothing",
      value: files.reduce((sum, { size }) => sum + size, 0),
      unit: "bytes",
      bound: 1_000_000,
      aim: 500_000,
    },
  ];
}
