/** A document that JSON and YAML can hold. */
export type Json = string | boolean | readonly Json[] | JsonObject;

/** An object of such a document. */
export interface JsonObject {
  readonly [key: string]: Json;
}

/** A document as JSON. */
export function toJson(document: JsonObject): string {
  return JSON.stringify(document, undefined, 2).replace(invisible, (character) =>
    character
      .split("")
      .map((unit) => escaped("\\u", 4, unit))
      .join(""),
  );
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
  return JSON.stringify(text).replace(invisible, (character) => escaped("\\U", 8, character));
}

/** What does not show, or changes how its neighbours show. JSON.stringify escapes the others. */
const invisible =
  /[\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff0-\uffff\u{e0000}-\u{e0fff}]/gu;

function escaped(prefix: string, digits: number, character: string): string {
  return prefix + (character.codePointAt(0) ?? 0).toString(16).padStart(digits, "0");
}
