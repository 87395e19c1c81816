/** What does not show, or changes how its neighbours show. After a pictograph U+FE0F is a part of it. */
const invisible =
  /(?!\ufe0f)\p{DI}|(?<!\p{ExtPict})\ufe0f|[\p{Cc}\u2028\u2029\ud800-\udfff\ufff9-\uffff]/gu;

/**
 * Text of a proto file in which everything shows: other characters are written
 * as in JSON. Otherwise a role could look like another, or turn the text beside
 * it round.
 */
export function visibleText(text: string): string {
  return text.replace(invisible, (character) =>
    Array.from(
      { length: character.length },
      (_, i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, "0")}`,
    ).join(""),
  );
}
