import { Code } from "@connectrpc/connect";
import type { MethodPolicy, Requirements } from "connectrpc-auth";
import { allAsPromised, isAsPromised, type Row } from "./compare.js";
import type { Outcome } from "./promise.js";

/** The table of methods and callers, with what it shows above it and what came of it below. */
export function renderTable(rows: readonly Row[]): string {
  const callers = rows[0]?.cells.map(({ caller }) => caller) ?? [];
  const lines = [
    "Every method, called by everyone with what they have: ✓ where the answer is what the proto",
    "files promise, ✗ where it is not. unauth = Unauthenticated, denied = PermissionDenied.",
    "",
    line("", callers, "who may call it"),
  ];
  let service = "";
  for (const { method, policy, cells } of rows) {
    if (method.parent.name !== service) {
      service = method.parent.name;
      lines.push(service);
    }
    const answers = cells.map((cell) => `${isAsPromised(cell) ? "✓" : "✗"} ${short(cell.actual)}`);
    lines.push(line(`  ${method.name}`, answers, describe(policy)));
  }
  return [...lines, "", ...summary(rows)].join("\n");
}

function summary(rows: readonly Row[]): string[] {
  const count = rows.reduce((sum, { cells }) => sum + cells.length, 0);
  if (allAsPromised(rows)) {
    return [`All ${count} answers are as promised.`];
  }
  return rows.flatMap(({ method, cells }) =>
    cells
      .filter((cell) => !isAsPromised(cell))
      .map(
        ({ caller, promised, actual }) =>
          `✗ ${method.parent.name}/${method.name} by ${caller}: ${long(actual)}, promised was ${long(promised)}`,
      ),
  );
}

function line(method: string, answers: readonly string[], policy: string): string {
  return [method.padEnd(18), ...answers.map((answer) => answer.padEnd(10)), policy].join(" ");
}

function short(outcome: Outcome): string {
  switch (outcome) {
    case Code.Unauthenticated:
      return "unauth";
    case Code.PermissionDenied:
      return "denied";
    default:
      return long(outcome);
  }
}

function long(outcome: Outcome): string {
  return outcome === "ok" ? "ok" : Code[outcome];
}

function describe(policy: MethodPolicy): string {
  switch (policy.kind) {
    case "public":
      return "everyone";
    case "authenticated":
      return "users";
    case "denied":
      return "nobody";
    case "unspecified":
      return "up to the server";
    case "requires":
      return `users${demands(policy)}`;
    case "internal":
      return `services${demands(policy)}`;
  }
}

function demands({ roles, scopes }: Requirements): string {
  const parts = [
    ...(roles.length > 0 ? [`role ${roles.join(" or ")}`] : []),
    ...(scopes.length > 0 ? [`scope ${scopes.join(" and ")}`] : []),
  ];
  return parts.length > 0 ? ` with ${parts.join(", ")}` : "";
}
