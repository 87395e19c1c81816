import { visibleText } from "./visible-text.js";

/** A document that JSON and YAML can hold. */
export type Json = string | boolean | readonly Json[] | JsonObject;

/** An object of such a document. */
export interface JsonObject {
  readonly [key: string]: Json;
}

/** A document as JSON, with escapes for what does not show. */
export function toJson(document: JsonObject): string {
  return JSON.stringify(document, undefined, 2).split("\n").map(visibleText).join("\n");
}

/** A document as YAML 1.2: all texts between double quotes, lists of texts on one line. */
export function toYaml(document: JsonObject): string {
  return block(document).join("\n");
}

function block(value: Json): string[] {
  if (typeof value !== "object" || isOnOneLine(value)) {
    return [inline(value)];
  }
  if (isList(value)) {
    return value.flatMap((item) => {
      const [first, ...others] = block(item);
      return [`- ${first}`, ...others.map((line) => `  ${line}`)];
    });
  }
  return Object.entries(value).flatMap(([name, item]) => {
    const key = isPlain(name) ? name : quoted(name);
    const [first, ...others] = block(item);
    return isOnOneLine(item)
      ? [`${key}: ${first}`]
      : [`${key}:`, ...[first, ...others].map((line) => `  ${line}`)];
  });
}

function isOnOneLine(value: Json): boolean {
  return isList(value)
    ? value.every((item) => typeof item === "string")
    : typeof value !== "object" || Object.keys(value).length === 0;
}

function inline(value: Json): string {
  if (isList(value)) {
    return `[${value.map(inline).join(", ")}]`;
  }
  return typeof value === "object" ? "{}" : typeof value === "string" ? quoted(value) : `${value}`;
}

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}

/** Whether a name needs no quotes: it is neither a boolean nor null, in YAML 1.1 either. */
function isPlain(name: string): boolean {
  return /^[a-z][\w-]*$/i.test(name) && !/^(?:true|false|yes|no|on|off|y|n|null)$/i.test(name);
}

function quoted(text: string): string {
  // YAML has no pairs of surrogates
  return visibleText(JSON.stringify(text)).replace(
    /\\u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})/g,
    (_, high, low) => `\\U${codePoint(high, low).toString(16).padStart(8, "0")}`,
  );
}

function codePoint(high: string, low: string): number {
  return ((Number.parseInt(high, 16) & 0x3ff) << 10) + (Number.parseInt(low, 16) & 0x3ff) + 0x10000;
}
