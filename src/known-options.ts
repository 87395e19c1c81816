/**
 * Throws `TypeError` for options that are no object, and for a name that there
 * is not: a misspelt check would be a check that never runs.
 */
export function checkKnownOptions<T extends object>(
  factory: string,
  options: T,
  names: Readonly<Record<keyof T, true>>,
): void {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(`${factory} takes an object of options`);
  }
  const unknown = Object.keys(options).find((name) => !Object.hasOwn(names, name));
  if (unknown !== undefined) {
    throw new TypeError(
      `${factory} has no option "${unknown}"; there are ${Object.keys(names).join(", ")}`,
    );
  }
}
