import { readFile, writeFile } from "node:fs/promises";
import type { Row } from "./row.js";

const readme = new URL("../README.md", import.meta.url);

/** Puts the rows between the marks in the README. */
export async function updateReadme(rows: readonly Row[]): Promise<void> {
  const text = await readFile(readme, "utf8");
  const marks = /(<!-- bench:start -->\n).*(<!-- bench:end -->)/s;
  if (!marks.test(text)) {
    throw new Error("the README has no marks for the benchmarks");
  }
  const lines = rows.map(
    ({ name, against, value, bound, unit }) =>
      `| ${name} | ${against} | ${show(value, unit)} | ${show(bound, unit)} |`,
  );
  const table = ["| what | against | measured | bound |", "|---|---|---|---|", ...lines].join("\n");
  await writeFile(
    readme,
    text.replace(marks, (_, start, end) => `${start}${table}\n${end}`),
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
