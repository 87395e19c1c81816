import { severities } from "./diagnostics.js";

/** What a user can set beside the options of protoc-gen-es. */
export interface PluginOptions {
  /** Warnings that are silenced, by code. */
  readonly allow: ReadonlySet<string>;
  /** Whether warnings are errors, and those that are off by default are on. */
  readonly strict: boolean;
  /** The file that gathers all tables, without extension. */
  readonly indexFile: string | undefined;
  /** The file that lists all policies for reviews, JSON. */
  readonly snapshotFile: string | undefined;
  /** Files with a table for people: Markdown (`.md`) or a page (`.html`). */
  readonly matrixFiles: readonly string[];
  /** The OpenAPI overlay with the security of each operation, YAML or JSON. */
  readonly openapiSecurityFile: string | undefined;
}

/** An option as it stands in `opt` of `buf.gen.yaml`. */
export interface RawOption {
  readonly key: string;
  readonly value: string;
}

/** Reads the options that protoplugin does not know. Throws for what is none, and says what there is. */
export function parseOptions(rawOptions: readonly RawOption[]): PluginOptions {
  const allow = new Set<string>();
  const matrixFiles: string[] = [];
  const single = new Map<string, string>();
  for (const { key, value } of rawOptions) {
    switch (key) {
      case "allow":
        allow.add(checkWarning(value));
        break;
      case "matrix_file":
        matrixFiles.push(checkPath(key, value, [".md", ".html"]));
        break;
      case "strict":
        if (value !== "" && value !== "true" && value !== "false") {
          throw new Error(`option strict=${value} must be true or false`);
        }
        setOnce(single, key, value);
        break;
      case "index_file":
        setOnce(single, key, checkPath(key, value, []));
        break;
      case "snapshot_file":
        setOnce(single, key, checkPath(key, value, [".json"]));
        break;
      case "openapi_security_file":
        setOnce(single, key, checkPath(key, value, [".yaml", ".yml", ".json"]));
        break;
      case "json_types":
      case "valid_types":
      case "erasable_syntax":
        break; // of protoc-gen-es, about messages: the same list of options serves both
      default:
        if (severities.has(key)) {
          throw new Error(`an option has one value; write allow=${key}`);
        }
        throw new Error(`there is no option "${key}"; there are ${known.join(", ")}`);
    }
  }
  const strict = single.get("strict");
  return {
    allow,
    strict: strict !== undefined && strict !== "false",
    indexFile: single.get("index_file"),
    snapshotFile: single.get("snapshot_file"),
    matrixFiles,
    openapiSecurityFile: single.get("openapi_security_file"),
  };
}

const known = [
  "allow",
  "strict",
  "index_file",
  "snapshot_file",
  "matrix_file",
  "openapi_security_file",
  "and those of protoc-gen-es",
];

/** The code of a warning. Errors cannot be silenced: no code could do what such a file says. */
function checkWarning(code: string): string {
  const severity = severities.get(code);
  if (severity === undefined || severity === "error") {
    const warnings = [...severities].flatMap(([name, other]) => (other === "error" ? [] : [name]));
    const reason = severity === "error" ? "an error cannot be silenced" : "there is no such code";
    throw new Error(`option allow=${code}: ${reason}; the warnings are ${warnings.join(", ")}`);
  }
  return code;
}

function setOnce(options: Map<string, string>, key: string, value: string): void {
  if (options.has(key)) {
    throw new Error(`option ${key} is given twice`);
  }
  options.set(key, value);
}

/** A path in the output folder, with `/`, and one of these extensions; without any where there are none. */
function checkPath(key: string, value: string, extensions: readonly string[]): string {
  const segments = value.split("/");
  const isInside = segments.every(
    (segment) => segment !== "" && segment !== "." && segment !== "..",
  );
  if (!isInside || /[\\:\p{Cc}]/u.test(value)) {
    throw new Error(`option ${key}=${value} must be a path inside of the output folder, with /`);
  }
  if (extensions.length > 0 && !extensions.some((extension) => value.endsWith(extension))) {
    throw new Error(`option ${key}=${value} must end in ${extensions.join(" or ")}`);
  }
  if (extensions.length === 0 && /\.(?:d|[cm]?[jt]s)$/.test(value)) {
    throw new Error(`option ${key}=${value} must have no extension: target says which`);
  }
  return value;
}
