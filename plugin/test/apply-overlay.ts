/** A JSON value that can be changed. */
export type Tree = string | boolean | Tree[] | { [key: string]: Tree };

/** What becomes of a list that is there already: the versions of the specification differ. */
export type MergeLists = "appended" | "replaced";

/**
 * Applies an OpenAPI overlay to a document, as the Overlay Specification says.
 * Of JSONPath it knows names, one or several in brackets, and the comparison
 * of a member with a text.
 */
export function applyOverlay(document: Tree, overlay: Tree, lists: MergeLists = "appended"): Tree {
  const root: Tree = { $: structuredClone(document) };
  for (const action of listOf(objectOf(overlay).actions)) {
    const { target, update, remove } = objectOf(action);
    const places = select(root, String(target));
    for (const { parent, key } of places) {
      if (remove === true) {
        delete parent[key];
      } else {
        parent[key] = merge(parent[key], update, lists);
      }
    }
  }
  return root.$ ?? "";
}

/** Member names of objects, as JSONPath selects them. */
interface Place {
  readonly parent: { [key: string]: Tree };
  readonly key: string;
}

function select(root: { [key: string]: Tree }, path: string): Place[] {
  const segments = path.match(/^\$|\.\w+|\['[^']+'(?:,'[^']+')*\]|\[\?@.*?=='[^']*'\]/g) ?? [];
  if (segments.join("") !== path) {
    throw new Error(`not a path: ${path}`);
  }
  let places: Place[] = [{ parent: root, key: "$" }];
  for (const segment of segments.slice(1)) {
    places = places
      .map(({ parent, key }) => objectOf(parent[key]))
      .flatMap((parent) => keysOf(parent, segment).map((key) => ({ parent, key })))
      .filter(({ parent, key }) => Object.hasOwn(parent, key));
  }
  return places;
}

function keysOf(parent: { [key: string]: Tree }, segment: string): string[] {
  const [, inner, text] = /^\[\?@(.*)=='([^']*)'\]$/.exec(segment) ?? [];
  if (inner !== undefined) {
    return Object.keys(parent).filter((key) => {
      const [place] = select({ $: parent[key] ?? "" }, `$${inner}`);
      return place?.parent[place.key] === text;
    });
  }
  return segment.startsWith(".")
    ? [segment.slice(1)]
    : Array.from(segment.matchAll(/'([^']+)'/g), ([, key = ""]) => key);
}

function merge(old: Tree | undefined, update: Tree | undefined, lists: MergeLists): Tree {
  if (update === undefined) {
    throw new Error("neither update nor remove");
  }
  if (old === undefined) {
    return structuredClone(update);
  }
  if (Array.isArray(old) && Array.isArray(update)) {
    return lists === "appended" ? [...old, ...update] : [...update];
  }
  if (typeof update !== "object") {
    return update;
  }
  const merged = { ...objectOf(old) };
  for (const [key, value] of Object.entries(objectOf(update))) {
    merged[key] = merge(merged[key], value, lists);
  }
  return merged;
}

/** The value, which must be an object. */
export function objectOf(value: Tree | undefined): { [key: string]: Tree } {
  if (typeof value !== "object" || Array.isArray(value)) {
    throw new Error(`no object: ${JSON.stringify(value)}`);
  }
  return value;
}

/** The value, which must be a list. */
export function listOf(value: Tree | undefined): Tree[] {
  if (!Array.isArray(value)) {
    throw new Error(`no list: ${JSON.stringify(value)}`);
  }
  return value;
}
