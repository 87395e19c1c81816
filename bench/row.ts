/** One line of the table: a measured number and what it must hold. */
export interface Row {
  readonly name: string;
  readonly against: string;
  /** What was measured; the lower the better. A ratio says the same on every machine. */
  readonly value: number;
  readonly unit: "ratio" | "bytes" | "requests";
  /** The most that is accepted. */
  readonly bound: number;
  /** What we want to reach. */
  readonly aim: number;
}

/** Whether the number is within its bound. */
export function isWithinBound(row: Row): boolean {
  return row.value <= row.bound;
}

/** The rows as an aligned table. */
export function formatTable(rows: readonly Row[]): string {
  const header = ["what", "against", "measured", "bound", "aim", ""];
  const lines = rows.map((row) => [
    row.name,
    row.against,
    formatNumber(row, row.value),
    formatNumber(row, row.bound),
    formatNumber(row, row.aim),
    verdict(row),
  ]);
  const widths = header.map((title, column) =>
    Math.max(title.length, ...lines.map((line) => line[column]?.length ?? 0)),
  );
  return [header, ...lines]
    .map((cells) => {
      const padded = cells.map((cell, column) => {
        const width = widths[column] ?? 0;
        return column < 2 ? cell.padEnd(width) : cell.padStart(width);
      });
      return padded.join("  ").trimEnd();
    })
    .join("\n");
}

/** The row as one line of JSON. */
export function formatJson(row: Row): string {
  const value = row.unit === "ratio" ? Number(row.value.toFixed(4)) : row.value;
  return JSON.stringify({ ...row, value, ok: isWithinBound(row), node: process.version });
}

function formatNumber(row: Row, value: number): string {
  switch (row.unit) {
    case "bytes":
      return `${value} B`;
    case "requests":
      return String(value);
    case "ratio":
      return value.toFixed(3);
  }
}

function verdict(row: Row): string {
  if (!isWithinBound(row)) {
    return "above bound";
  }
  return row.value <= row.aim ? "ok" : "ok, above aim";
}
