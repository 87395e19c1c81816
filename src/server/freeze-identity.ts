import type { AuthContext } from "./auth-context.js";

/**
 * A copy of an identity that many calls may share: nobody can change it for the
 * others. Objects and arrays in `claims` are copied and frozen at every depth;
 * instances of classes stay what they are. Each look at `expiresAt` gets a
 * `Date` of its own, because a `Date` cannot be frozen.
 */
export function freezeIdentity(identity: AuthContext): AuthContext {
  const { expiresAt } = identity;
  const copy = {
    ...identity,
    roles: Object.freeze([...identity.roles]),
    scopes: Object.freeze([...identity.scopes]),
    claims: freezeCopy({ ...identity.claims }),
  };
  if (expiresAt !== undefined) {
    const time = expiresAt.getTime();
    Object.defineProperty(copy, "expiresAt", { get: () => new Date(time) });
  }
  return Object.freeze(copy);
}

/** Without recursion: claims may be nested deeply, and what a user gives may go round in circles. */
function freezeCopy<T extends object>(root: T): T {
  const copies = new Map<object, object>([[root, root]]);
  // the loop sees what is added meanwhile
  for (const copy of copies.values()) {
    for (const [key, value] of Object.entries(copy)) {
      if (isPlain(value)) {
        const known = copies.get(value) ?? (Array.isArray(value) ? [...value] : { ...value });
        copies.set(value, known);
        Reflect.set(copy, key, known);
      }
    }
    Object.freeze(copy);
  }
  return root;
}

function isPlain(value: unknown): value is object {
  if (typeof value !== "object" || value === null) {
    return false;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  return Array.isArray(value) || prototype === Object.prototype || prototype === null;
}
