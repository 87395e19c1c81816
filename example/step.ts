/** Something that was tried: what was to come of it, and what did. */
export interface Step {
  readonly name: string;
  /** What came of it, a column each. */
  readonly actual: readonly string[];
  readonly promised: readonly string[];
}

/** Whether it came out as promised. */
export function isKept({ actual, promised }: Step): boolean {
  return actual.join("\n") === promised.join("\n");
}

/** A table of steps: ✓ where they came out as promised, ✗ with what was promised where not. */
export function renderSteps(columns: readonly string[], steps: readonly Step[]): string {
  return [
    line(`  ${columns[0] ?? ""}`, columns.slice(1)),
    ...steps.flatMap((step) => [
      line(`${isKept(step) ? "✓" : "✗"} ${step.name}`, step.actual),
      ...(isKept(step) ? [] : [line("  promised was", step.promised)]),
    ]),
  ].join("\n");
}

function line(name: string, cells: readonly string[]): string {
  return [name.padEnd(44), ...cells.map((cell) => cell.padEnd(15))].join(" ").trimEnd();
}
