import type { MethodPolicy } from "../../../src/policy/method-policy.js";
import { visibleText } from "../visible-text.js";
import type { Change, Effect } from "./compare-policies.js";
import { policyText } from "./policy-text.js";

/** A change, and whether it was asked for by name. */
export interface JudgedChange extends Change {
  readonly allowed: boolean;
}

/** What is printed for people: a line for each change, relaxed ones first, then how many there are. */
export function changesText(changes: readonly JudgedChange[]): string {
  const rows = effects.flatMap((effect) =>
    changes
      .filter((change) => change.effect === effect)
      .map((change) => [
        change.allowed ? "allowed" : effect,
        change.method,
        `${sideText(change.before, "(new)")} -> ${sideText(change.after, "(gone)")}`,
        change.because.join("; "),
      ]),
  );
  const widths = [0, 1, 2].map((i) =>
    rows.reduce((widest, row) => Math.max(widest, row[i]?.length ?? 0), 0),
  );
  const lines = rows.map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join("  ")
      .trimEnd(),
  );
  return `${[...lines, summaryText(changes)].join("\n")}\n`;
}

/** The same for programs. */
export function changesJson(changes: readonly JudgedChange[]): string {
  const { relaxed, allowed, restricted, neutral } = countsOf(changes);
  const document = {
    version: 1,
    relaxed,
    allowed,
    restricted,
    neutral,
    changes: changes.map(({ method, effect, allowed, before, after, because }) => ({
      ...{ method, effect, allowed },
      ...{ before: before ?? null, after: after ?? null, because },
    })),
  };
  const lines = JSON.stringify(document, undefined, 2).split("\n");
  return `${lines.map(visibleText).join("\n")}\n`;
}

const effects: readonly Effect[] = ["relaxed", "restricted", "neutral"];

function sideText(policy: MethodPolicy | undefined, missing: string): string {
  return policy === undefined ? missing : policyText(policy);
}

function summaryText(changes: readonly JudgedChange[]): string {
  if (changes.length === 0) {
    return "no change";
  }
  const counts = Object.entries(countsOf(changes));
  return counts.map(([name, count]) => `${count} ${name}`).join(", ");
}

/** Relaxed ones that are allowed are counted apart. */
function countsOf(changes: readonly JudgedChange[]) {
  const count = (is: (change: JudgedChange) => boolean) => changes.filter(is).length;
  return {
    relaxed: count(({ effect, allowed }) => effect === "relaxed" && !allowed),
    allowed: count(({ allowed }) => allowed),
    restricted: count(({ effect }) => effect === "restricted"),
    neutral: count(({ effect }) => effect === "neutral"),
  };
}
