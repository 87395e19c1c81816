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

/** Less code in a browser, where the options are taken apart: `others` are those that are left. */
export function checkNoOthers(factory: string, others: object): void {
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) {
    throw new TypeError(`${factory} has no option "${unknown}"`);
  }
}
