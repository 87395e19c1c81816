import type { Tree } from "./apply-overlay.js";

/**
 * Reads the YAML that the plugin prints, and nothing else: blocks with two
 * spaces, texts between double quotes, lists of texts on one line, comments on
 * lines of their own.
 */
export function parseYaml(text: string): Tree {
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  const value = block(lines, 0);
  if (lines.length > 0) {
    throw new Error(`left over: ${lines[0]}`);
  }
  return value;
}

/** Takes the lines of one block off the front. */
function block(lines: string[], indentation: number): Tree {
  if (indentedBy(lines[0], indentation) === "{}") {
    lines.shift();
    return {};
  }
  return indentedBy(lines[0], indentation).startsWith("- ")
    ? sequence(lines, indentation)
    : mapping(lines, indentation);
}

function sequence(lines: string[], indentation: number): Tree[] {
  const items: Tree[] = [];
  while (isAt(lines[0], indentation)) {
    lines[0] = indentedBy(lines[0], indentation).replace(/^- /, " ".repeat(indentation + 2));
    items.push(block(lines, indentation + 2));
  }
  return items;
}

function mapping(lines: string[], indentation: number): { [key: string]: Tree } {
  const entries: [string, Tree][] = [];
  while (isAt(lines[0], indentation)) {
    const line = indentedBy(lines.shift(), indentation);
    const [, key = "", rest = ""] = /^([\w:-]*[\w-]|"(?:[^"\\]|\\.)*"):( .*|)$/.exec(line) ?? [];
    if (key === "") {
      throw new Error(`no member: ${line}`);
    }
    const name = key.startsWith('"') ? quoted(key) : key;
    entries.push([name, rest === "" ? block(lines, indentation + 2) : inline(rest.slice(1))]);
  }
  return Object.fromEntries(entries);
}

function isAt(line: string | undefined, indentation: number): boolean {
  return line?.search(/[^ ]/) === indentation;
}

function indentedBy(line: string | undefined, indentation: number): string {
  if (line === undefined || !isAt(line, indentation)) {
    throw new Error(`not indented by ${indentation}: ${line}`);
  }
  return line.slice(indentation);
}

function inline(text: string): Tree {
  return text === "true" || (text.startsWith("[") ? list(text) : quoted(text));
}

function list(text: string): Tree[] {
  const items = text.match(/"(?:[^"\\]|\\.)*"/g) ?? [];
  if (text !== `[${items.join(", ")}]`) {
    throw new Error(`no list of texts: ${text}`);
  }
  return items.map(quoted);
}

function quoted(text: string): string {
  const value: unknown = JSON.parse(jsonEscapes(text));
  if (typeof value !== "string") {
    throw new Error(`no text: ${text}`);
  }
  return value;
}

/** YAML's escape for any code point, as JSON has it. */
function jsonEscapes(text: string): string {
  return text.replace(/\\(?:U([0-9a-f]{8})|.)/g, (all, digits?: string) =>
    digits === undefined
      ? all
      : String.fromCodePoint(Number.parseInt(digits, 16))
          .split("")
          .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`)
          .join(""),
  );
}
