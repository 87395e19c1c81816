import type { DescMethod } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { type MethodPolicy, methodName } from "../../src/policy/method-policy.js";
import type { TextFile } from "./artefacts.js";
import { compareText } from "./compare-text.js";
import type { PluginOptions } from "./options.js";
import type { FileRules } from "./read-policies.js";
import { snapshotVersion } from "./snapshot-version.js";
import { visibleText } from "./visible-text.js";

/**
 * Prints the policies of all methods as JSON, for `snapshot_file`. A change of a
 * policy is a change of one line: methods are sorted by name, roles and scopes
 * as well, since their order means nothing.
 */
export function printSnapshot(
  { snapshotFile }: PluginOptions,
  files: readonly FileRules[],
): TextFile[] {
  if (snapshotFile === undefined) {
    return [];
  }
  const methods = files
    .flatMap(({ services }) => services.flatMap((service) => service.methods))
    .map(({ method, policy }) => ({ name: methodName(method), line: methodLine(method, policy) }))
    .sort((a, b) => compareText(a.name, b.name))
    .map(({ line }) => `    ${line}`);
  const content = [
    "{",
    `  "version": ${snapshotVersion},`,
    '  "methods": [',
    ...(methods.length > 0 ? [methods.join(",\n")] : []),
    "  ]",
    "}",
    "",
  ].join("\n");
  return [{ name: snapshotFile, content }];
}

function methodLine(method: DescMethod, policy: MethodPolicy): string {
  const fields: Record<string, string | readonly string[]> = {
    method: methodName(method),
    kind: policy.kind,
  };
  if (policy.kind === "requires" || policy.kind === "internal") {
    fields.roles = [...policy.roles].sort(compareText);
    fields.scopes = [...policy.scopes].sort(compareText);
  }
  if (method.methodKind !== "unary") {
    fields.streaming = method.methodKind.replace("_streaming", "");
  }
  switch (method.idempotency) {
    case MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS:
      fields.idempotency = "no_side_effects";
      break;
    case MethodOptions_IdempotencyLevel.IDEMPOTENT:
      fields.idempotency = "idempotent";
      break;
  }
  const entries = Object.entries(fields).map(([key, value]) =>
    typeof value === "string"
      ? `"${key}": ${JSON.stringify(value)}`
      : `"${key}": [${value.map((item) => JSON.stringify(item)).join(", ")}]`,
  );
  return `{ ${visibleText(entries.join(", "))} }`;
}
