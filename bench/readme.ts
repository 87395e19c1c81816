import { readFile, writeFile } from "node:fs/promises";
import type { Row } from "./row.js";

const readme = new URL("../README.md", import.meta.url);

/**
 * Puts the rows between the marks in the README: in place of all that are
 * there, or, of a `part`, of those of the same name.
 */
export async function updateReadme(rows: readonly Row[], part: boolean): Promise<void> {
  const text = await readFile(readme, "utf8");
  const marks = /(<!-- bench:start -->\n)(.*)(<!-- bench:end -->)/s;
  const [, , former] = marks.exec(text) ?? [];
  if (former === undefined) {
    throw new Error("the README has no marks for the benchmarks");
  }
  const lines = new Map(
    (part ? former.split("\n").slice(2, -1) : []).map((line) => [
      line.split(" | ").slice(0, 2).join(" | "),
      line,
    ]),
  );
  for (const { name, against, value, bound, unit } of rows) {
    const what = `| ${name} | ${against}`;
    lines.set(what, `${what} | ${show(value, unit)} | ${show(bound, unit)} |`);
  }
  const head = ["| what | against | measured | bound |", "|---|---|---|---|"];
  const table = [...head, ...lines.values()].join("\n");
  await writeFile(
    readme,
    text.replace(marks, (_, start, _former, end) => `${start}${table}\n${end}`),
  );
}

function show(value: number, unit: Row["unit"]): string {
  switch (unit) {
    case "bytes":
      return `${value} bytes`;
    case "requests":
      return String(value);
    case "ratio":
      return value.toFixed(2);
  }
}
