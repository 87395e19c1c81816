/** What a caller may do, where the options of a server say so and not the credential. */
export interface Grants {
  /** Default: none. */
  readonly roles?: readonly string[];
  /** Default: none. */
  readonly scopes?: readonly string[];
}

/** The roles and scopes in options, as they go into many identities. Throws `TypeError`. */
export function readGrants({ roles = [], scopes = [] }: Grants): Required<Grants> {
  return { roles: readNames("roles", roles), scopes: readNames("scopes", scopes) };
}

/** A copy that nobody can change. Throws `TypeError` for what is no list of names; `option` is its name. */
export function readNames(option: string, names: readonly string[]): readonly string[] {
  if (!Array.isArray(names) || !names.every((name) => typeof name === "string" && name !== "")) {
    throw new TypeError(`${option} ${JSON.stringify(names)} must be a list of strings, none empty`);
  }
  return Object.freeze([...names]);
}
