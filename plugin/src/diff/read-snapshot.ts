import type { MethodPolicy } from "../../../src/policy/method-policy.js";
import { snapshotVersion } from "../snapshot-version.js";
import { type PolicySet, policySet } from "./policy-set.js";

/**
 * Reads what the plugin printed for `snapshot_file`. Throws for anything else:
 * a requirement that is not understood would be one that is not there.
 */
export function readSnapshot(json: unknown): PolicySet {
  const { version, methods, ...others } = fieldsOf(json);
  if (version !== snapshotVersion) {
    throw new Error(`version ${quote(version)} of snapshots is not known, only ${snapshotVersion}`);
  }
  checkNoOthers("the snapshot", others, ["x-only"]);
  if (!Array.isArray(methods)) {
    throw new Error('"methods" must be a list');
  }
  return policySet(methods.map(readMethod));
}

function readMethod(json: unknown): [string, MethodPolicy] {
  const { method, kind, ...others } = fieldsOf(json);
  if (typeof method !== "string") {
    throw new Error(`"method" must be a text, not ${quote(method)}`);
  }
  return [method, readPolicy(method, kind, others)];
}

function readPolicy(method: string, kind: unknown, others: Record<string, unknown>): MethodPolicy {
  const known = ["streaming", "idempotency"];
  switch (kind) {
    case "public":
    case "authenticated":
    case "denied":
    case "unspecified":
      checkNoOthers(method, others, known);
      return { kind };
    case "requires":
    case "internal":
      checkNoOthers(method, others, [...known, "roles", "scopes"]);
      return {
        kind,
        roles: readNames(method, "roles", others.roles),
        scopes: readNames(method, "scopes", others.scopes),
      };
    default:
      throw new Error(`${method}: there is no kind ${quote(kind)}`);
  }
}

function readNames(method: string, list: string, value: unknown): string[] {
  if (!Array.isArray(value) || !value.every((item) => typeof item === "string")) {
    throw new Error(`${method}: "${list}" must be a list of texts`);
  }
  return value;
}

function fieldsOf(json: unknown): Record<string, unknown> {
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw new Error(`${quote(json)} must be an object`);
  }
  return { ...json };
}

function checkNoOthers(what: string, fields: object, known: readonly string[]): void {
  const unknown = Object.keys(fields).find((name) => !known.includes(name));
  if (unknown !== undefined) {
    throw new Error(`${what} has an unknown field ${quote(unknown)}`);
  }
}

/** What was found instead, in a line that is not too long. */
function quote(json: unknown): string {
  const text = `${JSON.stringify(json)}`;
  return text.length > 100 ? `${text.slice(0, 100)}…` : text;
}
