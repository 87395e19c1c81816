/** Someone whom the authorization server knows, and what it grants them. */
export interface Account {
  readonly roles: readonly string[];
  readonly scopes: readonly string[];
  readonly tokenLifetimeSeconds: number;
}

/** The accounts of the authorization server, by name. */
export const accounts = {
  customer: { roles: [], scopes: ["orders:write"], tokenLifetimeSeconds: 300 },
  // may do what an admin does, but not order things in the name of customers
  admin: { roles: ["admin"], scopes: ["catalog:write"], tokenLifetimeSeconds: 300 },
  // an admin in all but the lifetime of the token: if it passes once it has expired, it shows
  brief: { roles: ["admin"], scopes: ["catalog:write", "orders:write"], tokenLifetimeSeconds: 3 },
} as const satisfies Record<string, Account>;

/** Another company's service. It signs what it asks for with a key, so no secret is shared with it. */
export const supplier: Account = {
  roles: [],
  scopes: ["catalog:write", "orders:write"],
  tokenLifetimeSeconds: 300,
};

/** The name of an account. */
export type AccountName = keyof typeof accounts;

/** The account of this name. */
export function accountOf(name: string): Account {
  const account = Object.entries<Account>({ ...accounts, supplier }).find(
    ([key]) => key === name,
  )?.[1];
  if (account === undefined) {
    throw new TypeError(`there is no account "${name}"`);
  }
  return account;
}
