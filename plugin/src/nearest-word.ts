/**
 * The word that somebody most likely meant: it begins like it, or is up to two
 * typing errors away. `undefined`: none is near.
 */
export function nearestWord(text: string, words: readonly string[]): string | undefined {
  const typed = text.trim().toLowerCase();
  const distances = words.map((word) => ({ word, distance: editDistance(typed, word) }));
  const near = distances.filter(
    ({ word, distance }) =>
      typed.startsWith(word.slice(0, 3)) || (distance <= 2 && typed[0] === word[0]),
  );
  return near.sort((a, b) => a.distance - b.distance)[0]?.word;
}

/** Insertions, deletions and replacements of one character that lead from `a` to `b` (Levenshtein). */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (const [i, character] of [...a].entries()) {
    const next = [i + 1];
    for (const [j, other] of [...b].entries()) {
      const [left = 0, above = 0, diagonal = 0] = [next[j], row[j + 1], row[j]];
      next.push(Math.min(left + 1, above + 1, diagonal + (character === other ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
