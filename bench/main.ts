import { writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { benchBundleSize } from "./bundle-size.js";
import { benchClientCall } from "./client-call.js";
import { benchOAuthCall } from "./oauth-call.js";
import { benchPluginGrowth } from "./plugin-growth.js";
import { benchPluginSize } from "./plugin-size.js";
import { benchPluginScale, benchPluginStart } from "./plugin-speed.js";
import { benchPolicyScale } from "./policy-scale.js";
import { updateReadme } from "./readme.js";
import { formatJson, formatTable, isWithinBound, type Row } from "./row.js";
import { benchServerCall } from "./server-call.js";
import { benchTypeCheck } from "./type-check.js";

const { values: options } = parseArgs({
  options: {
    /** Also what takes minutes. */
    full: { type: "boolean", default: false },
    /** Exit with 1 if a number is above its bound. */
    check: { type: "boolean", default: false },
    /** Write the JSON lines to this file instead of below the table. */
    json: { type: "string" },
    /** Put the table into the README. With `only`: these rows of it. */
    readme: { type: "boolean", default: false },
    /** Only this group; may be repeated. */
    only: { type: "string", multiple: true, default: [] },
  },
});

const groups = new Map<string, () => Row[] | Promise<Row[]>>([
  ["client", benchClientCall],
  ["oauth", benchOAuthCall],
  ["server", benchServerCall],
  ["policy", benchPolicyScale],
  ["bundle", benchBundleSize],
  ["start", benchPluginStart],
  ["types", benchTypeCheck],
  [
    "scale",
    async () => [
      ...benchPluginSize(),
      ...benchPluginGrowth(options.full),
      ...(await benchPluginScale(options.full)),
    ],
  ],
]);

const rows: Row[] = [];
for (const [name, bench] of groups) {
  if (options.only.length === 0 || options.only.includes(name)) {
    process.stderr.write(`${name} ...\n`);
    rows.push(...(await bench()));
  }
}
const lines = rows.map((row) => `${formatJson(row)}\n`).join("");
console.log(`Node ${process.version}\n\n${formatTable(rows)}\n`);
if (options.json === undefined) {
  console.log(lines);
} else {
  await writeFile(options.json, lines);
}
if (options.readme) {
  await updateReadme(rows, options.only.length > 0);
}
if (options.check && !rows.every(isWithinBound)) {
  process.exitCode = 1;
}
