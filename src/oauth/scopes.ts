/** Scopes: several in an array, or in one string separated by spaces. */
export type Scope = string | readonly string[];

/** Sorted and each once, so that the same scopes make the same key. Throws `TypeError` for what is no scope. */
export function parseScope(scope: Scope | undefined): readonly string[] {
  const list = typeof scope === "string" ? scope.split(" ").filter(Boolean) : (scope ?? []);
  for (const token of list) {
    if (typeof token !== "string" || !/^[!#-[\]-~]+$/.test(token)) {
      throw new TypeError(`scope ${JSON.stringify(token)} must be one scope-token (RFC 6749 §3.3)`);
    }
  }
  return unite(list);
}

/** Resource indicators, each an absolute URI without fragment. Throws `TypeError` for others. */
export function parseResource(resource: string | readonly string[] | undefined): readonly string[] {
  const list = resource === undefined ? [] : [resource].flat();
  for (const uri of list) {
    // RFC 8707 §2
    if (!URL.canParse(uri) || uri.includes("#")) {
      throw new TypeError(
        `resource ${JSON.stringify(uri)} must be an absolute URI without fragment (RFC 8707 §2)`,
      );
    }
  }
  return unite(list);
}

/** Sorted, each once. */
export function unite(...lists: (readonly string[])[]): readonly string[] {
  return [...new Set(lists.flat())].sort();
}
