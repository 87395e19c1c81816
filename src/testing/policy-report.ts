import type { MethodPolicy } from "../policy/method-policy.js";
import type { ActualOutcome, ExpectedOutcome } from "./expected-outcome.js";
import type { PolicyCaller, PolicyCallerKind } from "./policy-callers.js";

/** One call, and what became of it. */
export interface PolicyCell {
  /** `package.Service/Method` */
  readonly method: string;
  readonly policy: MethodPolicy;
  readonly caller: PolicyCaller;
  readonly expected: ExpectedOutcome;
  readonly actual: ActualOutcome;
  /** What the caller was told, where the call was not allowed. */
  readonly message?: string;
  /** Whether the server did something else than the policy says. */
  readonly differs: boolean;
}

/** What `describePolicies` found. As a string it is the whole table. */
export interface PolicyReport {
  /** Every call, in the order of the tables. */
  readonly cells: readonly PolicyCell[];
  /** A sentence for each difference between table and server. Empty: there is none. */
  readonly differences: readonly string[];
  /** A table for people: a line for each method, a column for each kind of caller. */
  toString(): string;
}

/** Puts a report together. `drift`: differences that no call has shown. */
export function createPolicyReport(
  cells: readonly PolicyCell[],
  drift: readonly string[],
): PolicyReport {
  const differences = [...drift, ...cells.filter(({ differs }) => differs).map(describeDifference)];
  const report: PolicyReport = {
    cells,
    differences,
    toString: () => [...printTable(cells), "", ...printSummary(cells, differences), ""].join("\n"),
  };
  return report;
}

/** A policy in words: `requires roles [admin], scopes [users:write]`. */
export function describePolicy(policy: MethodPolicy): string {
  if (!("roles" in policy) || policy.roles.length + policy.scopes.length === 0) {
    return policy.kind;
  }
  return `${policy.kind} ${describeGrants(policy)}`;
}

function describeDifference({ method, caller, expected, actual, message }: PolicyCell): string {
  const told = message === undefined ? "" : ` (${message})`;
  return `${method}, called by ${describeCaller(caller)}: expected ${expected}, was ${actual}${told}`;
}

function describeCaller(caller: PolicyCaller): string {
  switch (caller.kind) {
    case "nobody":
      return "nobody";
    case "invalid":
      return "somebody with an invalid credential";
    case "underPrivileged":
    case "privileged":
      return `a user with ${describeGrants(caller)}`;
    case "internal":
    case "underPrivilegedInternal":
      return `an internal caller with ${describeGrants(caller)}`;
  }
}

function describeGrants({ roles, scopes }: Pick<PolicyCaller, "roles" | "scopes">): string {
  return `roles [${roles.join(", ")}], scopes [${scopes.join(", ")}]`;
}

const columnNames: Record<PolicyCallerKind, string> = {
  nobody: "nobody",
  invalid: "invalid",
  underPrivileged: "under-privileged",
  privileged: "privileged",
  internal: "internal",
  underPrivilegedInternal: "under-privileged internal",
};

/** A table for each service. */
function printTable(cells: readonly PolicyCell[]): string[] {
  const kinds = Object.keys(columnNames).filter((kind): kind is PolicyCallerKind =>
    cells.some(({ caller }) => caller.kind === kind),
  );
  const lines: string[] = [];
  for (const [service, ofService] of groupBy(cells, ({ method }) => method.replace(/\/.*/, ""))) {
    const rows = [...groupBy(ofService, ({ method }) => method)].map(([method, ofMethod]) => [
      method.slice(service.length + 1),
      ...ofMethod.slice(0, 1).map(({ policy }) => describePolicy(policy)),
      ...kinds.map((kind) => printCell(ofMethod.filter(({ caller }) => caller.kind === kind))),
    ]);
    const header = ["", "policy", ...kinds.map((kind) => columnNames[kind])];
    lines.push(...(lines.length > 0 ? [""] : []), service, ...alignColumns([header, ...rows]));
  }
  return lines;
}

/** What became of the callers of one kind, each outcome once. */
function printCell(cells: readonly PolicyCell[]): string {
  const outcomes = cells.map(
    (cell) => `${cell.differs ? "!" : ""}${cell.actual}${isLeftOpen(cell) ? "?" : ""}`,
  );
  return [...new Set(outcomes)].join(" / ");
}

/** Whether the outcome of a call says nothing about the server. */
function isLeftOpen({ expected, actual }: PolicyCell): boolean {
  return expected === "undecided" && actual !== "not tried";
}

function printSummary(cells: readonly PolicyCell[], differences: readonly string[]): string[] {
  const lines = cells.some(isLeftOpen) ? ["?  the policy leaves it to the server"] : [];
  if (differences.length > 0) {
    return [...lines, ...differences.map((difference) => `!  ${difference}`)];
  }
  const calls = cells.filter(({ actual }) => actual !== "not tried").length;
  const left = cells.length - calls;
  return [
    ...lines,
    `no differences in ${calls} calls${left > 0 ? `, ${left} were not tried` : ""}`,
  ];
}

function alignColumns(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  );
  return rows.map((row) =>
    `  ${row.map((text, column) => text.padEnd(widths[column] ?? 0)).join("  ")}`.trimEnd(),
  );
}

function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) {
      groups.set(key, [item]);
    } else {
      group.push(item);
    }
  }
  return groups;
}
